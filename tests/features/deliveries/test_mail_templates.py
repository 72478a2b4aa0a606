"""Mails in the app's words: over the API, to a real mail server, and in Nova's own if need be."""

import email
import re
from collections.abc import AsyncIterator
from email import policy
from email.header import decode_header, make_header
from typing import Any

import httpx
import pytest

from nova.adapters.smtp.carrier import Smtp
from nova.features.deliveries import Knobs
from nova.features.deliveries.mail.models import LAYOUT_EXAMPLE
from nova.features.deliveries.mail.templates import MOST_BYTES
from nova.features.deliveries.policies import DigestRule
from nova.simulators.smtp import Letter, SmtpSimulator
from support.carried import post_office
from support.delivered import Delivered, api_of_world, delivered
from support.http import SERVER, bearer
from support.notified import event
from support.waiting import until

KEY = bearer(SERVER)
SENDER = "Nova für alle <no-reply@example.com>"
WORDS = {
    "en": {
        "subject": "{actor.name} likes {metadata.title|your post}",
        "preheader": "News from {brand}",
        "heading": "Well done, {recipient.name}!",
        "body": "{title}.\n\n{body}\n\nGo on.",
        "button": "Look at it",
    },
    "ar": {"subject": "أعجب {actor.name} بمنشورك", "heading": "أحسنت", "body": "{body}"},
}
HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: eve@example.com\r\n\r\n<script>alert(2)</script>"


class Office(Delivered):
    """The world, with a mail server that takes its mails."""

    smtp: SmtpSimulator
    carrier: Smtp

    async def letters(self, count: int = 1) -> list[Letter]:
        await until(lambda: self.smtp.received.count >= count)
        return [mail.read() for mail in self.smtp.received.items]


@pytest.fixture
async def office(dsn: str) -> AsyncIterator[Any]:
    knobs = Knobs(
        spread_s=0.0,
        public_url="https://nova.example",
        sender=SENDER,
        link_schemes=frozenset({"myapp"}),
    )
    async with post_office(security="none") as (smtp, carrier), delivered(dsn, knobs=knobs) as here:
        here.smtp = smtp  # type: ignore[attr-defined]
        here.__class__ = Office
        here.deliveries.platforms["mail"].carrier = carrier
        here.deliveries.samples._carrier = carrier  # as the composition root has it
        await here.mailbox("ben")
        await here.policy("like")
        await here.policy("follow")
        yield here


@pytest.fixture
async def api(office: Office) -> AsyncIterator[httpx.AsyncClient]:
    async with api_of_world(office) as client:
        client.headers.update(KEY)
        yield client


async def put(api: httpx.AsyncClient, kind: str, words: Any, **more: Any) -> None:
    answer = await api.put(f"/v1/mail-templates/{kind}", json={"templates": words, **more})
    assert answer.is_success, answer.text


def parsed(raw: bytes) -> Any:
    return email.message_from_bytes(raw, policy=policy.default)


async def test_a_mail_without_template_says_title_link_and_how_to_unsubscribe(
    office: Office,
) -> None:
    url = "https://app.example/people/ada"
    await office.send(event("f1", event_type="follow", actor_id="ada", metadata={"url": url}))
    (letter,) = await office.letters()
    title, link, unsubscribe = filter(None, letter.plain.splitlines())
    assert title == letter.headers["Subject"] == "Ada follows you"
    assert link == f"Open: {url}"
    assert unsubscribe.startswith("Unsubscribe from mail like this: https://nova.example/v1/unsub")
    assert letter.headers["List-Unsubscribe"] == f"<{unsubscribe.partition(': ')[2]}>"
    assert letter.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert letter.html is not None
    assert f'href="{url}"' in letter.html
    assert '<meta name="color-scheme" content="light dark">' in letter.html
    assert re.findall(r"(?:src|background)=|url\(|@import", letter.html) == []


async def test_a_mail_is_in_the_words_and_the_layout_of_the_app(
    office: Office, api: httpx.AsyncClient
) -> None:
    await put(api, "like", WORDS)
    assert (await api.put("/v1/mail-layout", json=LAYOUT_EXAMPLE)).is_success
    await office.send(
        event(
            "e1", actor_id="ada", metadata={"title": "Notes", "excerpt": "The engine", "url": "x"}
        )
    )
    await office.letters()
    mail = parsed(office.smtp.received.items[0].raw)
    assert mail["Subject"] == "Ada likes Notes"
    assert mail.get_content_type() == "multipart/alternative"
    plain, related = mail.iter_parts()
    assert [line for line in plain.get_content().splitlines() if line][:4] == [
        "Well done, Ben!", "Ada liked Notes.", "The engine", "Go on.",
    ]  # fmt: skip
    assert "Harbour Ltd, 1 Pier Road, Lisbon" in plain.get_content()
    assert "Look at it" not in plain.get_content()  # "x" is no link
    assert related.get_content_type() == "multipart/related"
    page, logo = related.iter_parts()
    assert (page.get_content_type(), logo.get_content_type()) == ("text/html", "image/png")
    html = page.get_content()
    assert f'src="cid:{logo["Content-ID"].strip("<>")}"' in html
    assert logo.get_content().startswith(b"\x89PNG")
    assert html.count("#0f766e") == 0  # no button, so nothing in the accent
    assert "News from Harbour" in html


@pytest.mark.parametrize(
    ("locale", "served", "way"),
    [("ar", "ar", "rtl"), ("ar-EG", "ar", "rtl"), ("en-GB", "en", "ltr"), ("ja", "en", "ltr")],
)
async def test_a_reader_gets_their_own_language(
    office: Office, api: httpx.AsyncClient, locale: str, served: str, way: str
) -> None:
    await put(api, "like", WORDS)
    await office.meet("Dana", locale=locale)
    await office.mailbox("dana")
    await office.send(event("e1", recipient_id="dana", metadata={"excerpt": "Hello"}))
    (letter,) = await office.letters()
    assert letter.headers["Content-Language"] == served
    assert letter.html is not None
    assert f'<html lang="{served}" dir="{way}">' in letter.html
    assert '<p dir="ltr"' in letter.html  # people's own words go their own way


async def test_hostile_words_stay_words(office: Office, api: httpx.AsyncClient) -> None:
    await put(api, "like", WORDS)
    await office.send(event("e1", actor_id="ada", metadata={"title": HOSTILE, "excerpt": HOSTILE}))
    await office.letters()
    mail = parsed(office.smtp.received.items[0].raw)
    assert mail["Bcc"] is None
    assert mail["Subject"].startswith("Ada likes <img src=x onerror=alert(1)>")
    html = mail.get_body(("html",)).get_content()
    assert set(re.findall(r"<(script|img)\b", html)) == set()
    assert "&lt;script&gt;alert(2)&lt;/script&gt;" in html


async def test_long_names_and_emoji_arrive_whole(office: Office, api: httpx.AsyncClient) -> None:
    family = "👨\u200d👩\u200d👧\u200d👦"
    await office.meet("Zoe")
    name = "Ünïcödé " * 11 + family
    await office.accounts.upsert([_called("zoe", name)])
    await put(api, "like", {"en": {"subject": "{actor.name} 🎉", "body": "{actor.name}"}})
    await office.send(event("e1", actor_id="zoe"))
    await office.letters()
    raw = office.smtp.received.items[0].raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    header = next(value for key, value in parsed(raw).raw_items() if key == "Subject")
    assert str(make_header(decode_header(header))) == f"{name} 🎉"


def _called(external_id: str, name: str) -> Any:
    from nova.features.accounts.models import Upsert  # noqa: PLC0415  # one use

    return Upsert(external_id=external_id, name=name)


async def test_a_digest_has_words_of_its_own(office: Office, api: httpx.AsyncClient) -> None:
    await put(api, "digest", {"en": {"subject": "{count} things happened", "body": "{body}"}})
    await office.policy("like", digests={"email": DigestRule(window_s=0.01)})
    for number in range(3):
        await office.send(event(f"e{number}", actor_id="ada", related_entity_id=f"post-{number}"))
    await office.settled()

    async def closed() -> bool:
        await office.deliveries.digests.close_due()
        return office.smtp.received.count > 0

    await until(closed)
    letters = await office.letters()
    assert letters[0].headers["Subject"].endswith("things happened")
    assert "Ada liked your post" in letters[0].plain


async def test_a_default_serves_types_without_a_template(
    office: Office, api: httpx.AsyncClient
) -> None:
    await put(api, "default", {"en": {"subject": "[{brand|App}] {title}"}})
    await office.like("e1")
    (letter,) = await office.letters()
    assert letter.headers["Subject"] == "[App] Ada liked your post"
    await put(api, "like", {"en": {"subject": "Like: {title}"}})
    await office.like("e2")
    assert (await office.letters(2))[1].headers["Subject"] == "Like: Ada liked your post"
    assert (await api.delete("/v1/mail-templates/like")).status_code == 204
    assert (await api.delete("/v1/mail-templates/like")).status_code == 404
    await office.like("e3")
    assert (await office.letters(3))[2].headers["Subject"] == "[App] Ada liked your post"


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        ('{"templates": {"en": {"subject": "{nobody}"}}}', "There is no placeholder"),
        ('{"templates": {"en": {"subject": "{metadata.x}"}}}', "its subject is empty"),
        ('{"templates": {}}', "it cannot be read"),
        ("not even JSON", "it cannot be read"),
    ],
)
async def test_a_template_that_fails_costs_no_mail_and_the_trace_says_so(
    office: Office, stored: str, why: str
) -> None:
    insert = "insert into deliveries.mail_templates values ('like', $1, now())"
    await office.pool.run(insert, stored)
    office.deliveries.mails.forget(None)
    await office.like("e1")
    (letter,) = await office.letters()
    assert letter.headers["Subject"] == "Ada liked your post"
    await office.ended(1)
    steps = [step.says for step in (await office.all.traces.event("e1")).steps]
    (said,) = [each for each in steps if "Nova's own words were used" in each]
    assert "mail template 'like'" in said
    assert why in said


async def test_a_layout_that_fails_costs_no_mail_either(office: Office) -> None:
    insert = "insert into deliveries.mail_templates values ('*layout', $1, now())"
    await office.pool.run(insert, '{"html": "<script>x</script>"}')
    office.deliveries.mails.forget(None)
    await office.like("e1")
    (letter,) = await office.letters()
    assert letter.html is not None
    assert "<script" not in letter.html
    (row,) = await office.ended(1)
    assert "Nova's own words were used" in str(row.text)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"en": {"subject": "{titel}"}}, "templates.en.subject", "did you mean {title}?"),
        ({"en": {"body": "a {b"}}, "templates.en.body", "character 3 is never closed"),
        ({"de": {"heading": "x}"}}, "templates.de.heading", "closes nothing"),
        ({"de": {}}, "fallback", "no words for 'en'"),
        ({"en": {"subject": "{actor.name.__class__}"}}, "templates.en.subject", "no placeholder"),
        ({"en": {"subject": "{0}"}}, "templates.en.subject", "no placeholder"),
    ],
)
async def test_a_bad_template_is_refused_with_the_place(
    api: httpx.AsyncClient, body: Any, field: str, says: str
) -> None:
    answer = await api.put("/v1/mail-templates/like", json={"templates": body})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "bad_mail_template")
    assert any(each["field"] == field and says in each["says"] for each in problem["problems"])
    assert (await api.get("/v1/mail-templates/like")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("like", {"templates": {}}),
        ("like", {"templates": {"en": {"subject": ""}}}),
        ("like", {"templates": {"en": {"subject": "x" * 513}}}),
        ("like", {"templates": {"en": {"body": "x" * 10_001}}}),
        ("like", {"templates": {f"en-{n}": {} for n in range(101)}}),
        ("like", {"templates": {"en\n": {}}}),
        ("like", {"templates": {"en": {"colour": "x"}}}),
        ("*layout", {"templates": {"en": {}}}),
        ("Like", {"templates": {"en": {}}}),
        ("like", {"templates": {f"a{c}": {"body": "x" * 9_999} for c in "abcdefgh"}}),
    ],
)
async def test_sizes_and_names_are_bounded(api: httpx.AsyncClient, path: str, body: Any) -> None:
    answer = await api.put(f"/v1/mail-templates/{path}", json=body)
    assert answer.status_code in {400, 422}, answer.text
    assert MOST_BYTES < 80_000


@pytest.mark.parametrize(
    "layout",
    [
        {"colors": {"accent": "red;background:url(https://x)"}},
        {"url": "javascript:alert(1)"},
        {"logo": {"image": "x" * 40_000}},
        {"html": "<p>" * 30_000},
        {"html": "{body}{unsubscribe}<script>x</script>"},
    ],
)
async def test_a_bad_layout_is_refused(api: httpx.AsyncClient, layout: Any) -> None:
    answer = await api.put("/v1/mail-layout", json=layout)
    assert answer.status_code in {400, 422}, answer.text
    assert (await api.get("/v1/mail-layout")).json()["name"] == ""


async def test_a_draft_is_previewed_without_being_stored(api: httpx.AsyncClient) -> None:
    draft = {
        "locale": "de",
        "template": {"templates": {"de": {"subject": "Neu: {title}"}}, "fallback": "de"},
        "layout": LAYOUT_EXAMPLE,
    }
    answer = await api.post("/v1/mail-templates/like/preview", json=draft)
    seen = answer.json()
    assert seen["subject"] == "Neu: Ada Lovelace gefällt dein Beitrag"
    assert (seen["locale"], seen["dir"], seen["template"]) == ("de", "ltr", "like")
    assert 'src="data:image/png;base64,' in seen["html"]
    assert (await api.get("/v1/mail-templates")).json() == {"data": []}
    own = (await api.post("/v1/mail-templates/like/preview", json={"locale": "fr"})).json()
    assert own["subject"].startswith("Ada Lovelace a aimé")
    assert own["template"] == "nova"
    bad = {"template": {"templates": {"en": {"body": "{x}"}}}}
    refused = await api.post("/v1/mail-templates/like/preview", json=bad)
    assert refused.json()["problems"][0]["field"] == "templates.en.body"


async def test_links_into_apps_pass_where_they_are_allowed(
    office: Office, api: httpx.AsyncClient
) -> None:
    for number, (url, shown) in enumerate(
        [
            ("myapp://posts/1", True),
            ("javascript:alert(1)", False),
            ("data:text/html,x", False),
            ("other://posts/1", False),
        ]
    ):
        await office.send(event(f"e{number}", metadata={"url": url}))
        letters = await office.letters(number + 1)
        assert (f'href="{url}"' in str(letters[-1].html)) is shown
        assert (f"Open: {url}" in letters[-1].plain) is shown


async def test_a_mail_is_sent_to_try_a_template(office: Office, api: httpx.AsyncClient) -> None:
    await put(api, "like", WORDS)
    to = await api.post("/v1/mail-templates/like/test", json={"to": "ops@example.org"})
    assert (to.json()["verdict"], to.json()["carrier"]) == ("sent", "smtp")
    (letter,) = await office.letters()
    assert letter.recipient == "ops@example.org"
    assert letter.headers["Subject"] == to.json()["subject"]
    here = await api.post("/v1/mail-templates/like/test", json={"locale": "ar"})
    assert (here.json()["verdict"], here.json()["carrier"]) == ("sent", "outbox")
    assert office.smtp.received.count == 1
    (caught,) = (await api.get("/v1/outbox", params={"lane": "mail"})).json()["data"]
    assert caught["mail"]["subject"] == here.json()["subject"]
    assert caught["mail"]["from"] == SENDER
    assert caught["mail"]["html"] == caught["parcel"]["html"]
    assert caught["mail"]["text"] == caught["parcel"]["body"]
    answers = [await api.post("/v1/mail-templates/like/test", json={}) for _ in range(30)]
    late = [each for each in answers if each.status_code == 429]
    assert late
    assert late[0].headers["retry-after"]


async def test_the_catcher_keeps_no_image_and_hands_out_todays_logo_once(
    office: Office, api: httpx.AsyncClient
) -> None:
    await api.put("/v1/mail-layout", json=LAYOUT_EXAMPLE)
    for _ in range(2):
        await api.post("/v1/mail-templates/like/test", json={})
    caught = (await api.get("/v1/outbox")).json()
    ((cid, data),) = caught["images"].items()
    assert data.startswith("data:image/png;base64,")
    for each in caught["data"]:
        assert f'src="{cid}"' in each["mail"]["html"]
        assert "base64" not in str(each)
