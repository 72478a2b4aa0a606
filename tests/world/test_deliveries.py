"""From an event over HTTP to a rendered push and mail, on a whole server."""

from pathlib import Path
from typing import Any

from support.app import App, like
from support.deployment import deployed
from support.waiting import until


async def of(app: App, user: str, **which: Any) -> list[dict[str, Any]]:
    async with app.client() as client:
        answer = await client.get("/v1/deliveries", params={"user": user, **which})
    answer.raise_for_status()
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def done(app: App, user: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    async def enough() -> bool:
        found[:] = await of(app, user, phase="done")
        return len(found) >= count

    await until(enough)
    return found


async def test_a_like_is_pushed_mailed_and_explained(tmp_path: Path) -> None:
    async with deployed(tmp_path, NOVA_DELIVERIES_PUBLIC_URL="https://nova.example") as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        async with app.client(ben) as client:
            device = {"platform": "ios", "token": "6f8a" * 16}
            assert (await client.put("/v1/users/me/devices", json=device)).is_success
        async with app.client() as client:
            users = {"users": [{"external_id": ben, "email": "ben@example.org"}]}
            assert (await client.post("/v1/users/bulk", json=users)).is_success
            policy = await client.put("/v1/delivery-policies/like", json={})
            assert policy.is_success
        event = like(to=ben, by=ada, metadata={"title": "Tea"})
        await app.send(event)
        rows = await done(app, ben, 2)
        assert {(row["channel"], row["status"], row["code"]) for row in rows} == {
            ("push", "sent", "kept"),
            ("email", "sent", "kept"),
        }
        async with app.client() as client:
            outbox = (await client.get("/v1/outbox", params={"user": ben})).json()["data"]
            lanes = (await client.get("/v1/delivery-lanes")).json()["data"]
        parcels = {each["lane"]: each["parcel"] for each in outbox}
        assert parcels["ios"]["title"] == f"{ada} liked Tea"
        assert parcels["ios"]["badge"] == 1
        assert parcels["mail"]["unsubscribe_url"].startswith("https://nova.example/v1/unsubscribe/")
        assert {lane["lane"]: lane["carrier"] for lane in lanes}["ios"] == "outbox"
        status, said = await deployment.run("trace", event["id"])
        assert status == 0, said
        assert "push_sent" in said
        assert "email_sent" in said

        # What a digest or quiet hours hold, jobs let go of by themselves.
        async with app.client() as client:
            rule = {"digests": {"push": {"window_s": 0.5}, "email": {"window_s": 0.5}}}
            assert (await client.put("/v1/delivery-policies/like", json=rule)).is_success
        await app.send(*(like(to=ben, by=ada, related_entity_id=f"p{n}") for n in range(3)))
        rows = await done(app, ben, 4)
        assert {row["kind"] for row in rows[:2]} == {"digest"}
        assert rows[0]["title"] == "3 new notifications"


async def test_what_waits_for_a_killed_server_goes_out_after_it(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        async with app.client(ben) as client:
            device = {"platform": "android", "token": "token"}
            assert (await client.put("/v1/users/me/devices", json=device)).is_success
        events = [like(to=ben, by=ada) for _ in range(25)]
        await app.send(*events)
        await deployment.strike()
        await deployment.gone()
        app = await deployment.start()
        rows = await done(app, ben, 25)
        assert len({row["notification"] for row in rows}) == 25
