"""How far deliveries came, by channel."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from nova.features.deliveries.funnel import BOUNDS_S
from nova.features.deliveries.policies import DigestRule
from nova.features.deliveries.quiet import WEEK, Schedule, Window
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import Delivered, api_of_world, delivered, outcome
from support.http import SERVER, bearer
from support.notified import event

NOON = datetime.now(UTC).replace(hour=12)
AFTERNOONS = Schedule(days={day: [Window(start="11:00", end="18:00")] for day in WEEK})
KEY = bearer(SERVER)
TOOK = """
select d.sent_at - n.accepted_at as took
  from deliveries.deliveries d join notifications.inbox n on n.id = d.notification
 where d.channel = 'push' order by 1
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    async with delivered(dsn, clock=clock) as one:
        yield one


@pytest.fixture
async def api(here: Delivered) -> AsyncIterator[httpx.AsyncClient]:
    async with api_of_world(here) as client:
        yield client


async def counted(api: httpx.AsyncClient, **query: int) -> dict[str, dict[str, int]]:
    answer = await api.get("/v1/deliveries/funnel", params=query, headers=KEY)
    assert answer.status_code == 200, answer.text
    return {
        each.pop("channel"): {
            name: count for name, count in each.items() if count and name != "latency"
        }
        for each in answer.json()["data"]
    }


async def test_each_channel_counts_its_steps(here: Delivered, api: httpx.AsyncClient) -> None:
    assert await counted(api) == {}
    await here.policy("like")
    await here.policy("follow", digests={"email": DigestRule(window_s=3_600.0)})
    await here.phone("ben")
    await here.mailbox("ben")
    here.mail.always = outcome(Verdict.REFUSED, "5.3.4", text="too big")
    await here.like("e0")
    await here.like("e1")
    await here.ended(4)
    await here.deliveries.log.receipt(
        next(each.id for each in await here.ledger(channel="push")), None, "opened"
    )
    await here.deliveries.quiet.put(here.ids["ben"], AFTERNOONS)
    await here.send(event("f0", event_type="follow", actor_id="ada"))
    await here.planned(5)
    assert await counted(api) == {
        "push": {"planned": 3, "tried": 2, "sent": 2, "delivered": 1, "opened": 1, "held": 1},
        "email": {"planned": 2, "tried": 2, "dead": 2, "open_digests": 1},
    }


async def test_what_is_older_is_left_out(
    here: Delivered, api: httpx.AsyncClient, clock: ManualClock
) -> None:
    await here.policy("like")
    await here.phone("ben")
    await here.like("e0")
    await here.ended()
    clock.advance(26 * 3_600)
    assert (await counted(api, hours=48))["push"] == {"planned": 1, "tried": 1, "sent": 1}
    assert await counted(api, hours=1) == {}


async def test_a_channel_tells_how_long_it_took_from_acceptance_until_sent(dsn: str) -> None:
    async with delivered(dsn) as here, api_of_world(here) as api:
        await here.policy("like")
        await here.phone("ben")
        await here.mailbox("ben")
        here.mail.always = outcome(Verdict.REFUSED, "5.3.4", text="too big")
        await here.like("e0")
        await here.like("e1")
        await here.ended(4)
        took = [row["took"].total_seconds() * 1_000 for row in await here.pool.fetch(TOOK)]
        email, push = (await api.get("/v1/deliveries/funnel", headers=KEY)).json()["data"]
    assert (email["tried"], email["latency"]) == (2, None)
    latency = push["latency"]
    # An id is made a moment after the time of acceptance was taken, and holds milliseconds.
    assert 0 < latency["p50_ms"] <= took[0] + 1
    assert latency["p50_ms"] <= latency["p99_ms"] <= took[1] + 1
    assert sum(each["count"] for each in latency["histogram"]) == 2
    assert [each["under_s"] for each in latency["histogram"]] == [*BOUNDS_S, None]


async def test_a_night_of_waiting_is_in_the_bucket_of_nights(dsn: str) -> None:
    async with delivered(dsn) as here, api_of_world(here) as api:
        await here.policy("like")
        await here.phone("ben")
        await here.like("e0")
        await here.ended(1)
        await here.pool.run("update deliveries.deliveries set sent_at = sent_at + interval '9 h'")
        [push] = (await api.get("/v1/deliveries/funnel", headers=KEY)).json()["data"]
    assert push["latency"]["histogram"][-1] == {"under_s": None, "count": 1}
    assert push["latency"]["p50_ms"] > 9 * 3_600_000
