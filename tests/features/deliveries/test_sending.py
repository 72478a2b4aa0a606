"""From a stored notification to a provider's word, on a real PostgreSQL."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from nova.features.deliveries import rules
from nova.features.deliveries.delivery_log import NotRedrivable
from nova.features.deliveries.lanes import store as claims
from nova.features.deliveries.lanes.lane import Pacing
from nova.features.deliveries.models import Delivery, LaneState, Redrive
from nova.features.deliveries.service import Knobs
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from support.delivered import BROWSER, SENT, Delivered, apns, delivered, outcome, sink
from support.notified import event
from support.waiting import until

LEASE_OVER = "update deliveries.deliveries set leased_until = clock_timestamp() - interval '1 s'"


async def test_a_like_reaches_every_device_with_its_words(here: Delivered) -> None:
    await here.phone("ben", "phone")
    await here.phone("ben", "tablet")
    await here.phone("ben", "laptop", "web")
    await here.send(
        event("e1", actor_id="ada", metadata={"title": "Tea", "url": "https://app.example/tea"})
    )
    rows = await here.ended(3)
    assert {row.status for row in rows} == {"sent"}
    assert {row.channel for row in rows} == {"push", "web_push"}
    assert {parcel.target.address for parcel in here.ios.parcels} == {apns("phone"), apns("tablet")}
    parcel = here.ios.parcels[0]
    (notification,) = await here.inbox("ben")
    assert (parcel.title, parcel.url) == ("Ada liked Tea", "https://app.example/tea")
    assert parcel.data["notification"] == notification["id"]
    assert parcel.badge == 1
    assert here.carriers["web"].parcels[0].target.keys == {
        "p256dh": BROWSER.p256dh,
        "auth": BROWSER.auth,
    }
    assert len({each.collapse_id for each in here.ios.parcels + here.carriers["web"].parcels}) == 1


async def test_who_has_no_device_costs_the_log_no_fact(here: Delivered) -> None:
    await here.like("e1")
    await here.settled()
    facts = await here.pool.fetch("select type from backbone.event_log")
    assert [row["type"] for row in facts] == ["EventAccepted"]
    await here.phone("ben")
    await here.like("e2")
    assert len(await here.ended(1)) == 1


async def test_without_credentials_the_sink_keeps_what_was_rendered(here: Delivered) -> None:
    here.deliveries.platforms["mail"].carrier = sink(here, here.clock)
    await here.policy("like")
    await here.mailbox("ben")
    await here.send(event("e1", actor_id="ada", metadata={"title": "<b>Tea</b>"}))
    (row,) = await here.ended(1)
    assert (row.code, row.status) == ("kept", "sent")
    (kept,) = await here.pool.fetch("select * from deliveries.outbox")
    assert "Ada liked &lt;b&gt;Tea&lt;/b&gt;" in kept["parcel"]
    assert "/v1/unsubscribe/" in kept["parcel"]


async def test_the_story_tells_of_every_attempt(here: Delivered) -> None:
    here.ios.answers = [outcome(Verdict.RETRY, "503", text="Shutdown")]
    here.deliveries.lanes["ios"].patience = patience(first_s=0.01, range_s=0.0)
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    story = await here.all.traces.event("e1")
    steps = [step.step for step in story.steps]
    assert steps.index("push_planned") < steps.index("push_retry") < steps.index("push_sent")
    assert steps.count("push_tried") == 2
    assert row.attempts == 2
    assert any("Shutdown" in step.says for step in story.steps)


def patience(**changes: float) -> rules.Patience:
    usual = rules.PATIENCE["ios"]
    given = {name: getattr(usual, name) for name in usual.__struct_fields__}
    return rules.Patience(**(given | changes))


CLOCK_BACK = "update deliveries.deliveries set leased_until = leased_until + interval '1 hour'"


@pytest.mark.parametrize("platform", ["ios", "web"])
@pytest.mark.parametrize("passes", [LEASE_OVER, CLOCK_BACK], ids=["lease over", "clock back"])
async def test_a_crash_between_send_and_record_resends_with_the_same_collapse_id(
    dsn: str, passes: str, platform: str
) -> None:
    # The one that dies has no room for another, or it might itself take the delivery over.
    dying = Knobs(spread_s=0.0, pacing={platform: Pacing(at_once=1)})
    async with delivered(dsn, knobs=dying) as here:
        carrier = here.carriers[platform]
        carrier.open.clear()
        here.deliveries.lanes[platform].patience = patience(timeout_s=60.0)
        await here.phone("ben", platform=platform)
        await here.like("e1")
        await here.sees(lambda: carrier.parcels)
        # The process that sends it dies: nobody records what became of it, and its lease runs
        # out; or the clock jumps back before that, so that it never would.
        await here.pool.run(passes)
        async with delivered(dsn) as other:
            (row,) = await other_ended(other, here)
        assert (row.attempts, row.resends, row.status) == (2, 1, "sent")
        first, again = carrier.parcels[0], other.carriers[platform].parcels[0]
        assert (again.collapse_id, again.id) == (first.collapse_id, first.id)
        # What the first one says now changes nothing: its fence is old.
        carrier.always = outcome(Verdict.GONE, "Unregistered")
        carrier.open.set()
        await here.sees(lambda: here.deliveries.lanes[platform].in_flight == 0)
        (after,) = await here.ledger()
        assert (after.status, after.phase) == ("sent", "done")
        detail = await here.deliveries.log.one(after.id)
        assert [each.verdict for each in detail.attempts] == ["unknown", "sent"]
        assert detail.attempts[1].resend


async def other_ended(other: Delivered, here: Delivered) -> list[Delivery]:
    other.ids |= here.ids
    return list(await other.ended(1))


async def test_one_sick_channel_delays_no_other(here: Delivered) -> None:
    here.ios.open.clear()
    await here.phone("ben", "phone")
    await here.phone("ben", "pixel", "android")
    for n in range(100):
        await here.like(f"e{n}")
    await here.sees(lambda: len(here.carriers["android"].parcels) == 30)  # its throttle
    assert here.ios.most_busy <= Pacing().at_once
    here.ios.open.set()
    await here.ended(60, channel="push", status="sent")


async def test_trouble_in_a_row_opens_the_breaker_and_a_success_closes_it(dsn: str) -> None:
    async with delivered(dsn) as here:
        await here.policy("like")
        here.ios.always = outcome(Verdict.RETRY, "500")
        here.deliveries.lanes["ios"].patience = patience(first_s=0.01, range_s=0.0, attempts=1000)
        await here.phone("ben")
        for n in range(20):
            await here.like(f"e{n}")
        lane = here.deliveries.platforms["ios"]
        await here.sees(lambda: lane.breaker.opened)
        assert len(here.ios.parcels) < 100
        here.ios.always = SENT
        await here.ended(20, status="sent")
        assert lane.breaker.state(here.clock.monotonic()) == "closed"


async def test_a_quota_pauses_the_lane_for_every_process(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    async with delivered(dsn, clock=clock) as here:
        post = here.carriers["android"]
        post.answers = [outcome(Verdict.RETRY, "QUOTA_EXCEEDED", retry_after_s=90.0)]
        await here.phone("ben", platform="android")
        await here.like("e1")
        await here.sees(lambda: post.parcels)
        (state,) = [each for each in await paused(here) if each.lane == "android"]
        assert state.paused_until == clock.now() + timedelta(seconds=90)
        await here.like("e2")
        await here.planned(2)
        clock.advance(80)
        assert await claims.claim(here.db, "android", clock.now(), 10, 60) == []
        clock.advance(11)
        later = (await here.ended(2, status="sent"))[1]
        (attempt,) = (await here.deliveries.log.one(later.id)).attempts
        assert attempt.started_at > state.paused_until  # it waited for what another one was told


async def paused(here: Delivered) -> list[LaneState]:
    found: list[LaneState] = []

    async def any_paused() -> bool:
        found[:] = await here.deliveries.states()
        return any(each.paused_until for each in found)

    await until(any_paused)
    return found


async def test_dead_letters_are_redriven_singly_and_by_filter(here: Delivered) -> None:
    await here.policy("like")
    await here.policy("comment")
    here.ios.always = outcome(Verdict.REFUSED, "PayloadTooLarge", text="4,097 bytes")
    await here.phone("ben")
    await here.like("e1")
    await here.send(event("e2", event_type="comment", actor_id="ada"))
    rows = await here.ended(2)
    assert {(row.phase, row.reason, row.status) for row in rows} == {("dead", "refused", "bounced")}
    here.ios.always = SENT
    assert (await here.deliveries.log.redrive_one(rows[0].id)).redriven == 1
    with pytest.raises(NotRedrivable):
        await here.deliveries.log.redrive_one(rows[0].notification)
    await here.ended(1, status="sent")
    assert (await here.deliveries.log.redrive(Redrive(type="live_start"), None)).redriven == 0
    assert (await here.deliveries.log.redrive(Redrive(code="PayloadTooLarge"), None)).redriven == 1
    again = await here.ended(2, status="sent")
    assert [row.attempts for row in again] == [2, 2]


async def test_a_status_never_goes_back(here: Delivered) -> None:
    await here.phone("ben")
    await here.like("e1")
    (row,) = await here.ended(1)
    await here.deliveries.log.receipt(row.id, here.ids["ben"], "opened")
    await here.deliveries.log.receipt(row.id, here.ids["ben"], "delivered")
    (after,) = await here.ledger()
    assert after.status == "opened"


async def test_what_is_worth_nothing_any_more_is_dropped(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", ttl_s=120.0)
        here.ios.always = outcome(Verdict.MISCONFIGURED, "InvalidProviderToken")
        for who, by in (("ada", "ben"), ("cleo", "ada"), ("ben", "ada")):
            await here.phone(who)
            await here.like(f"of-{who}", of=who, by=by)
        await paused(here)
        await here.like("e2")
        await here.planned(2)
        clock.advance(121)
        await here.deliveries.sweep()
        rows = await here.ended(2)
        assert {row.reason for row in rows} == {"expired"}
        assert len(here.ios.parcels) == 3


async def test_pacing_is_shared_by_all_processes(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    knobs = Knobs(spread_s=0.0, pacing={"ios": Pacing(per_s=10.0, wait_s=0.01)})
    async with delivered(dsn, clock=clock, knobs=knobs) as here:
        await here.policy("like")
        await here.phone("ben")
        for n in range(40):
            await here.like(f"e{n}")
        await here.planned(40)
        await here.sees(lambda: len(here.ios.parcels) >= 11)
        await asyncio.sleep(0.2)
        assert len(here.ios.parcels) == 11  # a burst of a second, and one
        clock.advance(1.0)
        await here.sees(lambda: len(here.ios.parcels) == 21)


async def test_a_flood_of_what_was_held_leaves_room_for_what_is_live(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    async with delivered(dsn, clock=clock) as here:
        await here.policy("like", escalate_after_s={"push": 10.0})
        await here.phone("ben")
        await here.send(*(event(f"e{n}", actor_id="ada") for n in range(100)))
        await here.planned(100)
        here.ios.open.clear()  # a provider that takes its time
        clock.advance(11)
        await here.deliveries.release.due()
        most = Pacing().at_once
        await here.sees(lambda: len(here.ios.parcels) >= most * 3 // 4)
        await here.send(event("now", event_type="message", actor_id="ada"))
        await here.sees(lambda: here.ios.parcels[-1].data["type"] == "message")
        assert here.ios.most_busy <= most * 3 // 4 + 1
        here.ios.open.set()
        await here.ended(101)


async def test_what_was_held_leaves_half_of_the_pace_to_what_is_live(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    knobs = Knobs(spread_s=0.0, pacing={"ios": Pacing(per_s=10.0, wait_s=0.01)})
    async with delivered(dsn, clock=clock, knobs=knobs) as here:
        await here.policy("like", escalate_after_s={"push": 10.0})
        await here.phone("ben")
        await here.send(*(event(f"e{n}", actor_id="ada") for n in range(40)))
        await here.planned(40)
        clock.advance(11)
        await here.deliveries.release.due()
        await here.sees(lambda: len(here.ios.parcels) >= 6)
        await asyncio.sleep(0.2)
        assert len(here.ios.parcels) == 6  # half a second's, and one
        await here.send(event("now", event_type="message", actor_id="ada"))
        await here.sees(lambda: here.ios.parcels[-1].data["type"] == "message")


async def test_a_doubt_that_a_killed_process_left_outlives_a_retry(dsn: str) -> None:
    async with delivered(dsn, clock=ManualClock(datetime.now(UTC))) as here:
        clock = here.clock
        assert isinstance(clock, ManualClock)
        here.ios.open.clear()
        here.ios.answers = [outcome(Verdict.RETRY, "503")] * 2
        await here.policy("like")
        await here.phone("ben")
        await here.like("e1")
        await until(lambda: here.ios.parcels)
        await here.pool.run(LEASE_OVER)  # as if another process had held the lease, and died
        await until(lambda: len(here.ios.parcels) == 2)
        here.ios.open.set()
        await here.planned(1, code="503")
        clock.advance(60)
        (row,) = await here.ended(1, status="sent")
        detail = await here.deliveries.log.one(row.id)
        assert [each.resend for each in detail.attempts] == [False, True, True]
        assert row.resends == 2


async def test_an_id_that_no_database_takes_spoils_no_other_outcome(here: Delivered) -> None:
    """A push service is whoever a browser names, and outcomes are written together."""
    here.ios.open.clear()
    here.ios.answers = [outcome(Verdict.SENT, provider_id="a\0b"), SENT]
    await here.phone("ben", "one")
    await here.phone("ben", "two")
    await here.like("e1")
    await here.sees(lambda: len(here.ios.parcels) == 2)
    here.ios.open.set()
    rows = await here.ended(2)
    assert [row.status for row in rows] == ["sent", "sent"]
    assert {row.provider_id for row in rows} == {"a\N{REPLACEMENT CHARACTER}b", None}


KILLED_TOO_LATE = """
update deliveries.deliveries
   set fence = fence + 1, leased_until = clock_timestamp() - interval '1 s',
       expires_at = clock_timestamp() - interval '1 s'
"""


async def test_what_a_killed_process_may_have_sent_is_not_called_undelivered_when_its_time_is_over(
    here: Delivered,
) -> None:
    here.ios.open.clear()
    await here.phone("ben")
    await here.like("e1")
    await here.sees(lambda: here.ios.parcels)
    await here.pool.run(KILLED_TOO_LATE)
    await here.deliveries.sweep()
    (row,) = await here.ledger()
    assert (row.phase, row.reason, row.status) == ("dropped", "expired", "attempted")
