"""How many mails reach one person in an hour, whatever makes them."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from nova.features.deliveries import Bounds, Knobs
from nova.features.notifications.catalogue import Kind, Wording
from nova.kernel.clock import ManualClock
from support.delivered import Delivered, api_of_world, delivered
from support.http import SERVER, bearer
from support.notified import event

EVENING = datetime(2026, 3, 10, 18, 0, tzinfo=UTC)
SEVEN = Knobs(spread_s=0.0, bounds=Bounds(mails_per_hour=7), public_url="https://nova.example")
"""Three at once, three one by one, and one that gathers."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(EVENING)


@pytest.fixture
async def here(dsn: str, clock: ManualClock) -> AsyncIterator[Delivered]:
    async with delivered(dsn, clock=clock, knobs=SEVEN) as world:
        await world.mailbox("ben")
        await world.policy("like")
        yield world


async def send(here: Delivered, start: int, count: int, **fields: object) -> None:
    for number in range(start, start + count):
        await here.send(
            event(f"e{number}", actor_id="ada", related_entity_id=f"post-{number}", **fields)
        )


async def states(here: Delivered, count: int) -> Counter[tuple[str, str | None]]:
    """Wait until so many are sent, held or put together, and count them."""

    async def settled() -> bool:
        rows = await here.ledger()
        return len([row for row in rows if row.phase != "waiting"]) >= count

    await here.sees(settled)
    return Counter((row.phase, row.reason) for row in await here.ledger())


async def test_what_is_beyond_the_bound_becomes_one_mail(
    here: Delivered, clock: ManualClock
) -> None:
    await send(here, 0, 8)
    assert await states(here, 8) == {("done", None): 3, ("held", "gathered"): 5}
    story = await here.all.traces.event("e7")
    assert any("more mails than one person gets in an hour" in step.says for step in story.steps)
    clock.advance(3_601)
    await here.deliveries.release.due()
    await here.ended(8)
    assert len(here.mail.parcels) == 4
    gathered = here.mail.parcels[-1]
    assert gathered.title == "5 new notifications"
    assert gathered.body.count("Ada liked your post") == 5
    story = await here.all.traces.event("e4")
    assert any("mails to one person an hour" in step.says for step in story.steps)


async def test_nobody_else_waits_and_the_bound_moves_on(
    here: Delivered, clock: ManualClock
) -> None:
    await here.mailbox("cleo")
    await send(here, 0, 4)
    assert (await states(here, 4))["held", "gathered"] == 1
    await here.send(event("for-cleo", recipient_id="cleo"))
    assert (await here.ended(1, "cleo"))[0].phase == "done"
    clock.advance(3_600 / 3)
    await send(here, 4, 2)
    assert (await states(here, 6))["done", None] == 4


async def test_what_is_critical_is_not_counted(here: Delivered) -> None:
    await here.all.types.put("alarm", Kind(templates={"en": Wording("Alarm", "Go")}, critical=True))
    await here.policy("alarm")
    await send(here, 0, 12, event_type="alarm")
    assert await states(here, 12) == {("done", None): 12}
    await send(here, 12, 1)
    assert (await states(here, 13))["done", None] == 13


async def test_what_stood_by_is_bounded_too(here: Delivered, clock: ManualClock) -> None:
    await here.policy("comment", escalate_after_s={"email": 60.0})
    await send(here, 0, 8, event_type="comment")
    assert await states(here, 8) == {("standby", "unless_seen"): 8}
    clock.advance(61)
    await here.deliveries.release.due()
    found = await states(here, 8)
    assert (found["done", None], found["held", "gathered"]) == (3, 5)


async def test_a_flood_gets_one_gathered_mail_an_hour(here: Delivered, clock: ManualClock) -> None:
    """Whatever arrives, in no hour do more than seven mails leave."""
    sent: list[datetime] = []

    async def nothing_waits() -> bool:
        return not [row for row in await here.ledger() if row.phase == "waiting"]

    for minute in range(0, 180, 10):
        before = len(here.mail.parcels)
        await send(here, minute * 10, 4)
        await states(here, (minute // 10 + 1) * 4)
        await here.deliveries.release.due()
        await here.sees(nothing_waits)
        sent += [clock.now()] * (len(here.mail.parcels) - before)
        clock.advance(600)
    assert len(sent) > 9
    for at in sent:
        assert len([one for one in sent if at <= one < at + timedelta(hours=1)]) <= 7


async def test_explain_foresees_it(here: Delivered, clock: ManualClock) -> None:
    await send(here, 0, 3)
    await states(here, 3)
    async with api_of_world(here) as api:
        supposed = {"event_type": "like", "recipient_id": "ben", "actor_id": "ada"}
        supposed["at"] = clock.now().isoformat()
        answer = await api.post("/v1/notifications/explain", json=supposed, headers=bearer(SERVER))
    (email,) = answer.json()["channels"]
    assert (email["decision"], email["reason"]) == ("hold", "gathered")
    assert email["rule"] == "mails to one person an hour"


async def test_what_was_taken_back_while_it_was_held_is_not_told(
    here: Delivered, clock: ManualClock
) -> None:
    await send(here, 0, 5)
    await states(here, 5)
    await here.all.retraction.retract("e4")
    clock.advance(3_601)
    await here.deliveries.release.due()
    await here.ended(5)
    assert [parcel.title for parcel in here.mail.parcels] == ["Ada liked your post"] * 4
