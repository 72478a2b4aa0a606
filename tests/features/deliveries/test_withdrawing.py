"""What is taken back is cancelled, leaves digests, and is recalled where it is out already."""

from uuid import UUID

from nova.features.graph.models import Act
from nova.features.notifications.models import Mark
from nova.ports.carriers import Verdict
from support.delivered import Delivered, outcome
from support.notified import event
from support.waiting import until

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
        ("dropped", "blocked"),
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
