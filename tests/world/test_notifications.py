from typing import Any

from support.app import App, like
from support.waiting import until


async def test_a_like_rings_on_the_open_socket_and_lies_in_the_inbox(app: App) -> None:
    ada, ben = await app.people(2)
    event = like(to=ben, by=ada)
    async with app.phone(ben) as phone:
        assert [result["status"] for result in await app.send(event)] == ["accepted"]
        await phone.until(lambda phone: phone.rings == [event["id"]])
    [notification] = await app.inbox(ben)
    assert notification["event_id"] == event["id"]
    assert await app.counts(ben) == {"unseen": 1, "unread": 1}


async def test_the_same_event_twice_rings_once(app: App) -> None:
    ada, ben = await app.people(2)
    first, last = like(to=ben, by=ada), like(to=ben, by=ada)
    async with app.phone(ben) as phone:
        await app.send(first)
        assert [result["status"] for result in await app.send(first, first, last)] == [
            "duplicate",
            "duplicate",
            "accepted",
        ]
        await phone.until(lambda phone: last["id"] in phone.rings)
    assert phone.rings == [first["id"], last["id"]]
    assert len(await app.inbox(ben)) == 2


async def test_who_likes_their_own_post_hears_nothing_and_can_ask_why(app: App) -> None:
    ada, ben = await app.people(2)
    own, other = like(to=ben, by=ben), like(to=ben, by=ada)
    async with app.phone(ben) as phone:
        await app.send(own, other)
        await phone.until(lambda phone: other["id"] in phone.rings)
    assert phone.rings == [other["id"]]
    async with app.client() as client:
        trace = (await client.get(f"/v1/events/{own['id']}/trace")).json()
    assert trace["outcome"] == "suppressed"
    assert trace["reason"] == "self_notification"


async def test_an_old_snapshot_and_the_events_since_equal_a_fresh_look(app: App) -> None:
    ada, ben = await app.people(2)
    events = [like(to=ben, by=ada) for _ in range(5)]
    async with app.phone(ben) as phone:
        await app.send(*events)
        await phone.until(lambda phone: len(phone.rings) == 5)
        async with app.client(ben) as client:
            [newest, *_] = await app.inbox(ben)
            answer = await client.post(f"/v1/notifications/{newest['id']}/read")
            assert answer.is_success
        await phone.until(lambda phone: phone.heard[-1]["type"] == "marks")
        assert {key: phone.heard[-1][key] for key in ("unseen", "unread")} == await app.counts(ben)
    assert phone.rings[::-1] == [each["event_id"] for each in await app.inbox(ben)]


async def test_how_a_consumer_keeps_up_is_told(app: App) -> None:
    """By the API, and in the same numbers by /metrics."""
    ada, ben = await app.people(2)

    async def told() -> dict[str, Any]:
        async with app.client() as client:
            answer = await client.get("/v1/consumers")
        assert answer.status_code == 200, answer.text
        [found] = [one for one in answer.json()["data"] if one["consumer"] == "notifications"]
        return dict(found)

    before = await told()
    events = [like(to=ben, by=ada) for _ in range(7)]
    async with app.phone(ben) as phone:
        await app.send(*events)
        await phone.until(lambda phone: len(phone.rings) == len(events))

    async def counted() -> bool:
        now = await told()
        return bool(now["events"] >= before["events"] + len(events) and now["lag_s"] == 0)

    await until(counted)
    after = await told()
    assert after["batches"] > before["batches"]
    assert (after["failures"], after["dead_letters"]) == (0, 0)
    assert after["last_batch_size"] >= 1
    assert after["last_batch_at"] > (before["last_batch_at"] or "")
    async with app.client() as client:
        lines = (await client.get("/metrics")).text.splitlines()
    assert 'nova_log_lag_seconds{consumer="notifications"} 0.0' in lines
    assert any(line.startswith('nova_log_events_total{consumer="notifications"}') for line in lines)
