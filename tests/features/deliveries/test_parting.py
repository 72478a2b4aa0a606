"""One push that speaks for several goes on speaking for those that are left."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from nova.features.deliveries.quiet import Schedule
from nova.features.notifications.models import Mark, Marking
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import SENT, Delivered, delivered, outcome
from support.notified import event
from support.waiting import until

CLOSE = "update deliveries.lanes set paused_until = $1 where lane = 'ios'"
BY = ("ada", "cleo", "ada")


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    """Three likes, of Ada, Cleo and Ada, became one push to Ben, whose lane is closed."""
    async with delivered(dsn, clock=clock) as one:
        await one.policy("like")
        await one.phone("ben")
        hour = Schedule(snooze_until=clock.now() + timedelta(hours=1))
        await one.deliveries.quiet.put(one.ids["ben"], hour)
        for n, who in enumerate(BY):
            title = {"title": f"Post {n}"}
            await one.send(event(f"e{n}", actor_id=who, metadata=title))
            await one.planned(n + 1, phase="held")
        await one.pool.run(CLOSE, clock.now() + timedelta(days=1))
        clock.advance(3_601)
        await one.deliveries.release.due()
        (waiting,) = await one.planned(1, phase="waiting")
        assert waiting.title == "3 new notifications"
        yield one


async def opens(here: Delivered, pushes: int = 1) -> None:
    """Open the lane again, and wait for so many pushes."""
    await here.deliveries.release.due()
    await here.deliveries.resume("ios", "forgive")
    await here.sees(lambda: len(here.ios.parcels) >= pushes)


async def shown(here: Delivered, number: int) -> UUID:
    return UUID((await here.inbox("ben"))[::-1][number]["id"])


async def takes_back(here: Delivered, *numbers: int) -> None:
    for id_ in [await shown(here, number) for number in numbers]:
        await here.all.removal.delete(here.ids["ben"], id_)
    await here.planned(len(numbers), phase="dropped")


async def test_when_the_newest_is_taken_back_the_next_one_speaks_for_the_rest(
    here: Delivered,
) -> None:
    await takes_back(here, 2)
    await opens(here)
    (push,) = here.ios.parcels
    assert push.title == "2 new notifications"
    assert push.body.splitlines() == ["Cleo liked Post 1", "Ada liked Post 0"]
    rows = await here.ended(3)
    assert [row.phase for row in rows] == ["merged", "done", "dropped"]
    assert rows[0].merged_into == rows[1].id == push.id
    story = await here.all.traces.event("e1")
    assert any(step.step == "push_sent" for step in story.steps)


async def test_an_older_one_that_is_taken_back_is_not_named(here: Delivered) -> None:
    await takes_back(here, 1)
    await opens(here)
    (push,) = here.ios.parcels
    assert push.body.splitlines() == ["Ada liked Post 2", "Ada liked Post 0"]


async def test_the_last_one_speaks_for_itself(here: Delivered) -> None:
    await takes_back(here, 2, 0)
    await opens(here)
    assert here.ios.titles == ["Cleo liked Post 1"]


async def test_a_push_says_nothing_of_somebody_who_was_blocked(here: Delivered) -> None:
    await here.block("ben", "ada")
    await here.planned(2, phase="dropped")
    await opens(here)
    assert here.ios.titles == ["Cleo liked Post 1"]


async def test_when_all_were_read_nothing_goes_out(here: Delivered) -> None:
    await here.all.inbox.mark(here.ids["ben"], Marking(mark=Mark.READ, all=True))
    rows = await here.ended(3)
    assert {(row.phase, row.reason) for row in rows} == {("dropped", "seen_elsewhere")}
    await here.deliveries.release.due()
    assert here.ios.parcels == []


async def cancelled(here: Delivered, count: int) -> None:
    marked = "select count(*) from deliveries.deliveries where cancelled is not null"

    async def marks() -> bool:
        return bool(await here.pool.value(marked) == count)

    await until(marks)


async def test_when_the_newest_is_taken_back_under_way_the_rest_follow_its_recall(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    await opens(here)
    await here.all.removal.delete(here.ids["ben"], await shown(here, 2))
    await cancelled(here, 1)
    here.ios.open.set()
    await here.sees(lambda: len(here.ios.parcels) == 2)
    first, recall = here.ios.parcels
    assert recall.collapse_id == first.collapse_id
    await opens(here, 3)
    assert here.ios.titles == ["3 new notifications", "", "2 new notifications"]
    assert here.ios.parcels[2].collapse_id != first.collapse_id


async def test_what_was_read_while_the_push_was_tried_in_vain_does_not_follow(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    here.ios.answers = [outcome(Verdict.RETRY, "503")]
    here.ios.always = SENT
    await opens(here)
    for number in (0, 2):
        await here.all.inbox.mark_one(here.ids["ben"], await shown(here, number), Mark.READ)
    await cancelled(here, 2)
    here.ios.open.set()
    await here.planned(2, phase="dropped")
    await opens(here, 2)
    assert here.ios.titles == ["3 new notifications", "Cleo liked Post 1"]


async def test_what_is_tried_again_names_nothing_that_was_taken_back_meanwhile(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    here.ios.answers = [outcome(Verdict.RETRY, "503")]
    await opens(here)
    await here.all.removal.delete(here.ids["ben"], await shown(here, 1))
    await cancelled(here, 1)
    here.ios.open.set()
    await here.planned(1, phase="dropped")
    await opens(here, 2)
    assert here.ios.parcels[1].body.splitlines() == ["Ada liked Post 2", "Ada liked Post 0"]
    assert here.ios.parcels[1].collapse_id == here.ios.parcels[0].collapse_id
