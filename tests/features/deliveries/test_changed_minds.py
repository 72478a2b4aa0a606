"""What waits for its turn, for days at times, goes out only if it is still wanted then."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from nova.features.deliveries.policies import DigestRule
from nova.features.deliveries.quiet import Schedule
from nova.features.deliveries.webhooks import NewWebhook
from nova.features.notifications.catalogue import Kind, Wording
from nova.features.notifications.models import Changes, Mark
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import Delivered, delivered, outcome
from support.notified import event
from support.waiting import until

AN_HOUR_S = 3_601


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    """The servers of phones and mail are out of order: they take nothing for a while."""
    async with delivered(dsn, clock=clock) as one:
        await one.policy("like")
        await one.policy("comment")
        for lane in ("ios", "mail"):
            one.carriers[lane].answers = [outcome(Verdict.RETRY, "busy", retry_after_s=60.0)]
        yield one


async def tried(here: Delivered, lane: str) -> None:
    """Wait until an attempt was made in vain, and recorded."""

    async def waits() -> bool:
        rows = await here.ledger(code="busy", phase="waiting")
        return any(row.lane == lane for row in rows)

    await until(waits)


async def an_hour_later(here: Delivered) -> None:
    assert isinstance(here.clock, ManualClock)
    here.clock.advance(AN_HOUR_S)
    await here.due()
    for lane in here.deliveries.lanes:
        here.deliveries.ring(lane)


async def turns_off(here: Delivered, kind: str, channel: str) -> None:
    off = Changes(types={kind: {channel: False}})
    await here.all.preferences.patch(here.ids["ben"], off)


async def test_mail_does_not_come_after_its_reader_unsubscribed(here: Delivered) -> None:
    hook = NewWebhook(url="http://127.0.0.1:1/", events=["delivery.dropped"])
    await here.deliveries.webhooks.add(hook)
    await here.mailbox("ben")
    await here.like("e1")
    await tried(here, "mail")
    unsubscribe = here.deliveries.unsubscribe
    await unsubscribe.obey(unsubscribe.token(here.ids["ben"], "like"))
    await an_hour_later(here)
    (row,) = await here.ended(1, channel="email")
    assert (row.phase, row.reason, row.rule) == ("dropped", "preference", "types.like.email")
    assert len(here.mail.parcels) == 1
    story = await here.all.traces.event("e1")
    assert any(step.step == "email_dropped" and "not wanted" in step.says for step in story.steps)
    (call,) = await here.planned(1, channel="webhook")
    assert call.type == "delivery.dropped"


async def test_a_push_does_not_come_after_its_type_was_turned_off(here: Delivered) -> None:
    await here.phone("ben")
    await here.like("e1")
    await tried(here, "ios")
    await turns_off(here, "like", "push")
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert (row.phase, row.reason) == ("dropped", "preference")
    assert len(here.ios.parcels) == 1


async def test_what_a_closed_lane_kept_waiting_is_not_even_tried_once(here: Delivered) -> None:
    await here.pool.run("update deliveries.lanes set paused_until = now() + interval '1 day'")
    await here.phone("ben")
    await here.like("e1")
    await here.planned(1, phase="waiting")
    await turns_off(here, "like", "push")
    await here.deliveries.resume("ios", "forgive")
    (row,) = await here.ended(1)
    assert (row.phase, row.reason, row.status) == ("dropped", "preference", "undelivered")
    assert here.ios.parcels == []


async def test_what_is_still_wanted_is_tried_again(here: Delivered) -> None:
    await here.phone("ben")
    await here.like("e1")
    await tried(here, "ios")
    await turns_off(here, "comment", "push")
    await turns_off(here, "like", "email")
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert (row.status, row.attempts) == ("sent", 2)


async def test_what_is_critical_comes_whatever_is_turned_off_meanwhile(here: Delivered) -> None:
    words = {"en": Wording("Somebody signed in as you")}
    await here.all.types.put("alarm", Kind(templates=words, critical=True))
    await here.phone("ben")
    await here.send(event("e1", event_type="alarm"))
    await tried(here, "ios")
    await here.all.types.put("alarm", Kind(templates=words))  # this one was critical still
    await here.all.preferences.patch(here.ids["ben"], Changes(channels={"push": False}))
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert row.status == "sent"


async def test_a_recall_follows_whatever_is_turned_off_meanwhile(here: Delivered) -> None:
    here.ios.answers = []
    await here.phone("ben")
    await here.like("e1")
    await here.ended(1)
    await turns_off(here, "like", "push")
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    _, recall = await here.ended(2)
    assert (recall.kind, recall.status) == ("recall", "sent")


async def test_a_digest_that_waits_is_dropped_with_its_type(here: Delivered) -> None:
    await here.policy("like", digests={"email": DigestRule(window_s=60.0)})
    await gathered(here)
    await turns_off(here, "like", "email")
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert (row.phase, row.reason) == ("dropped", "preference")


async def test_a_digest_of_the_one_thing_that_is_wanted_comes(here: Delivered) -> None:
    await here.policy("like", digests={"email": DigestRule(window_s=60.0)})
    await gathered(here)
    on = Changes(types={"like": {"email": False}}, objects={"tea": {"email": True}})
    await here.all.preferences.patch(here.ids["ben"], on)
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert row.status == "sent"


async def gathered(here: Delivered) -> None:
    """Have a digest about tea go out in vain."""
    assert isinstance(here.clock, ManualClock)
    await here.mailbox("ben")
    await here.send(event("e1", actor_id="ada", related_entity_id="tea"))
    await gathering(here)
    here.clock.advance(61)
    await here.deliveries.digests.close_due()
    await tried(here, "mail")


async def gathering(here: Delivered) -> None:
    async def any_entry() -> bool:
        return bool(await here.pool.value("select count(*) from deliveries.entries"))

    await until(any_entry)


@pytest.fixture
async def several(here: Delivered) -> Delivered:
    """A like and then a comment became one push, which went out in vain."""
    assert isinstance(here.clock, ManualClock)
    await here.phone("ben")
    hour = Schedule(snooze_until=here.clock.now() + timedelta(hours=1))
    await here.deliveries.quiet.put(here.ids["ben"], hour)
    for n, kind in enumerate(("like", "comment", "comment")):
        await here.send(event(f"e{n}", event_type=kind, actor_id="ada", related_entity_id=f"p{n}"))
        await here.planned(n + 1, phase="held")
    await an_hour_later(here)
    await tried(here, "ios")
    assert here.ios.titles == ["3 new notifications"]
    return here


@pytest.mark.parametrize(("off", "left"), [("like", 2), ("comment", 1)])
async def test_one_push_that_speaks_for_several_says_only_what_is_still_wanted(
    several: Delivered, off: str, left: int
) -> None:
    here = several
    await turns_off(here, off, "push")
    await an_hour_later(here)
    await here.planned(2, phase="held")
    await here.deliveries.release.due()
    await here.sees(lambda: len(here.ios.parcels) == 2)
    rows = await here.ended(3)
    assert {row.type for row in rows if row.phase == "dropped"} == {off}
    assert {row.reason for row in rows if row.phase == "dropped"} == {"preference"}
    assert (here.ios.titles[1] == "2 new notifications") is (left > 1)


async def test_a_digest_that_speaks_for_others_leaves_them_to_go_alone(here: Delivered) -> None:
    assert isinstance(here.clock, ManualClock)
    await here.policy("like", digests={"push": DigestRule(window_s=60.0)})
    await here.phone("ben")
    hour = Schedule(snooze_until=here.clock.now() + timedelta(hours=1))
    await here.deliveries.quiet.put(here.ids["ben"], hour)
    await here.send(event("e0", event_type="comment", actor_id="ada"))
    await here.planned(1, phase="held")
    await here.like("e1")
    await gathering(here)
    here.clock.advance(61)
    await here.deliveries.digests.close_due()
    await here.planned(2, phase="held")
    await an_hour_later(here)
    await tried(here, "ios")
    assert here.ios.titles == ["2 new notifications"]
    await turns_off(here, "like", "push")
    await an_hour_later(here)
    await here.planned(1, phase="held")
    await here.deliveries.release.due()
    await here.sees(lambda: len(here.ios.parcels) == 2)
    assert "commented" in here.ios.titles[1]
    rows = {row.kind: (row.phase, row.reason) for row in await here.ended(2)}
    assert rows["digest"] == ("dropped", "preference")


async def test_what_is_read_before_it_is_not_wanted_ends_once(here: Delivered) -> None:
    await here.phone("ben")
    await here.like("e1")
    await tried(here, "ios")
    (shown,) = await here.inbox("ben")
    await here.all.inbox.mark_one(here.ids["ben"], UUID(shown["id"]), Mark.READ)
    await here.ended(1)
    await turns_off(here, "like", "push")
    await an_hour_later(here)
    (row,) = await here.ended(1)
    assert (row.phase, row.reason) == ("dropped", "seen_elsewhere")
