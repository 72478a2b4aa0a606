"""How far deliveries came, by channel."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

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
        each.pop("channel"): {name: count for name, count in each.items() if count}
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
    await here.deliveries.receipt(
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
