"""Signals reach every process after the commit, and a gap is told."""

import asyncio

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.backbone import Backbone
from nova.ports.database import Pool
from support.log import backbone
from support.waiting import until


async def _heard(told: list[list[str | None]], payload: str | None) -> bool:
    return all(payload in each for each in told)


async def _signal_and_fail(nova: Backbone) -> None:
    async with nova.db.transaction() as tx:
        tx.signal("user", "rolled back")
        raise LookupError


async def test_a_signal_reaches_both_processes_once_its_transaction_commits(
    dsn: str, pool: Pool
) -> None:
    told: list[list[str | None]] = [[], []]
    async with open_pool(dsn) as second_pool:
        both = [backbone(pool), backbone(second_pool)]
        for nova, each in zip(both, told, strict=True):
            nova.signals.on("user", each.append)
        async with both[0].run(), both[1].run():
            with pytest.raises(LookupError):
                await _signal_and_fail(both[0])
            async with both[0].db.transaction() as tx:
                tx.signal("user", "ada")
                tx.signal("key", "not asked for")
                await asyncio.sleep(0.05)
                assert "ada" not in told[0] + told[1]
            await until(lambda: _heard(told, "ada"))
    assert [[one for one in each if one] for each in told] == [["ada"], ["ada"]]


async def test_listeners_forget_everything_after_the_connection_was_lost(pool: Pool) -> None:
    told: list[str | None] = []
    nova = backbone(pool)
    nova.signals.on("user", told.append)
    async with nova.run():
        async with nova.db.transaction() as tx:
            tx.signal("user", "ada")
        await until(lambda: _heard([told], "ada"))
        told.clear()
        await pool.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        await until(lambda: _heard([told], None))

        async def again() -> bool:
            async with nova.db.transaction() as tx:
                tx.signal("user", "ben")
            return "ben" in told

        await until(again)


async def test_a_listener_that_fails_hides_nothing_from_the_others(pool: Pool) -> None:
    told: list[str | None] = []

    def fail(payload: str | None) -> None:
        raise LookupError(payload)

    nova = backbone(pool)
    nova.signals.on("user", fail)
    nova.signals.on("user", told.append)
    async with nova.run():
        async with nova.db.transaction() as tx:
            tx.signal("user", "ada")
        await until(lambda: _heard([told], "ada"))
