"""Who follows what in other processes."""

from collections.abc import AsyncIterator

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.backbone import Backbone
from nova.backbone.presence import SharedPresence
from nova.ports.database import Pool
from support.log import backbone
from support.waiting import until

TEA = "live:tea"
ROWS = "select count(*) from backbone.presence"


async def sees(presence: SharedPresence, *clients: str) -> None:
    """Wait until exactly these are elsewhere."""

    async def holds() -> bool:
        return set(await presence.elsewhere(TEA)) == set(clients)

    await until(holds)


@pytest.fixture
async def here(pool: Pool) -> AsyncIterator[Backbone]:
    one = backbone(pool, lease_s=0.5)
    async with one.run():
        yield one


async def test_a_process_alone_writes_nothing_and_tells_a_second_one_everything(
    here: Backbone, dsn: str, pool: Pool
) -> None:
    for client in ("ada", "ben"):
        here.presence.enter(TEA, client, b"{}")
    here.presence.leave(TEA, "ben")
    assert await pool.value(ROWS) == 0
    async with open_pool(dsn) as other:
        there = backbone(other, lease_s=0.5)
        async with there.run():
            await sees(there.presence, "ada")
            there.presence.enter(TEA, "cem", b"{}")
            await sees(here.presence, "cem")
            here.presence.leave(TEA, "ada")
            await sees(there.presence)
    await sees(here.presence)
    assert await pool.value(ROWS) == 0


async def test_who_was_taken_for_dead_and_is_not_writes_everything_anew(
    here: Backbone, dsn: str, pool: Pool
) -> None:
    here.presence.enter(TEA, "ada", b"{}")
    async with open_pool(dsn) as other:
        there = backbone(other, lease_s=0.5)
        async with there.run():
            await sees(there.presence, "ada")
            await pool.run(
                "delete from backbone.processes where id = (select process from backbone.presence)"
            )
            assert await pool.value(ROWS) == 0
            await sees(there.presence, "ada")
