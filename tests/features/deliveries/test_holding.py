"""Quiet hours hold, standbys wait, and what people do meanwhile counts."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from nova.features.deliveries.policies import Rate, Throttle
from nova.features.deliveries.quiet import WEEK, Schedule, Window
from nova.features.deliveries.quiet_hours import AlwaysQuiet, Trial, UnknownZone
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.models import Changes, Mark, Marking
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import Delivered, delivered, outcome
from support.notified import event
from support.waiting import until

EVENING = datetime(2026, 3, 28, 22, 30, tzinfo=UTC)  # 23:30 in Berlin, the night of the change
NIGHTS = Schedule(days={day: [Window(start="22:00", end="08:00")] for day in WEEK})
MORNING = datetime(2026, 3, 29, 6, 0, tzinfo=UTC)  # 08:00 in Berlin, by then in summer time


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


@pytest.fixture
async def night(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    """Ben sleeps in Berlin, and has a phone and a mailbox."""
    async with delivered(dsn, clock=clock) as here:
        for kind in ("like", "comment"):
            await here.policy(kind)
        await here.policy("message", urgent=True)
        await here.phone("ben")
        await here.mailbox("ben")
        await here.lives_in("ben", "Europe/Berlin")
        await here.deliveries.quiet.put(here.ids["ben"], NIGHTS)
        yield here


def until_morning(clock: ManualClock, seconds: float = 1) -> None:
    clock.advance((MORNING - clock.now()).total_seconds() + seconds)


async def test_push_and_mail_are_held_over_the_change_and_put_together(
    night: Delivered, clock: ManualClock
) -> None:
    for n, who in enumerate(("ada", "cleo", "ada")):
        await night.like(f"e{n}", by=who)
    held = await night.planned(6)
    assert {(row.phase, row.reason, row.next_at) for row in held} == {
        ("held", "quiet_hours", MORNING)
    }
    assert len(await night.inbox("ben")) == 3  # the inbox is never held
    until_morning(clock, -2)
    assert await night.deliveries.release.due() == 0
    until_morning(clock)
    await night.deliveries.release.due()
    rows = await night.ended(6)
    assert sorted(row.phase for row in rows) == ["done"] * 2 + ["merged"] * 4
    (push,), (mail,) = night.ios.parcels, night.mail.parcels
    assert push.title == "3 new notifications"
    assert push.body.splitlines()[0] == "Ada liked your post"
    assert mail.html is not None
    assert {row.merged_into for row in rows if row.phase == "merged"} == {push.id, mail.id}


async def test_what_was_seen_elsewhere_meanwhile_is_not_released(
    night: Delivered, clock: ManualClock
) -> None:
    await night.like("e1")
    await night.send(event("e2", event_type="comment", actor_id="ada"))
    await night.planned(4)
    (newest, _) = await night.inbox("ben")
    await night.all.inbox.mark_one(night.ids["ben"], UUID(newest["id"]), Mark.SEEN)
    await night.ended(2)
    until_morning(clock)
    await night.deliveries.release.due()
    await night.ended(4)
    assert night.ios.titles == ["Ada liked your post"]
    story = await night.all.traces.event("e2")
    assert any("seen elsewhere" in step.says for step in story.steps)


async def test_all_that_was_read_up_to_a_point_is_cancelled(
    night: Delivered, clock: ManualClock
) -> None:
    for n in range(3):
        await night.like(f"e{n}")
    await night.planned(6)
    await night.all.inbox.mark(night.ids["ben"], Marking(mark=Mark.READ, all=True))
    assert {row.reason for row in await night.ended(6)} == {"seen_elsewhere"}


async def test_who_wants_it_no_more_by_the_morning_does_not_get_it(
    night: Delivered, clock: ManualClock
) -> None:
    await night.like("e1")
    await night.planned(2)
    await night.all.preferences.patch(night.ids["ben"], Changes(types={"like": {"push": False}}))
    until_morning(clock)
    await night.deliveries.release.due()
    rows = {row.channel: row for row in await night.ended(2)}
    assert (rows["push"].phase, rows["push"].reason) == ("dropped", "preference")
    assert rows["push"].rule == "types.like.push"
    assert rows["email"].status == "sent"


async def test_who_moves_west_is_held_until_the_morning_there(
    night: Delivered, clock: ManualClock
) -> None:
    await night.like("e1")
    await night.planned(2)
    await night.lives_in("ben", "America/New_York")
    until_morning(clock)
    await night.deliveries.release.due()
    rows = await night.ledger()
    assert {row.next_at for row in rows} == {datetime(2026, 3, 29, 12, 0, tzinfo=UTC)}


async def test_who_ends_quiet_hours_gets_everything_at_once(
    night: Delivered, clock: ManualClock
) -> None:
    await night.like("e1")
    await night.planned(2)
    await night.deliveries.quiet.remove(night.ids["ben"])
    await night.deliveries.release.due()
    await night.ended(2, status="sent")


async def test_a_critical_type_wakes_even_those_who_turned_everything_off(
    night: Delivered,
) -> None:
    await night.all.types.put(
        "alarm", Kind(templates={"en": Wording("Somebody signed in as you")}, critical=True)
    )
    await night.all.preferences.patch(
        night.ids["ben"], Changes(channels={"push": False, "in_app": False})
    )
    await night.send(event("e1", event_type="alarm"))
    await night.ended(2, status="sent")
    assert night.ios.titles == ["Somebody signed in as you"]
    assert night.ios.parcels[0].urgent


async def test_one_thing_can_be_muted_and_the_rest_goes_on(dsn: str) -> None:
    async with delivered(dsn) as here:
        await here.phone("ben")
        await here.all.preferences.patch(
            here.ids["ben"], Changes(objects={"post-1": {"push": False}})
        )
        await here.send(event("e1", actor_id="ada", related_entity_id="post-1"))
        await here.send(event("e2", actor_id="ada", related_entity_id="post-2"))
        rows = await here.ended(2)
        assert (rows[0].phase, rows[0].rule) == ("dropped", "objects.post-1.push")
        assert rows[1].status == "sent"


async def test_mail_goes_out_when_nothing_was_seen_for_a_while(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock) as here:
        await here.phone("ben")
        await here.mailbox("ben")
        for id_ in ("e1", "e2"):
            await here.send(event(id_, event_type="message", actor_id="ada"))
        rows = await here.planned(4)
        assert {row.phase for row in rows if row.channel == "email"} == {"standby"}
        (_, oldest) = await here.inbox("ben")
        await here.all.inbox.mark_one(here.ids["ben"], UUID(oldest["id"]), Mark.SEEN)
        await here.ended(3)
        clock.advance(899)
        assert await here.deliveries.release.due() == 0
        clock.advance(2)
        await here.deliveries.release.due()
        await here.ended(4)
        assert len(here.mail.parcels) == 1
        assert here.mail.parcels[0].data["notification"] != oldest["id"]


async def test_mail_takes_over_at_once_when_every_push_bounced(dsn: str) -> None:
    async with delivered(dsn) as here:
        here.ios.always = outcome(Verdict.GONE, "Unregistered")
        await here.phone("ben", "one")
        await here.phone("ben", "two")
        await here.mailbox("ben")
        await here.send(event("e1", event_type="message", actor_id="ada"))
        await here.ended(3)
        (mail,) = await here.ledger(channel="email")
        assert (mail.status, mail.attempts) == ("sent", 1)


async def test_a_throttle_keeps_the_rest_in_the_inbox(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", throttle=Throttle(limit=3, per_s=60))
        await here.phone("ben")
        for n in range(5):
            await here.like(f"e{n}")
        rows = await here.ended(5)
        assert [row.phase for row in rows].count("done") == 3
        assert {row.reason for row in rows if row.phase == "dropped"} == {"throttled"}
        clock.advance(20)
        await here.like("later")
        assert (await here.ended(6))[-1].phase == "done"
        assert len(await here.inbox("ben")) == 6


async def test_a_types_rate_lets_the_rest_wait_for_their_turn(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock) as here, delivered(dsn, clock=clock) as other:
        await here.policy("like", rate=Rate(limit=2, per_s=60), ttl_s=100.0)
        other.deliveries.policies.forget(None)
        for who, by in (("ada", "ben"), ("ben", "ada"), ("cleo", "ada")):
            await here.phone(who)
            await here.send(*(event(f"{who}-{n}", recipient_id=who, actor_id=by) for n in "12"))
        rows = [row for who in ("ada", "ben", "cleo") for row in await here.planned(2, who)]
        # Two at once, then one every half minute; one would come when it is worth nothing.
        due = sorted((row.next_at - EVENING).total_seconds() for row in rows if row.next_at)
        later = [seconds for seconds in due if seconds > 0]
        assert later == [30.0, 60.0, 90.0]
        assert [row.reason for row in rows if row.phase == "dropped"] == ["rate"]
        clock.advance(31)

        async def three_sent() -> bool:
            found = [row for who in ("ada", "ben", "cleo") for row in await here.ledger(who)]
            return sum(row.status == "sent" for row in found) == 3

        await until(three_sent)


async def test_hours_that_never_end_are_refused_and_so_is_a_made_up_zone(
    night: Delivered,
) -> None:
    always = Schedule(days={day: [Window(start="00:00", end="00:00")] for day in WEEK})
    with pytest.raises(AlwaysQuiet):
        await night.deliveries.quiet.put(night.ids["ben"], always)
    with pytest.raises(UnknownZone):
        await night.deliveries.quiet.put(night.ids["ben"], Schedule(timezone="Mars/Olympus"))


async def test_a_trial_changes_nothing_and_shows_a_day(night: Delivered) -> None:
    noon = Schedule(days={"sun": [Window(start="12:00", end="13:00")]})
    at = datetime(2026, 3, 29, 10, 30, tzinfo=UTC)
    found = await night.deliveries.quiet.simulate(night.ids["ben"], Trial(schedule=noon, at=at))
    assert (found.quiet, found.timezone) == (True, "Europe/Berlin")
    assert found.release_at == at + timedelta(minutes=30)
    assert [piece.quiet for piece in found.ribbon] == [True, False]
    assert (await night.deliveries.quiet.get(night.ids["ben"])).schedule == NIGHTS
