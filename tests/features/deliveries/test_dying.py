"""Dead addresses, and waves of them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from nova.features.deliveries.burial import Caution
from nova.features.deliveries.service import Knobs
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import SENT, Delivered, apns, delivered, outcome, sink
from support.notified import event
from support.waiting import until

LEFT = """
select (select count(*) from deliveries.deliveries) as rows,
       (select count(*) from deliveries.digests) as digests,
       (select count(*) from deliveries.outbox) as outbox
"""
CAUTION = Caution(wait_s=30, window_s=600, least=5, share=0.3)


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    knobs = Knobs(spread_s=0.0, caution=CAUTION)
    async with delivered(dsn, clock=clock, knobs=knobs) as one:
        await one.policy("like")
        yield one


async def devices(here: Delivered, who: str = "ben") -> list[tuple[str, str | None]]:
    return [
        (device.token, device.dead_reason)
        for device in await here.accounts.devices.of(here.ids[who])
    ]


async def test_a_dead_token_is_buried_with_its_reason_and_rings_no_more(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.always = outcome(Verdict.GONE, "Unregistered")
    await here.phone("ben", "old")
    await here.like("e1")
    (row,) = await here.ended(1)
    assert (row.phase, row.reason, row.status, row.code) == (
        "failed",
        "gone",
        "bounced",
        "Unregistered",
    )
    assert await here.deliveries.burial.round() == 0  # a wave would be seen first
    clock.advance(31)
    assert await here.deliveries.burial.round() == 1
    assert await devices(here) == [(apns("old"), "Unregistered")]
    await here.like("e2")
    await here.settled()
    assert len(await here.ledger()) == 1


async def test_a_token_registered_after_its_death_lives(
    here: Delivered, clock: ManualClock
) -> None:
    an_hour_ago = clock.now() - timedelta(hours=1)
    here.ios.always = outcome(Verdict.GONE, "Unregistered", gone_since=an_hour_ago)
    await here.phone("ben", "anew")
    await here.like("e1")
    await here.ended(1)
    clock.advance(31)
    await here.deliveries.burial.round()
    assert await devices(here) == [(apns("anew"), None)]


async def test_registering_again_revives_and_moving_takes_it_along(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.answers = [outcome(Verdict.GONE, "ExpiredToken")]
    await here.phone("ben", "phone")
    await here.like("e1")
    await here.ended(1)
    clock.advance(31)
    await here.deliveries.burial.round()
    assert await devices(here) == [(apns("phone"), "ExpiredToken")]
    await here.phone("cleo", "phone")  # sold
    assert await devices(here) == []
    await here.like("e2", of="cleo")
    await here.ended(1, "cleo", status="sent")
    await here.like("e3")
    await here.settled()
    assert len(await here.ledger()) == 1


async def test_a_dead_mailbox_is_left_alone_until_another_one_is_given(
    here: Delivered, clock: ManualClock
) -> None:
    here.mail.answers = [outcome(Verdict.GONE, "5.1.1")]
    await here.mailbox("ben")
    await here.like("e1")
    await here.ended(1)
    clock.advance(31)
    await here.deliveries.burial.round()
    await here.like("e2")
    await here.settled()
    assert len(await here.ledger()) == 1
    await here.mailbox("ben", "new@example.org")
    await here.like("e3")
    await here.ended(1, status="sent")
    assert here.mail.parcels[-1].target.address == "new@example.org"


async def test_a_wave_of_deaths_buries_nobody_and_blames_the_configuration(
    here: Delivered, clock: ManualClock
) -> None:
    here.ios.always = outcome(Verdict.GONE, "Unregistered")
    for n in range(6):
        await here.phone("ben", f"phone-{n}")
    await here.like("e1")
    await here.ended(6)
    clock.advance(31)
    assert await here.deliveries.burial.round() == 0
    (ios,) = [lane for lane in await here.deliveries.states() if lane.lane == "ios"]
    assert not ios.purging
    assert ios.purging_why is not None
    assert "6 of 6 addresses" in ios.purging_why
    assert ios.gone == 6
    clock.advance(3_600)
    assert await here.deliveries.burial.round() == 0  # until somebody says what to do
    # The certificate is right again, and one of them answers: that one lives.
    here.ios.always = SENT
    await here.phone("cleo", "phone-0")
    await here.like("e2", of="cleo")
    await here.ended(1, "cleo", status="sent")
    await here.deliveries.resume("ios", "bury")
    assert sorted(await devices(here)) == [
        (apns(f"phone-{n}"), "Unregistered") for n in range(1, 6)
    ]
    assert await devices(here, "cleo") == [(apns("phone-0"), None)]


async def test_a_wave_can_be_forgiven(here: Delivered, clock: ManualClock) -> None:
    here.ios.always = outcome(Verdict.GONE, "Unregistered")
    for n in range(6):
        await here.phone("ben", f"phone-{n}")
    await here.like("e1")
    await here.ended(6)
    clock.advance(31)
    await here.deliveries.burial.round()
    await here.deliveries.resume("ios", "forgive")
    clock.advance(3_600)
    await here.deliveries.burial.round()
    assert {reason for _, reason in await devices(here)} == {None}


async def test_our_own_misconfiguration_kills_no_token(here: Delivered, clock: ManualClock) -> None:
    here.ios.always = outcome(Verdict.MISCONFIGURED, "BadTopic")
    await misconfigured(here)

    async def paused() -> bool:
        return any(lane.paused_until for lane in await here.deliveries.states())

    await until(paused)
    clock.advance(31)
    await here.deliveries.burial.round()
    assert {reason for _, reason in await devices(here)} == {None}
    here.ios.always = SENT
    await here.deliveries.resume("ios", "forgive")
    clock.advance(90)
    await here.ended(1, status="sent")


async def misconfigured(here: Delivered) -> None:
    """Let three people in a row hear that we are at fault."""
    for who, by in (("ada", "ben"), ("ben", "ada"), ("cleo", "ada")):
        await here.phone(who)
        await here.like(f"of-{who}", of=who, by=by)


async def test_one_persons_nonsense_pauses_nobody(here: Delivered) -> None:
    here.ios.answers = [outcome(Verdict.MISCONFIGURED, "DeviceTokenNotForTopic")] * 5
    for n in range(5):
        await here.phone("ben", f"phone-{n}")
    await here.like("e1")
    await here.sees(lambda: len(here.ios.parcels) == 5)
    await here.phone("cleo")
    await here.like("e2", of="cleo")
    await here.ended(1, "cleo", status="sent")
    assert not any(lane.paused_until for lane in await here.deliveries.states())
    assert {row.reason for row in await here.ledger()} == {"misconfigured"}


async def test_erasing_a_user_leaves_nothing(here: Delivered) -> None:
    await here.phone("ben")
    await here.mailbox("ben")
    await here.send(event("e1", actor_id="ada"))
    await here.ended(2)
    assert (await here.accounts.export(here.ids["ben"])).data["deliveries"]["deliveries"]
    await here.accounts.delete(here.ids["ben"])
    assert dict(await here.pool.row(LEFT) or {}) == {"rows": 0, "digests": 0, "outbox": 0}


async def test_the_outbox_forgets_with_the_ledger(here: Delivered, clock: ManualClock) -> None:
    """Else it would keep a mail whose owner nobody could tell, when that one is erased."""
    here.deliveries.platforms["mail"].carrier = sink(here, clock)
    await here.mailbox("ben")
    await here.like("e1")
    await here.ended(1, status="sent")
    await here.deliveries.forget()
    assert dict(await here.pool.row(LEFT) or {}) == {"rows": 1, "digests": 0, "outbox": 1}
    clock.advance(31 * 86_400)
    await here.deliveries.forget()
    assert dict(await here.pool.row(LEFT) or {}) == {"rows": 0, "digests": 0, "outbox": 0}


async def test_tokens_of_another_app_do_not_pause_a_lane_that_works(
    here: Delivered, clock: ManualClock
) -> None:
    await here.meet("Dora")
    await here.phone("dora")
    await here.like("e1", of="dora")
    await here.ended(1, "dora", status="sent")
    here.ios.always = outcome(Verdict.MISCONFIGURED, "DeviceTokenNotForTopic")
    await misconfigured(here)
    for who in ("ada", "ben", "cleo"):
        await here.planned(1, who, code="DeviceTokenNotForTopic")
    assert not any(lane.paused_until for lane in await here.deliveries.states())
    clock.advance(700)  # nothing got through for long: it may be our settings after all

    async def paused() -> bool:
        return any(lane.paused_until for lane in await here.deliveries.states())

    await until(paused)


async def test_a_phone_that_registers_anew_while_it_is_called_dead_lives(dsn: str) -> None:
    async with delivered(dsn, knobs=Knobs(spread_s=0.0, caution=Caution(wait_s=0.0))) as here:
        await here.policy("like")
        here.ios.always = outcome(Verdict.GONE, "BadDeviceToken")
        here.ios.open.clear()
        await here.phone("ben", "phone")
        await here.like("e1")
        await here.sees(lambda: here.ios.parcels)
        await here.phone("cleo", "phone")
        here.ios.open.set()
        (row,) = await here.ended(1)
        assert row.reason == "gone"
        await here.deliveries.burial.round()
        assert await devices(here, "cleo") == [(apns("phone"), None)]
