"""A database that answers nothing is not waited for; one that is only slow is."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from nova.adapters.postgres.metrics import register
from nova.adapters.postgres.pool import PostgresPool
from nova.bench.proxy import Proxy, proxied
from nova.ports.database import DatabaseUnavailable
from support.postgres import new_database, patient_pool
from support.waiting import until

LOCK = "select pg_advisory_xact_lock(1)"


@pytest.fixture(scope="module")
async def dsn(server_dsn: str) -> AsyncIterator[str]:
    async with new_database(server_dsn) as dsn:
        yield dsn


@pytest.fixture
async def proxy(dsn: str) -> AsyncIterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="nova-") as folder:
        async with proxied(dsn, Path(folder)) as proxy:
            yield proxy


@asynccontextmanager
async def listening(dsn: str, *, size: int = 3, wait_s: float = 600) -> AsyncIterator[PostgresPool]:
    """Open a pool that waits for ten minutes: only the breaker refuses anybody sooner."""
    async with patient_pool(dsn, size=size, wait_s=wait_s) as pool:
        await pool.listen("bell", lambda _payload, _own: None)
        pool.breaker._judges_from = 0.0  # as if it had started a while ago
        yield pool


async def works(pool: PostgresPool) -> bool:
    try:
        return bool(await pool.value("select 1"))
    except DatabaseUnavailable:
        return False


async def within_a_transaction(pool: PostgresPool) -> None:
    async with pool.begin() as queries:
        await queries.run("select 1")
        await asyncio.Event().wait()


async def test_behind_a_silent_network_nobody_waits_and_all_is_well_once_it_is_heard_again(
    proxy: Proxy,
) -> None:
    registry = CollectorRegistry()
    async with listening(proxy.dsn) as pool:
        register(pool, registry)
        assert await works(pool)
        proxy.blackhole = True
        # More than there are connections: some wait for an answer, others for a connection.
        refused = await asyncio.gather(
            *(pool.value("select $1::int", n) for n in range(10)), return_exceptions=True
        )
        assert {type(each) for each in refused} == {DatabaseUnavailable}
        assert all(each.retry_after for each in refused if isinstance(each, DatabaseUnavailable))
        assert pool.breaker.is_open
        assert registry.get_sample_value("nova_postgres_breaker_open") == 1
        for call in (pool.value("select 1"), within_a_transaction(pool), pool.ping()):
            with pytest.raises(DatabaseUnavailable):
                await call
        assert pool.breaker.opened == 1
        proxy.blackhole = False
        proxy.reset()
        await until(lambda: works(pool))
        assert await pool.ping()
        assert registry.get_sample_value("nova_postgres_breaker_open") == 0


async def test_who_is_within_a_transaction_is_told_so_and_its_connection_is_not_kept(
    proxy: Proxy,
) -> None:
    async with listening(proxy.dsn, size=1) as pool:

        async def two_statements() -> None:
            async with pool.begin() as queries:
                await queries.run("select 1")
                proxy.blackhole = True
                await queries.run("select 2")

        with pytest.raises(DatabaseUnavailable):
            await two_statements()
        proxy.blackhole = False
        await until(lambda: works(pool))


async def test_an_outage_is_one_line_in_the_log_at_its_beginning_and_one_at_its_end(
    proxy: Proxy,
) -> None:
    with capture_logs() as said:
        async with listening(proxy.dsn) as pool:
            proxy.blackhole = True
            for _ in range(20):
                assert not await works(pool)
            proxy.blackhole = False
            proxy.reset()
            await until(lambda: works(pool))
    events = [each["event"] for each in said]
    assert events.count("database_hangs") == events.count("database_answers_again") == 1


async def test_one_slow_statement_is_waited_for_and_so_is_everybody_else(dsn: str) -> None:
    async with listening(dsn, size=2) as pool:
        slow = asyncio.ensure_future(pool.fetch("select pg_sleep(1.5)"))
        while not slow.done():
            assert await works(pool)
            await asyncio.sleep(0.02)
        await slow
        assert pool.breaker.opened == 0


async def test_slow_statements_that_take_all_connections_are_let_finish(dsn: str) -> None:
    async with listening(dsn, size=2) as pool, patient_pool(dsn, size=1) as other:
        async with other.begin() as queries:
            await queries.run(LOCK)
            slow = [asyncio.ensure_future(pool.fetch(LOCK)) for _ in range(2)]
            await until(lambda: pool.state().open == 2 and pool.state().idle == 0)
            with pytest.raises(DatabaseUnavailable, match="busy"):
                await pool.value("select 1")
            assert not any(each.done() for each in slow)
        await asyncio.gather(*slow)
        assert pool.breaker.opened == 0
        assert await works(pool)


async def test_a_refused_server_is_not_waited_for_either(proxy: Proxy) -> None:
    async with listening(proxy.dsn) as pool:
        assert await works(pool)
        await proxy.refuse()
        for _ in range(5):
            with pytest.raises(DatabaseUnavailable):
                await pool.value("select 1")
        await proxy.serve()
        await until(lambda: works(pool))


async def test_several_may_ask_at_a_time_whether_the_server_answers(dsn: str) -> None:
    async with listening(dsn) as pool:

        async def ask() -> bool:
            return all([await pool._ear.answers(60) for _ in range(50)])

        assert await asyncio.gather(*(ask() for _ in range(5))) == [True] * 5
