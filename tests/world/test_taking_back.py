"""What is gone is gone on a whole server: from the inbox, the open socket and the phone."""

from pathlib import Path
from typing import Any

from support.app import App
from support.deployment import deployed
from support.waiting import until


async def call(app: App, user: str | None, method: str, path: str, body: Any = None) -> Any:
    async with app.client(user) as client:
        answer = await client.request(method, f"/v1/{path}", json=body)
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


async def parcels(app: App, user: str) -> dict[str, list[dict[str, Any]]]:
    """Return what went out to somebody, by lane, the oldest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in reversed((await call(app, None, "GET", f"outbox?user={user}"))["data"]):
        found.setdefault(each["lane"], []).append(each["parcel"])
    return found


async def test_a_deleted_comment_is_told_by_no_way(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben, cleo = await app.people(3)
        device = {"platform": "ios", "token": "6f8a" * 16}
        await call(app, ben, "PUT", "users/me/devices", device)
        post = (await call(app, ben, "POST", "posts", {"text": "hello"}))["id"]
        async with app.phone(ben) as phone:
            path = f"posts/{post}/comments"
            gone = await call(app, ada, "POST", path, {"text": "a secret"})
            await call(app, cleo, "POST", path, {"text": "to be read"})
            await phone.until(lambda phone: len(phone.rings) == 2)

            async def both_pushed() -> bool:
                return len((await parcels(app, ben)).get("ios", ())) == 2

            await until(both_pushed)
            secret = next(
                each for each in (await parcels(app, ben))["ios"] if each["body"] == "a secret"
            )
            await call(app, ada, "DELETE", f"comments/{gone['id']}")

            async def left_the_inbox() -> bool:
                return len(await app.inbox(ben)) == 1

            await until(left_the_inbox)
            assert await app.counts(ben) == {"unseen": 1, "unread": 1}

            await phone.until(lambda phone: phone.heard[-1]["type"] == "removed")

            async def recalled() -> bool:
                return "nova" in (await parcels(app, ben))["ios"][-1]["data"]

            await until(recalled)
        kept, recall = (await parcels(app, ben))["ios"]
        assert kept["body"] == "to be read"  # the sink shows what a phone would show
        assert recall["data"]["nova"] == "recall"
        assert recall["collapse_id"] == secret["collapse_id"]
        for path in (f"deliveries?user={ben}", "notifications"):
            user = ben if path == "notifications" else None
            assert "secret" not in str(await call(app, user, "GET", path))
