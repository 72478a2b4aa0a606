"""Signals reach every process after the commit, and a gap is told."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.backbone import Backbone
from nova.backbone.signals import Signals
from nova.bench.proxy import Proxy, proxied
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


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="nova-") as folder:
        async with proxied(dsn, Path(folder)) as proxy:
            yield proxy


async def test_a_signal_whose_notification_is_lost_is_found_by_looking(
    dsn: str, pool: Pool
) -> None:
    """As behind a pooler that hands the LISTEN to a connection which nobody reads."""
    told: list[str | None] = []
    async with open_pool(dsn) as others:
        nova = backbone(others)
        nova.signals.on("user", told.append)
        async with nova.run():
            await pool.run("select pg_notify('nova_signals', '77777 [[\"user\",\"heard\"]]')")
            await until(lambda: _heard([told], "heard"))
            unheard = "insert into backbone.signals (payload) values ($1)"
            await pool.run(unheard, '[["user", "ada"], ["key", "not asked for"]]')
            await until(lambda: _heard([told], "ada"))
            await pool.run(unheard, '[["user", "ben"]]')
            await until(lambda: _heard([told], "ben"))
    assert [each for each in told if each] == ["heard", "ada", "ben"]


async def test_a_signal_that_commits_late_is_found_too(dsn: str, pool: Pool) -> None:
    told: list[str | None] = []
    async with open_pool(dsn) as others:
        nova = backbone(others)
        nova.signals.on("user", told.append)
        async with nova.run():
            insert = "insert into backbone.signals (payload) values ($1)"
            async with pool.begin() as late:
                await late.run(insert, '[["user", "late"]]')
                await others.run(insert, '[["user", "early"]]')
                await until(lambda: _heard([told], "early"))
            await until(lambda: _heard([told], "late"))
    assert [each for each in told if each] == ["early", "late"]


async def test_a_listener_in_silence_hears_by_looking_elsewhere(apart: str) -> None:
    """The connection that listens is held by a network that says nothing more."""
    told: list[str | None] = []
    unknown: list[int] = []
    async with open_pool(apart) as pool, open_pool(apart) as others, AsyncExitStack() as stack:
        nova = backbone(pool)
        nova.signals.on("user", told.append)
        nova.signals.when_unknown(lambda: unknown.append(1))
        await stack.enter_async_context(nova.run())
        listening = pool._ear._connection
        assert listening
        pid = listening.get_server_pid()
        os.kill(pid, signal.SIGSTOP)
        try:
            async with backbone(others).db.transaction() as tx:
                tx.signal("user", "ada")
            await until(lambda: _heard([told], "ada"))
        finally:
            os.kill(pid, signal.SIGCONT)
    assert not unknown


async def test_while_nothing_can_be_heard_that_is_told_and_later_what_was_missed(
    proxy: Proxy, pool: Pool
) -> None:
    told: list[str | None] = []
    unknown: list[int] = []
    async with open_pool(proxy.dsn) as cut_off:
        nova = backbone(cut_off)
        nova.signals.on("user", told.append)
        nova.signals.when_unknown(lambda: unknown.append(1))
        async with nova.run():
            proxy.blackhole = True
            async with backbone(pool).db.transaction() as tx:
                tx.signal("user", "ada")
            await until(lambda: unknown and None in told)
            assert "ada" not in told
            proxy.blackhole = False
            proxy.reset()
            await until(lambda: _heard([told], "ada"))
    assert told.count("ada") == 1


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


async def test_one_look_that_fails_after_the_process_was_held_up_sends_nobody_away(
    proxy: Proxy,
) -> None:
    unknown: list[int] = []
    async with open_pool(proxy.dsn) as pool:
        signals = Signals(pool)
        signals.when_unknown(lambda: unknown.append(1))
        await signals.start()
        await proxy.refuse()
        signals._known_at -= 10
        assert not await signals._look()
        assert not unknown
        assert not await signals._look()
        assert unknown


@pytest.mark.parametrize("turns", range(4))
async def test_the_wait_between_two_looks_ends_when_cancelled_just_as_word_comes(
    pool: Pool, turns: int
) -> None:
    signals = Signals(pool)
    await signals.start()
    turn = asyncio.create_task(signals.turn())

    async def waits() -> object:
        nonlocal turn
        if turn.done():
            turn = asyncio.create_task(signals.turn())
        return signals._soon._waiters

    await until(waits)
    signals._heard("", own=False)
    for _ in range(turns):
        await asyncio.sleep(0)
    if turn.cancel():
        with pytest.raises(asyncio.CancelledError):
            await turn
