"""Every delivery that was planned is told of when it ends, whatever ends it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from nova.features.deliveries.quiet import Schedule
from nova.features.deliveries.webhooks import NewWebhook
from nova.features.graph.models import Act
from nova.features.notifications.models import Changes, Mark, Marking
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from nova.ports.database import Row
from support.delivered import Delivered, delivered, outcome
from support.waiting import until

TOLD = """
select body::jsonb->>'type' as type, body::jsonb->'data'->>'reason' as reason
  from deliveries.deliveries where lane = 'hook' order by id
"""


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    """Ben's phone is asleep for an hour, and somebody hears of deliveries that are dropped."""
    async with delivered(dsn, clock=clock) as one:
        await one.policy("like")
        await one.phone("ben")
        hour = Schedule(snooze_until=clock.now() + timedelta(hours=1))
        await one.deliveries.quiet.put(one.ids["ben"], hour)
        hook = NewWebhook(url="http://127.0.0.1:1/", events=["delivery.dropped"])
        await one.deliveries.webhooks.add(hook)
        await one.like("e1")
        await one.planned(1, phase="held")
        yield one


async def told(here: Delivered) -> list[str | None]:
    """Wait for a call of the webhook, and return why deliveries were dropped."""
    rows: list[Row] = []

    async def any_call() -> bool:
        rows[:] = await here.pool.fetch(TOLD)
        return bool(rows)

    await until(any_call)
    assert {row["type"] for row in rows} == {"delivery.dropped"}
    return [row["reason"] for row in rows]


async def shown(here: Delivered) -> UUID:
    (notification,) = await here.inbox("ben")
    return UUID(notification["id"])


async def wakes(here: Delivered) -> None:
    assert isinstance(here.clock, ManualClock)
    here.clock.advance(3_601)
    await here.deliveries.release.due()


async def reads(here: Delivered) -> None:
    await here.all.inbox.mark_one(here.ids["ben"], await shown(here), Mark.READ)


async def reads_all(here: Delivered) -> None:
    await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.READ, all=True))


async def deletes(here: Delivered) -> None:
    await here.all.removal.delete(here.ids["ben"], await shown(here))


async def blocks(here: Delivered) -> None:
    await here.block("ben", "ada")


async def mutes(here: Delivered) -> None:
    await here.graph.change(Act.MUTE, here.ids["ben"], here.ids["ada"])


async def turns_it_off_and_wakes(here: Delivered) -> None:
    off = Changes(types={"like": {"push": False}})
    await here.all.preferences.patch(here.ids["ben"], off)
    await wakes(here)


async def sleeps_too_long(here: Delivered) -> None:
    assert isinstance(here.clock, ManualClock)
    here.clock.advance(3 * 86_400)
    await here.deliveries.sweep()


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        (reads, "seen_elsewhere"),
        (reads_all, "seen_elsewhere"),
        (deletes, "removed"),
        (blocks, "removed"),
        (mutes, "muted"),
        (turns_it_off_and_wakes, "preference"),
        (sleeps_too_long, "expired"),
    ],
)
async def test_whatever_drops_a_delivery_that_waited_is_told(
    here: Delivered, does: Callable[[Delivered], Awaitable[None]], reason: str
) -> None:
    await does(here)
    assert await told(here) == [reason]


async def test_what_was_cancelled_under_way_is_told_once(here: Delivered) -> None:
    here.ios.open.clear()
    here.ios.always = outcome(Verdict.RETRY, "500")
    await wakes(here)
    await here.sees(lambda: here.ios.parcels)
    await reads(here)
    marked = "select count(*) from deliveries.deliveries where cancelled is not null"

    async def cancelled() -> bool:
        return bool(await here.pool.value(marked))

    await until(cancelled)
    here.ios.open.set()
    assert await told(here) == ["seen_elsewhere"]


async def test_what_was_never_planned_has_no_end(here: Delivered) -> None:
    off = Changes(types={"like": {"push": False}})
    await here.all.preferences.patch(here.ids["ben"], off)
    await here.like("e2")
    await here.planned(1, phase="dropped")
    await deletes_all(here)
    assert await told(here) == ["removed"]


async def deletes_all(here: Delivered) -> None:
    for each in await here.inbox("ben"):
        await here.all.removal.delete(here.ids["ben"], UUID(each["id"]))


async def test_nobody_is_told_of_those_that_another_push_speaks_for(here: Delivered) -> None:
    await here.like("e2")
    await here.planned(2, phase="held")
    await wakes(here)
    await here.ended(2)
    assert here.ios.titles == ["2 new notifications"]
    off = Changes(types={"like": {"push": False}})
    await rests_again_and_wakes_without(here, off)
    assert await told(here) == ["preference"]  # that of the third alone


async def rests_again_and_wakes_without(here: Delivered, off: Changes) -> None:
    hour = Schedule(snooze_until=here.clock.now() + timedelta(hours=1))
    await here.deliveries.quiet.put(here.ids["ben"], hour)
    await here.like("e3")
    await here.planned(1, phase="held")
    await here.all.preferences.patch(here.ids["ben"], off)
    await wakes(here)
