"""Who is woken by what."""

import asyncio

import pytest

from nova.adapters.postgres.wakeup import FEW, Wakeup, Wakeups
from nova.backbone.database import Database
from nova.ports.database import Pool
from support.facts import Left, Viewed, Waved


async def is_woken(wakeup: Wakeup) -> bool:
    try:
        await asyncio.wait_for(wakeup.wait(0, 0), 0.05)
    except TimeoutError:
        return False
    wakeup.answer()
    return True


@pytest.fixture
def woken(pool: Pool) -> tuple[Wakeups, Wakeup, Wakeup]:
    """A wakeups, and the woken of two who listen to what waves and to what left."""
    wakeups = Wakeups(pool, wait_s=60)
    waves = Wakeup(60, [Waved])
    departures = Wakeup(60, [Left])
    for wakeup in (waves, departures):
        wakeup.answer()  # the first look needs no ring
        wakeups.add(wakeup)
    return wakeups, waves, departures


async def test_a_fact_wakes_those_whom_it_concerns(woken: tuple[Wakeups, Wakeup, Wakeup]) -> None:
    wakeups, waves, departures = woken
    wakeups.committed([Waved(who="ada")])
    assert (await is_woken(waves), await is_woken(departures)) == (True, False)
    wakeups.committed([Waved(who="ada"), Left(who="ada")])
    assert (await is_woken(waves), await is_woken(departures)) == (True, True)


async def test_many_facts_wake_all_who_read_one_of_their_types(
    woken: tuple[Wakeups, Wakeup, Wakeup],
) -> None:
    wakeups, waves, departures = woken
    wakeups.committed([Waved(who=str(n)) for n in range(FEW + 1)])
    assert (await is_woken(waves), await is_woken(departures)) == (True, False)
    wakeups.committed([*(Waved(who=str(n)) for n in range(FEW)), Left(who="ada")])
    assert (await is_woken(waves), await is_woken(departures)) == (True, True)


async def test_a_look_wakes_those_in_whose_topic_there_is_something_new(
    pool: Pool, db: Database
) -> None:
    """Also what an older transaction, still open, holds back: until it can be read."""
    wakeups = Wakeups(pool, wait_s=0.0)
    waves, views = Wakeup(60, [Waved]), Wakeup(60, [Viewed])
    for wakeup in (waves, views):
        wakeup.answer()
        wakeups.add(wakeup)

    async def woken() -> tuple[bool, bool]:
        await wakeups.run_once()
        return await is_woken(waves), await is_woken(views)

    assert await woken() == (False, False)
    async with pool.begin() as older:
        await older.run("select pg_current_xact_id()")
        async with db.transaction() as tx:
            await tx.emit(Viewed(who="ada"))
        assert await woken() == (False, True)
        assert await woken() == (False, True)
    await woken()  # other tests' transactions on this server may be open, too
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    assert (await woken())[0]
