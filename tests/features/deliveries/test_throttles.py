"""How many pushes reach one person: of one actor, of a type, and in all."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle

import pytest

from nova.features.deliveries import Bounds, Knobs
from nova.features.deliveries.policies import Throttle
from nova.features.deliveries.throttles import FAMILIES, PER_ACTOR
from nova.features.notifications.catalogue import Kind, Wording
from nova.kernel.clock import ManualClock
from support.delivered import Delivered, api_of_world, delivered
from support.http import SERVER, bearer
from support.notified import event
from support.waiting import until

EVENING = datetime(2026, 3, 10, 18, 0, tzinfo=UTC)
ACTORS = Knobs(bounds=Bounds(per_actor=True))
PLANNED = """
select (select count(*) from deliveries.deliveries) + (select count(*) from deliveries.entries)
"""
TALK = PER_ACTOR["comment"].limit


async def send(
    here: Delivered, count: int, kinds: Sequence[str] = ("comment",), by: Sequence[str] = ("ada",)
) -> None:
    """Let so many events about different things be decided, of these types and people in turn."""
    for number, kind, actor in zip(range(count), cycle(kinds), cycle(by), strict=False):
        about = f"{kind}-{actor}-{number}-{here.clock.now():%H%M%S}"
        await here.send(event(about, event_type=kind, actor_id=actor, related_entity_id=about))


async def decided(here: Delivered, count: int) -> None:
    """Wait until so many are on their way out of the app, one by one or gathered."""

    async def enough() -> bool:
        return bool(await here.pool.value(PLANNED) == count)

    await until(enough)


async def of_pushes(here: Delivered, count: int) -> Counter[tuple[str, str | None]]:
    rows = [row for row in await here.ended(count) if row.channel == "push"]
    return Counter((row.phase, row.reason) for row in rows)


async def test_what_one_person_says_over_and_over_is_pushed_a_few_times(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock, knobs=ACTORS) as here:
        await here.phone("ben")
        await send(here, 20, ("comment", "reply", "mention"))
        assert await of_pushes(here, 20) == {
            ("done", None): TALK,
            ("dropped", "throttled"): 20 - TALK,
        }
        assert len(await here.inbox("ben")) == 20
        clock.advance(PER_ACTOR["comment"].per_s / TALK)
        await send(here, 2)
        assert (await of_pushes(here, 22))["done", None] == TALK + 1


@pytest.mark.parametrize("family", PER_ACTOR)
async def test_every_family_has_a_bound_per_pair(dsn: str, family: str) -> None:
    limit = PER_ACTOR[family].limit
    kinds = [kind for kind, name in FAMILIES.items() if name == family] or [family]
    async with delivered(dsn, clock=ManualClock(EVENING), knobs=ACTORS) as here:
        await here.phone("ben")
        await send(here, limit + 3, kinds)
        assert (await of_pushes(here, limit + 3))["dropped", "throttled"] == 3


async def test_what_others_do_is_pushed_all_the_same(dsn: str) -> None:
    async with delivered(dsn, clock=ManualClock(EVENING), knobs=ACTORS) as here:
        await here.phone("ben")
        await here.phone("ada")
        await send(here, 20)
        await send(here, 2, by=("cleo",))
        assert (await of_pushes(here, 22))["done", None] == TALK + 2
        await here.send(event("back", recipient_id="ada", actor_id="ben", event_type="comment"))
        assert (await here.ended(1, "ada"))[-1].phase == "done"


async def test_a_type_of_the_app_may_say_its_own_bound(dsn: str) -> None:
    async with delivered(dsn, clock=ManualClock(EVENING), knobs=ACTORS) as here:
        await here.policy("stream_update", per_actor=Throttle(limit=2, per_s=60))
        await here.phone("ben")
        await send(here, 5, ("stream_update",))
        assert (await of_pushes(here, 5))["dropped", "throttled"] == 3


async def test_pushes_of_many_people_to_one_are_gathered_beyond_a_bound(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock, knobs=Knobs(bounds=Bounds(pushes_per_minute=6))) as here:
        await here.phone("ben")
        await here.phone("ada")
        await here.meet(*(f"Fan {number}" for number in range(10)))
        fans = [f"fan {number}" for number in range(10)]
        await send(here, 20, by=fans)
        assert await of_pushes(here, 3) == {("done", None): 3}
        await here.send(event("to ada", recipient_id="ada", actor_id="ben", event_type="comment"))
        assert (await here.ended(1, "ada"))[-1].phase == "done"
        await decided(here, 21)
        for number in range(5):
            clock.advance(10)
            await send(here, 1, by=fans[number:])
            await decided(here, 22 + number)
        # Six a minute are three at once, and one for each 20 s.
        assert await of_pushes(here, 5) == {("done", None): 5}
        assert len(await here.inbox("ben")) == 25
        clock.advance(700)
        await here.deliveries.digests.close_due()
        (*_, digest) = await here.ended(6)
        assert (digest.phase, digest.kind) == ("done", "digest")


async def test_what_is_critical_is_never_throttled(dsn: str) -> None:
    async with delivered(
        dsn, clock=ManualClock(EVENING), knobs=Knobs(bounds=Bounds(pushes_per_minute=2))
    ) as here:
        words = {"en": Wording("Alarm", "Go")}
        await here.all.types.put("alarm", Kind(templates=words, critical=True))
        await here.policy("alarm", per_actor=Throttle(limit=1, per_s=60))
        await here.phone("ben")
        await send(here, 9, ("alarm",))
        assert await of_pushes(here, 9) == {("done", None): 9}


async def test_the_trace_and_explain_say_why(dsn: str) -> None:
    clock = ManualClock(EVENING)
    async with delivered(dsn, clock=clock, knobs=ACTORS) as here, api_of_world(here) as api:
        await here.phone("ben")
        await send(here, TALK + 1)
        (*_, last) = await here.ended(TALK + 1)
        assert (last.reason, last.rule) == ("throttled", "throttle of comment by one person")
        answer = await api.post(
            "/v1/notifications/explain",
            json={
                "event_type": "comment",
                "recipient_id": "ben",
                "actor_id": "ada",
                "at": clock.now().isoformat(),
            },
            headers=bearer(SERVER),
        )
        (push,) = answer.json()["channels"]
        assert (push["decision"], push["reason"]) == ("drop", "throttled")


async def test_nothing_is_left_of_who_is_erased(dsn: str) -> None:
    async with delivered(dsn, clock=ManualClock(EVENING), knobs=ACTORS) as here:
        await here.phone("ben")
        await send(here, 1)
        await send(here, 1, by=("cleo",))
        await here.ended(2)
        left = "select count(*) from deliveries.pair_throttles"
        assert await here.pool.value(left) == 2
        for erased, rest in (("ada", 1), ("ben", 0)):
            async with here.db.transaction() as tx:
                await here.deliveries.erase(tx, here.ids[erased])
            assert await here.pool.value(left) == rest
