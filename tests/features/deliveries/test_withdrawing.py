"""What is taken back is cancelled, leaves digests, and is recalled where it is out already."""

from uuid import UUID

import pytest

from nova.features.deliveries.delivery_log import NotRedrivable
from nova.features.deliveries.models import Redrive
from nova.features.graph.models import Act
from nova.features.notifications.models import Mark
from nova.ports.carriers import Verdict
from support.delivered import Delivered, outcome
from support.notified import event
from support.waiting import until

# Another process, which does nothing, owns what the consumer reads in one topic; and is gone.
TAKE_AWAY = """
with idle as (
    insert into backbone.processes (id, host, pid, born, consumers, expires)
    values (1, 'elsewhere', 1, 1, '{}', now() + interval '40 s'))
update backbone.cursors set owner = 1, fence = nextval('backbone.fences')
where consumer = 'deliveries' and topic = 'notifications'
"""
GIVE_BACK = "delete from backbone.processes where id = 1"
# Whether the consumer's cursor is before, or behind, a fact of this type.
HAS_READ = """
select exists (
    select from backbone.event_log e join backbone.cursors c using (topic, partition)
    where e.type = $1 and c.consumer = 'deliveries'
        and (backbone.xact_of(c.position), backbone.number_of(c.position)) {} (e.xact, e.position))
"""
LEASE_OVER = "update deliveries.deliveries set leased_until = clock_timestamp() - interval '1 s'"


async def test_a_deleted_notification_is_recalled_with_its_collapse_id(here: Delivered) -> None:
    await here.phone("ben")
    await here.like("e1")
    await here.ended(1)
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    await here.ended(2)
    first, recall = here.ios.parcels
    assert recall.collapse_id == first.collapse_id
    assert (recall.title, recall.body) == ("", "")
    assert recall.data["nova"] == "recall"
    assert recall.data["notification"] == shown["id"]


async def test_a_block_cancels_what_waits_and_recalls_what_is_out(here: Delivered) -> None:
    await here.policy("comment", escalate_after_s={"email": 600.0})
    await here.phone("ben")
    await here.mailbox("ben")
    await here.send(event("e1", event_type="comment", actor_id="ada"))
    await here.send(event("e2", event_type="comment", actor_id="cleo"))
    await here.ended(2)
    await here.block("ben", "ada")
    await here.sees(lambda: len(here.ios.parcels) == 3)
    assert here.ios.parcels[2].collapse_id == here.ios.parcels[0].collapse_id
    waiting = await here.ledger(channel="email")
    assert [(row.phase, row.reason) for row in waiting] == [
        ("dropped", "removed"),
        ("standby", "unless_seen"),
    ]


async def test_a_mute_cancels_and_recalls_nothing(here: Delivered) -> None:
    await here.policy("comment", escalate_after_s={"email": 600.0})
    await here.phone("ben")
    await here.mailbox("ben")
    await here.send(event("e1", event_type="comment", actor_id="ada"))
    await here.ended(1)
    await here.graph.change(Act.MUTE, here.ids["ben"], here.ids["ada"])
    (_, mail) = await here.ended(2)
    assert mail.reason == "muted"
    assert len(here.ios.parcels) == 1


async def test_a_mute_cancels_what_was_stored_before_it_and_is_planned_after_it(
    here: Delivered,
) -> None:
    """The topics are read apart: the mute is read while the notification cannot be planned yet."""
    await here.policy("comment", escalate_after_s={"email": 600.0})
    await here.mailbox("ben")
    await here.pool.run(TAKE_AWAY)
    await here.send(event("e1", event_type="comment", actor_id="ada"))
    await until(lambda: here.pool.value(HAS_READ.format("<"), "NotificationStored"))
    await here.graph.change(Act.MUTE, here.ids["ben"], here.ids["ada"])
    await until(lambda: here.pool.value(HAS_READ.format(">="), "Muted"))
    assert await here.ledger() == []
    await here.pool.run(GIVE_BACK)
    (mail,) = await here.ended(1)
    assert (mail.channel, mail.reason) == ("email", "muted")


async def test_what_is_taken_back_while_it_goes_out_is_recalled_after_it(here: Delivered) -> None:
    here.ios.open.clear()
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: here.ios.parcels)
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))

    async def marked() -> bool:
        row = await here.pool.row("select cancelled from deliveries.deliveries")
        return row is not None and row["cancelled"] == "removed"

    await until(marked)
    here.ios.open.set()
    await here.ended(2)
    assert [parcel.title for parcel in here.ios.parcels] == ["Ada liked your post", ""]


async def test_what_was_cancelled_under_way_is_not_tried_again(here: Delivered) -> None:
    here.ios.open.clear()
    here.ios.always = outcome(Verdict.RETRY, "500")
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: here.ios.parcels)
    (shown,) = await here.inbox("ben")
    await here.all.inbox.mark_one(here.ids["ben"], UUID(shown["id"]), Mark.READ)

    async def marked() -> bool:
        row = await here.pool.row("select cancelled from deliveries.deliveries")
        return row is not None and row["cancelled"] is not None

    await until(marked)
    here.ios.open.set()
    (row,) = await here.ended(1)
    assert (row.phase, row.reason, row.status) == ("dropped", "seen_elsewhere", "attempted")


async def test_what_was_cancelled_under_a_process_that_died_is_not_sent_again(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: here.ios.parcels)
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))

    async def marked() -> bool:
        row = await here.pool.row("select cancelled from deliveries.deliveries")
        return row is not None and row["cancelled"] == "removed"

    await until(marked)
    await here.pool.run(LEASE_OVER)
    await here.sees(lambda: len(here.ios.parcels) == 2)
    here.ios.open.set()
    first, recall = await here.ended(2)
    assert (first.phase, first.reason, first.status) == ("dropped", "removed", "attempted")
    assert (recall.kind, recall.status) == ("recall", "sent")
    assert [parcel.title for parcel in here.ios.parcels] == ["Ada liked your post", ""]


async def test_what_may_have_arrived_is_recalled_though_it_waits_for_another_attempt(
    here: Delivered,
) -> None:
    phone = here.carriers["android"]
    phone.answers = [outcome(Verdict.UNKNOWN, "reply_lost")]
    await here.phone("ben", platform="android")
    await here.like("e1")

    async def in_doubt() -> bool:
        return bool(await here.ledger(status="attempted"))

    await until(in_doubt)
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    first, recall = await here.ended(2)
    assert (first.phase, first.reason, first.status) == ("dropped", "removed", "attempted")
    assert (recall.kind, recall.status) == ("recall", "sent")
    assert [parcel.title for parcel in phone.parcels] == ["Ada liked your post", ""]


async def test_what_a_killed_process_may_have_sent_is_recalled_though_nobody_tried_it_since(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: here.ios.parcels)
    await here.pool.run("update deliveries.lanes set paused_until = now() + interval '1 hour'")
    await here.pool.run(f"{LEASE_OVER}, fence = fence + 1")  # it will never record anything
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    first, recall = await here.planned(2)
    assert (first.phase, first.reason) == ("dropped", "removed")
    assert (recall.kind, recall.collapse_id) == ("recall", first.collapse_id)


async def test_what_was_never_tried_is_not_recalled(here: Delivered) -> None:
    await here.pool.run("update deliveries.lanes set paused_until = now() + interval '1 hour'")
    await here.phone("ben")
    await here.like("e1")
    await here.planned(1)
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    (row,) = await here.ended(1)
    assert (row.phase, row.reason, row.status) == ("dropped", "removed", "undelivered")
    await here.settled()
    assert len(await here.ledger()) == 1


@pytest.mark.parametrize("how", ["deleted", "blocked"])
async def test_a_dead_letter_of_what_was_taken_back_stays_dead(here: Delivered, how: str) -> None:
    here.ios.always = outcome(Verdict.REFUSED, "PayloadTooLarge")
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    if how == "blocked":
        await here.block("ben", "ada")
    else:
        (shown,) = await here.inbox("ben")
        await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))

    async def sealed() -> bool:
        return bool(await here.pool.value("select cancelled from deliveries.deliveries"))

    await until(sealed)
    assert (await here.deliveries.log.redrive(Redrive(), None)).redriven == 0
    with pytest.raises(NotRedrivable):
        await here.deliveries.log.redrive_one(row.id)
    assert len(here.ios.parcels) == 1
