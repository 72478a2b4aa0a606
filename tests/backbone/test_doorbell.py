"""Who is woken by what."""

import asyncio

import pytest

from nova.backbone.doorbell import FEW, Bell, Doorbell
from nova.ports.database import Pool
from support.facts import Left, Waved


async def rings(bell: Bell) -> bool:
    try:
        await asyncio.wait_for(bell.wait(0, 0), 0.05)
    except TimeoutError:
        return False
    bell.answer()
    return True


@pytest.fixture
def bells(pool: Pool) -> tuple[Doorbell, Bell, Bell]:
    """A doorbell, and the bells of two who listen to what waves and to what left."""
    doorbell = Doorbell(pool, others=lambda: False)
    waves = Bell(60, [Waved])
    departures = Bell(60, [Left])
    for bell in (waves, departures):
        bell.answer()  # the first look needs no ring
        doorbell.add(bell)
    return doorbell, waves, departures


async def test_a_fact_wakes_those_whom_it_concerns(bells: tuple[Doorbell, Bell, Bell]) -> None:
    doorbell, waves, departures = bells
    doorbell.ring([Waved(who="ada")])
    assert (await rings(waves), await rings(departures)) == (True, False)
    doorbell.ring([Waved(who="ada"), Left(who="ada")])
    assert (await rings(waves), await rings(departures)) == (True, True)


async def test_many_facts_wake_all_who_hear_one_of_their_types(
    bells: tuple[Doorbell, Bell, Bell],
) -> None:
    doorbell, waves, departures = bells
    doorbell.ring([Waved(who=str(n)) for n in range(FEW + 1)])
    assert (await rings(waves), await rings(departures)) == (True, False)
    doorbell.ring([*(Waved(who=str(n)) for n in range(FEW)), Left(who="ada")])
    assert (await rings(waves), await rings(departures)) == (True, True)
