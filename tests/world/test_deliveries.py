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


async def ended(app: App, user: str, phase: str, count: int) -> list[dict[str, Any]]:
    """Wait until that many of somebody's deliveries are in a phase."""
    found: list[dict[str, Any]] = []

    async def enough() -> bool:
        found[:] = await of(app, user, phase=phase)
        return len(found) >= count

    await until(enough)
    return found


async def done(app: App, user: str, count: int) -> list[dict[str, Any]]:
    return await ended(app, user, "done", count)


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


async def reachable(app: App, *users: str) -> None:
    """Give people a phone each."""
    async with app.client() as client:
        for user in users:
            device = {"platform": "android", "token": f"token-of-{user}"}
            assert (await client.put(f"/v1/users/{user}/devices", json=device)).is_success


async def test_what_waits_for_a_killed_server_goes_out_after_it(tmp_path: Path) -> None:
    """To one person each: neither what Ada does to one nor what one gets is bounded here."""
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, *liked = await app.people(26)
        await reachable(app, *liked)
        await app.send(*(like(to=user, by=ada) for user in liked))
        await deployment.strike()
        await deployment.gone()
        app = await deployment.start()
        rows = [row for user in liked for row in await done(app, user, 1)]
        assert len({row["notification"] for row in rows}) == len(rows) == 25


async def test_a_killed_server_counts_what_one_person_causes_once(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        await reachable(app, ben)
        async with app.client() as client:
            rule = {"per_actor": {"limit": 5, "per_s": 86_400}}
            assert (await client.put("/v1/delivery-policies/like", json=rule)).is_success
        await app.send(*(like(to=ben, by=ada) for _ in range(25)))
        await deployment.strike()
        await deployment.gone()
        app = await deployment.start()
        assert len(await ended(app, ben, "dropped", 20)) == 20
        assert len(await ended(app, ben, "done", 5)) == 5
