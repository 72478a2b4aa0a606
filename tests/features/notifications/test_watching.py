"""What operators watch: the newest events, and how far they came."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from nova.kernel.clock import ManualClock
from support.http import SERVER, api_client, bearer
from support.notified import World, event, world

KEY = bearer(SERVER)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[World]:
    async with world(dsn, clock=clock) as one:
        yield one


@pytest.fixture
async def api(here: World) -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(here.feature.routes, here) as client:
        yield client


async def asked(api: httpx.AsyncClient, path: str, **query: Any) -> Any:
    answer = await api.get(path, params=query, headers=KEY)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_newest_events_come_first_with_what_became_of_each(
    here: World, api: httpx.AsyncClient
) -> None:
    await here.like("liked")
    await here.send(event("own", actor_id="ben"), event("lost", recipient_id="nobody"))
    await here.settled()
    data = (await asked(api, "/v1/events"))["data"]
    assert {told["event_id"]: told["outcome"] for told in data} == {
        "liked": "stored",
        "own": "suppressed",
        "lost": "suppressed",
    }
    assert [told["notification"] for told in data] == sorted(
        (told["notification"] for told in data), reverse=True
    )
    told = {each["event_id"]: each for each in data}
    assert (told["liked"]["title"], told["liked"]["name"]) == ("Ada liked your post", "Ben")
    assert told["own"]["reason"] == "self_notification"
    assert (told["lost"]["recipient"], told["lost"]["reason"]) == ("nobody", "unknown_recipient")


async def test_the_tail_is_paged_over_both_ends(here: World, api: httpx.AsyncClient) -> None:
    for n in range(5):
        await here.send(event(f"e{n}", actor_id="ben" if n % 2 else "ada"))
    await here.settled()
    page = await asked(api, "/v1/events", limit=2)
    pages = [page["data"]]
    while page["next_cursor"]:
        page = await asked(api, "/v1/events", limit=2, cursor=page["next_cursor"])
        pages.append(page["data"])
    assert [len(each) for each in pages] == [2, 2, 1]
    assert [told["event_id"] for each in pages for told in each] == ["e4", "e3", "e2", "e1", "e0"]
    forged = await api.get("/v1/events", params={"cursor": "AAAA"}, headers=KEY)
    assert (forged.status_code, forged.json()["code"]) == (400, "bad_cursor")


async def test_the_funnel_counts_what_was_seen_read_suppressed_and_taken_back(
    here: World, api: httpx.AsyncClient
) -> None:
    for n in range(3):
        await here.like(f"e{n}")
    await here.send(event("own", actor_id="ben"))
    await here.settled()
    data = (await api.get("/v1/notifications", headers=bearer("ben"))).json()["data"]
    await api.post(f"/v1/notifications/{data[0]['id']}/read", headers=bearer("ben"))
    await api.post(f"/v1/notifications/{data[1]['id']}/seen", headers=bearer("ben"))
    await api.delete(f"/v1/notifications/{data[2]['id']}", headers=bearer("ben"))
    counted = await asked(api, "/v1/events/funnel")
    del counted["since"]
    assert counted == {
        "decided": 4,
        "stored": 3,
        "seen": 2,
        "read": 1,
        "suppressed": {"self_notification": 1},
        "removed": {"deleted": 1},
    }


async def test_the_funnel_leaves_out_what_is_older(
    here: World, api: httpx.AsyncClient, clock: ManualClock
) -> None:
    await here.like("e0")
    await here.send(event("own", actor_id="ben"))
    await here.settled()
    clock.advance(timedelta(hours=2).total_seconds())
    assert (await asked(api, "/v1/events/funnel", hours=24))["decided"] == 2
    assert (await asked(api, "/v1/events/funnel", hours=1))["decided"] == 0
    assert (await api.get("/v1/events/funnel?hours=0", headers=KEY)).status_code == 422
