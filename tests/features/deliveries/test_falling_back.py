"""Mail that stood by goes as soon as no push is left that could get through."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from nova.features.deliveries import rules
from nova.features.deliveries.quiet import Schedule
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import Delivered, delivered, outcome

LATER_S = 86_400.0


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    """Ben gets mail about likes if he has not seen them a day later."""
    async with delivered(dsn, clock=clock) as one:
        await one.policy("like", escalate_after_s={"email": LATER_S})
        await one.phone("ben")
        await one.mailbox("ben")
        yield one


def tries_once(here: Delivered) -> None:
    usual = rules.PATIENCE["ios"]
    given = {name: getattr(usual, name) for name in usual.__struct_fields__}
    here.deliveries.lanes["ios"].patience = rules.Patience(**(given | {"attempts": 1}))


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.UNKNOWN, Verdict.REFUSED])
async def test_a_push_that_was_given_up_calls_mail_at_once(
    here: Delivered, verdict: Verdict
) -> None:
    tries_once(here)
    here.ios.always = outcome(verdict, "503")
    await here.like("e1")
    (mail,) = await here.ended(1, channel="email")
    (push,) = await here.ended(1, channel="push")
    assert (push.phase, mail.status) == ("dead", "sent")


async def test_mail_waits_while_another_phone_may_still_get_it(here: Delivered) -> None:
    await here.phone("ben", "pixel", "android")
    tries_once(here)
    here.ios.always = outcome(Verdict.RETRY, "503")
    here.carriers["android"].open.clear()
    await here.like("e1")
    await here.ended(1, phase="dead")
    (mail,) = await here.ledger(channel="email")
    assert mail.phase == "standby"
    here.carriers["android"].open.set()
    await here.ended(2, channel="push")
    (mail,) = await here.ledger(channel="email")
    assert (mail.phase, here.mail.parcels) == ("standby", [])


async def test_each_of_those_that_a_dead_push_spoke_for_becomes_mail(
    here: Delivered, clock: ManualClock
) -> None:
    hour = Schedule(snooze_until=clock.now() + timedelta(hours=1), channels=["push"])
    await here.deliveries.quiet.put(here.ids["ben"], hour)
    for n in range(3):
        await here.like(f"e{n}")
    await here.planned(3, phase="held")
    here.ios.always = outcome(Verdict.REFUSED, "PayloadTooLarge")
    clock.advance(3_601)
    await here.deliveries.release.due()
    await here.ended(3, channel="email", status="sent")
    assert [parcel.title for parcel in here.ios.parcels] == ["3 new notifications"]


async def test_mail_of_those_that_a_push_spoke_for_still_waits_to_be_seen(
    here: Delivered, clock: ManualClock
) -> None:
    await here.phone("ben", "pixel", "android")
    hour = Schedule(snooze_until=clock.now() + timedelta(hours=1), channels=["push"])
    await here.deliveries.quiet.put(here.ids["ben"], hour)
    for n in range(2):
        await here.like(f"e{n}")
    await here.planned(4, phase="held")
    here.ios.always = outcome(Verdict.REFUSED, "PayloadTooLarge")
    clock.advance(3_601)
    await here.deliveries.release.due()
    await here.ended(4, channel="push")
    assert {row.phase for row in await here.ledger(channel="email")} == {"standby"}


async def test_mail_goes_when_the_time_of_the_push_is_over(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.always = outcome(Verdict.RETRY, "503", retry_after_s=600.0)
    await here.like("e1")
    await here.planned(1, code="503")
    await here.pool.run(
        "update deliveries.deliveries set expires_at = $1 where channel = 'push'",
        clock.now() + timedelta(seconds=300),
    )
    clock.advance(301)
    await here.deliveries.sweep()
    await here.ended(1, channel="email", status="sent")


async def test_a_recall_that_reaches_nobody_calls_no_mail(here: Delivered) -> None:
    await here.like("e1")
    await here.ended(1, channel="push")
    (shown,) = await here.inbox("ben")
    here.ios.always = outcome(Verdict.GONE, "Unregistered")
    await here.all.removal.delete(here.ids["ben"], UUID(shown["id"]))
    await here.ended(2, channel="push")
    assert here.mail.parcels == []
