"""A whole server, and people who write as the world does: who is rung, and what mail says."""

from pathlib import Path
from urllib.parse import quote

from nova.simulators.smtp import Letter, SmtpSimulator
from support.deployment import Deployment
from support.waiting import until

ARABIC = {"title": "{actor.name} علّق على منشورك", "body": "{metadata.text}"}
CHINESE = {"title": "{actor.name} 提到了你"}
USERS = (
    {"external_id": "ada", "name": "Ada", "email": "ada@faß.de", "locale": "ar-EG"},
    *({"external_id": f"ben{n}", "name": "بدر"} for n in range(12)),
    {"external_id": "cleo", "name": "Cleo", "locale": "zh-Hant-TW"},
    {"external_id": "dora", "name": "\u3164"},
    {"external_id": "eve", "name": "E\u202eve"},
    {"external_id": "finn", "email": "finn@i❤.ws"},
)
TEXTS = ("@adaさん", "你好@ada", "\uff20ada", "@Ada", "_@ada_", ".@ada", "@ada.b")
NOBODY = ("@ada@example.com", "ada@ada.com", "https://example.org/@ada")


async def test_the_writing_of_the_world(tmp_path: Path) -> None:
    post_office = SmtpSimulator()
    await post_office.start()
    mail = {
        "NOVA_SMTP_HOST": post_office.host,
        "NOVA_SMTP_PORT": str(post_office.port),
        "NOVA_SMTP_SECURITY": "none",
        "NOVA_SMTP_SENDER": "Nova <nova@example.org>",
    }
    deployment = Deployment(tmp_path, mail)
    app = await deployment.start()
    try:
        async with app.client() as host:
            answer = await host.post("/v1/users/bulk", json={"users": USERS})
            statuses = [each["status"] for each in answer.json()["results"]]
            assert statuses == ["created"] * 14 + ["refused"] * 3
            wording = {
                "en": {"title": "x"},
                "ar": ARABIC,
                "zh-TW": {"title": "{actor.name} 提到了你"},
            }
            answer = await host.put("/v1/notification-types/mention", json={"templates": wording})
            assert answer.is_success, answer.text
            on = {"channels": {"email": True}}
            await host.patch("/v1/users/ada/preferences", json=on)

            named = [*([each, ["ada"]] for each in TEXTS), *([each, []] for each in NOBODY)]
            for n, (text, who) in enumerate([*named, ["@cleo #हिन्दी", ["cleo"]]]):
                answer = await host.post(f"/v1/posts?user=ben{n}", json={"text": text})
                assert answer.status_code == 201, answer.text
                assert [each["external_id"] for each in answer.json()["mentions"]] == who, text
            page = (await host.get(f"/v1/tags/{quote('हिन्दी')}/posts")).json()
            assert [each["tags"] for each in page["data"]] == [["हिन्दी"]]

        async def all_told() -> bool:
            return len(await app.inbox("ada")) == len(TEXTS) and len(await app.inbox("cleo")) == 1

        await until(all_told)
        assert {each["title"] for each in await app.inbox("ada")} == {"بدر علّق على منشورك"}
        assert [each["title"] for each in await app.inbox("cleo")] == ["\u2068بدر\u2069 提到了你"]

        await until(lambda: post_office.received.count == len(TEXTS))
        for each in post_office.received.items:
            _reads_right(each.read())
    finally:
        await deployment.close()
        await post_office.close()


def _reads_right(mail: Letter) -> None:
    assert mail.recipient == "ada@xn--fa-hia.de"
    assert mail.headers["Subject"] == "بدر علّق على منشورك"
    assert mail.headers["Content-Language"] == "ar"
    assert mail.html is not None
    assert '<html lang="ar" dir="rtl">' in mail.html
    title, text = filter(None, mail.plain.splitlines())
    assert title == mail.headers["Subject"]
    assert text in TEXTS
