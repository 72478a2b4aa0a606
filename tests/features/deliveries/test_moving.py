"""What waits goes to where people are when it goes out, and to nobody else."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from nova.features.accounts.models import NewDevice
from nova.features.deliveries.quiet import Schedule
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import SENT, Delivered, apns, delivered, outcome
from support.waiting import until


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    async with delivered(dsn, clock=clock) as one:
        await one.policy("like")
        yield one


async def rests(here: Delivered, clock: ManualClock) -> None:
    hour = Schedule(snooze_until=clock.now() + timedelta(hours=1))
    await here.deliveries.quiet.put(here.ids["ben"], hour)


async def wakes(here: Delivered, clock: ManualClock) -> None:
    clock.advance(3_601)
    await here.deliveries.release.due()


async def test_a_phone_that_was_sold_shows_nothing_of_who_sold_it(
    here: Delivered, clock: ManualClock
) -> None:
    await here.phone("ben", "phone")
    await rests(here, clock)
    await here.like("e1")
    await here.planned(1, phase="held")
    await here.phone("cleo", "phone")
    await wakes(here, clock)
    (row,) = await here.ended(1)
    assert (row.phase, row.reason, row.code) == ("failed", "gone", "not_registered")
    assert here.ios.parcels == []


async def test_a_retry_does_not_follow_a_phone_to_its_next_owner(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.answers = [outcome(Verdict.RETRY, "503")]
    await here.phone("ben", "phone")
    await here.like("e1")
    await here.planned(1, code="503")
    await here.phone("cleo", "phone")
    clock.advance(60)
    await here.ended(1)
    assert len(here.ios.parcels) == 1


async def test_a_new_token_gets_what_waited_for_the_old_one(
    here: Delivered, clock: ManualClock
) -> None:
    device = await here.phone("ben", "old")
    await rests(here, clock)
    await here.like("e1")
    await here.planned(1, phase="held")
    new = NewDevice(platform="ios", token=apns("new"))
    await here.accounts.devices.refresh(here.ids["ben"], device, new)
    await wakes(here, clock)
    (row,) = await here.ended(1, status="sent")
    assert row.address == apns("new")
    assert [parcel.target.address for parcel in here.ios.parcels] == [apns("new")]


async def test_signed_out_and_another_mailbox(here: Delivered, clock: ManualClock) -> None:
    device = await here.phone("ben")
    await here.mailbox("ben", "old@example.org")
    await rests(here, clock)
    await here.like("e1")
    await here.planned(2, phase="held")
    await here.accounts.devices.forget(here.ids["ben"], device)
    await here.mailbox("ben", "new@example.org")
    await wakes(here, clock)
    await here.ended(2)
    assert here.ios.parcels == []
    assert [parcel.target.address for parcel in here.mail.parcels] == ["new@example.org"]


async def test_mail_that_stood_by_is_needed_when_the_phone_is_not_theirs_any_more(
    here: Delivered, clock: ManualClock
) -> None:
    await here.policy("like", escalate_after_s={"email": 86_400.0})
    device = await here.phone("ben")
    await here.mailbox("ben")
    await rests(here, clock)
    await here.like("e1")
    await here.planned(1, phase="held")
    await here.accounts.devices.forget(here.ids["ben"], device)
    await wakes(here, clock)
    await until(lambda: here.mail.parcels)
    assert here.ios.parcels == []


async def test_the_death_of_an_old_token_takes_nothing_from_the_new_one(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.answers = [outcome(Verdict.GONE, "Unregistered")]
    device = await here.phone("ben", "old")
    await here.like("e1")
    await here.ended(1)
    new = NewDevice(platform="ios", token=apns("new"))
    await here.accounts.devices.refresh(here.ids["ben"], device, new)
    await rests(here, clock)
    await here.like("e2")
    await here.planned(1, phase="held")
    clock.advance(31)
    await here.deliveries.burial.round()
    here.ios.always = SENT
    await wakes(here, clock)
    (row,) = await here.ended(1, status="sent")
    assert row.address == apns("new")


async def test_a_recall_does_not_follow_a_phone_to_its_next_owner(
    here: Delivered, clock: ManualClock
) -> None:
    """It would tell a stranger that, and when, something was taken back from somebody else."""
    await here.phone("ben", "phone")
    await here.phone("ben", "tablet")
    await here.like("e1")
    await here.ended(2)
    await here.phone("cleo", "phone")
    await takes_back(here)
    await here.ended(4)
    recalls = [row for row in await here.ledger() if row.kind == "recall"]
    assert {(row.phase, row.code) for row in recalls} == {
        ("failed", "not_registered"),
        ("done", ""),
    }
    silent = [parcel for parcel in here.ios.parcels if not parcel.title]
    assert [parcel.target.address for parcel in silent] == [apns("tablet")]
    await here.like("e2", of="cleo")
    await here.ended(1, who="cleo")  # her own pushes go there as ever
    assert here.ios.parcels[-1].target.address == apns("phone")


async def test_a_recall_that_waited_does_not_follow_either(
    here: Delivered, clock: ManualClock
) -> None:
    await here.phone("ben", "phone")
    await here.like("e1")
    await here.ended(1)
    here.ios.answers = [outcome(Verdict.RETRY, "503")]
    await takes_back(here)
    await here.planned(1, code="503")
    await here.phone("cleo", "phone")
    clock.advance(60)
    await here.ended(2)
    assert len(here.ios.parcels) == 2


async def test_a_recall_follows_the_same_persons_phone_to_its_new_token(here: Delivered) -> None:
    device = await here.phone("ben", "old")
    await here.like("e1")
    await here.ended(1)
    new = NewDevice(platform="ios", token=apns("new"))
    await here.accounts.devices.refresh(here.ids["ben"], device, new)
    await takes_back(here)
    await here.ended(2)
    assert [parcel.target.address for parcel in here.ios.parcels] == [apns("old"), apns("new")]


async def takes_back(here: Delivered) -> None:
    (shown,) = await here.inbox("ben")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
