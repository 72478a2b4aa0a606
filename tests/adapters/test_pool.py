import asyncio
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from prometheus_client import CollectorRegistry

from nova.adapters.postgres.connection import KEEPALIVE, Line
from nova.adapters.postgres.metrics import register
from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.bench.proxy import Proxy, proxied
from nova.ports.database import (
    Dangling,
    DatabaseUnavailable,
    Duplicate,
    NotCommitted,
    Objected,
    Queries,
    Violated,
)
from support.postgres import new_database, patient_pool
from support.waiting import SOON_S, until

SCHEMA = """
drop table if exists t;
create table t (id int primary key, parent int references t, n int check (n > 0));
insert into t values (1);
"""
LOCKED = "select count(*) from pg_stat_activity where wait_event = 'relation'"

Small = Callable[..., AbstractAsyncContextManager[PostgresPool]]


@pytest.fixture(scope="module")
async def database(server_dsn: str) -> AsyncIterator[str]:
    async with new_database(server_dsn) as dsn:
        yield dsn


@pytest.fixture
async def empty_dsn(database: str) -> str:
    async with patient_pool(database, size=1) as pool:
        await pool.run(SCHEMA)
    return database


@pytest.fixture
async def one(empty_dsn: str) -> AsyncIterator[PostgresPool]:
    """A pool of a single connection, so that a connection left in a bad state shows."""
    async with patient_pool(empty_dsn, size=1) as pool:
        yield pool


@pytest.fixture
async def proxy(empty_dsn: str) -> AsyncIterator[Proxy]:
    with tempfile.TemporaryDirectory(prefix="nova-") as folder:
        async with proxied(empty_dsn, Path(folder)) as proxy:
            yield proxy


async def works(queries: Queries) -> bool:
    try:
        return bool(await queries.value("select 1"))
    except DatabaseUnavailable:
        return False


async def test_each_call_answers_in_its_shape(one: PostgresPool) -> None:
    assert await one.run("insert into t select g from generate_series(2, 4) g") == 3
    assert [row["id"] for row in await one.fetch("select id from t order by id")] == [1, 2, 3, 4]
    assert await one.row("select id from t where id = $1", 9) is None
    assert await one.value("select max(id) from t") == 4
    assert (await one.ping())[0].isdigit()


async def test_json_goes_in_as_text_or_bytes_and_comes_out_as_bytes(one: PostgresPool) -> None:
    sql = "select $1::jsonb as one, $2::json as two, $3::jsonb[] as three"
    row = await one.row(sql, '{"a": "é"}', b"[1]", ["2", b"3"])
    assert row is not None
    assert (row["one"], row["two"], row["three"]) == ('{"a": "é"}'.encode(), b"[1]", [b"2", b"3"])


async def test_broken_constraints_are_named(one: PostgresPool) -> None:
    with pytest.raises(Duplicate) as duplicate:
        await one.run("insert into t values (1)")
    assert (duplicate.value.table, duplicate.value.constraint) == ("t", "t_pkey")
    with pytest.raises(Dangling):
        await one.run("insert into t values (2, 77)")
    with pytest.raises(Violated, match="t_n_check"):
        await one.run("insert into t values (2, null, -1)")


async def test_a_transaction_is_stored_whole_or_not_at_all(one: PostgresPool) -> None:
    async with one.begin() as queries:
        await queries.run("insert into t values (2)")
        await queries.run("insert into t values (3)")
    with pytest.raises(ZeroDivisionError):
        await fail_within(one)
    assert await one.value("select array_agg(id order by id) from t") == [1, 2, 3]


async def fail_within(pool: PostgresPool) -> None:
    async with pool.begin() as queries:
        await queries.run("insert into t values (4)")
        raise ZeroDivisionError


async def test_a_block_that_goes_on_after_a_failed_statement_is_told_that_nothing_was_stored(
    one: PostgresPool,
) -> None:
    with pytest.raises(NotCommitted):
        await go_on(one)
    assert await one.value("select count(*) from t") == 1


async def go_on(pool: PostgresPool) -> None:
    async with pool.begin() as queries:
        await queries.run("insert into t values (2)")
        with pytest.raises(Duplicate):
            await queries.run("insert into t values (1)")


async def test_a_statement_after_its_transaction_cannot_slip_into_another(
    one: PostgresPool,
) -> None:
    async with one.begin() as queries:
        await queries.run("insert into t values (2)")
    with pytest.raises(RuntimeError, match="after the end"):
        await queries.run("insert into t values (3)")
    async with one.begin() as queries:
        await queries.last("insert into t values (4)")
        with pytest.raises(RuntimeError, match="after the end"):
            await queries.run("insert into t values (5)")


async def test_a_last_statement_that_is_the_first_commits_alone_and_another_with_the_rest(
    one: PostgresPool,
) -> None:
    insert = "insert into t values ($1) returning pg_current_xact_id()::text as transaction"
    async with one.begin() as queries:
        [alone] = await queries.last(insert, 2)
        assert await one.value("select count(*) from t where id = 2") == 1
    async with one.begin() as queries:
        first = await queries.value(insert, 3)
        [second] = await queries.last(insert, 4)
        assert first == second["transaction"] != alone["transaction"]
    with pytest.raises(Duplicate):
        await conclude_badly(one)
    assert await one.value("select array_agg(id order by id) from t") == [1, 2, 3, 4]


async def conclude_badly(pool: PostgresPool) -> None:
    async with pool.begin() as queries:
        await queries.run("insert into t values (5)")
        await queries.last("insert into t values (5)")


async def test_what_novas_own_functions_object_to_has_its_code(one: PostgresPool) -> None:
    with pytest.raises(Objected, match="NV001"):
        await one.run("do $$ begin raise exception using errcode = 'NV001'; end $$")
    assert await works(one)


@pytest.mark.parametrize(
    "code",
    ["08006", "25006", "40001", "40P01", "53100", "53200", "53300", "55P03", "57014", "57P01",
     "57P03", "58030"],
)  # fmt: skip
@pytest.mark.parametrize("inside", [False, True])
async def test_trouble_of_the_server_is_unavailability_and_the_pool_goes_on(
    one: PostgresPool, code: str, *, inside: bool
) -> None:
    trouble = f"do $$ begin raise exception using errcode = '{code}'; end $$"
    with pytest.raises(DatabaseUnavailable) as refusal:
        await (run_within(one, trouble) if inside else one.run(trouble))
    assert refusal.value.retry_after
    assert await one.value("select pg_current_xact_id_if_assigned() is null")


async def run_within(pool: PostgresPool, sql: str) -> None:
    async with pool.begin() as queries:
        await queries.run(sql)


async def test_bugs_are_not_taken_for_unavailability(one: PostgresPool) -> None:
    with pytest.raises(Exception, match="does not exist") as bug:
        await one.fetch("select nothing_of_the_kind")
    assert not isinstance(bug.value, DatabaseUnavailable)
    assert await works(one)


async def test_a_long_statement_is_cancelled_by_the_server(empty_dsn: str) -> None:
    async with patient_pool(empty_dsn, size=1, statement_timeout_s=0.05) as pool:
        with pytest.raises(DatabaseUnavailable, match="too long"):
            await pool.fetch("select pg_sleep(60)")
        assert await works(pool)


async def test_a_cached_statement_survives_a_change_of_the_schema(one: PostgresPool) -> None:
    await one.fetch("select * from t")
    async with patient_pool(one._line.dsn, size=1) as other:
        await other.run("alter table t add column more int")
    assert len(await one.fetch("select * from t")) == 1


async def test_a_cancelled_call_leaves_neither_its_locks_nor_a_spoiled_connection(
    one: PostgresPool, empty_dsn: str
) -> None:
    cancelled = asyncio.ensure_future(run_within(one, "lock table t; select pg_sleep(60)"))
    async with patient_pool(empty_dsn, size=1) as other:
        asleep = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        await until(lambda: other.value(asleep))
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert await other.value("select count(*) from t") == 1
    assert await one.value("select pg_current_xact_id_if_assigned() is null")
    assert one.state().open == 1


@pytest.mark.parametrize("call", ["fetch", "row", "value", "run"])
async def test_a_cancelled_statement_leaves_its_connection_to_others(
    one: PostgresPool, empty_dsn: str, call: str
) -> None:
    async with patient_pool(empty_dsn, size=1) as other:
        mine = await one.value("select pg_backend_pid()")
        cancelled = asyncio.ensure_future(getattr(one, call)("select pg_sleep(60)"))
        asleep = "select count(*) from pg_stat_activity where pid = $1 and wait_event = 'PgSleep'"
        await until(lambda: other.value(asleep, mine))
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
    await until(lambda: works(one))
    assert await one.value("select pg_backend_pid()") == mine
    assert (one.state().open, one.state().idle) == (1, 1)


async def test_an_exhausted_pool_sheds_callers_while_others_still_wait_for_a_lock(
    empty_dsn: str,
) -> None:
    async with (
        patient_pool(empty_dsn, size=2) as others,
        patient_pool(empty_dsn, size=2, wait_s=0.25) as pool,
    ):
        async with others.begin() as queries:
            await queries.run("lock table t")
            stuck = [asyncio.ensure_future(pool.fetch("select * from t")) for _ in range(2)]
            await until(lambda: others.value(f"{LOCKED} having count(*) = 2"))
            with pytest.raises(DatabaseUnavailable) as refusal:
                await pool.fetch("select 1")
            assert refusal.value.retry_after
            assert not any(each.done() for each in stuck)
        assert [len(await each) for each in stuck] == [1, 1]
        assert pool.state().shed == 1
        assert await works(pool)


async def test_nobody_waits_for_a_lock_after_having_waited_for_a_connection(
    empty_dsn: str,
) -> None:
    async with (
        patient_pool(empty_dsn, size=1) as other,
        open_pool(empty_dsn, size=1, wait_s=SOON_S, lock_timeout_s=1.0) as pool,
    ):
        async with other.begin() as queries:
            await queries.run("lock table t")
            one = asyncio.ensure_future(pool.value("select count(*) from t"))
            await asyncio.sleep(0)
            two = asyncio.ensure_future(pool.value("select count(*) from t"))
            for waiting in (one, two):
                with pytest.raises(DatabaseUnavailable, match="waiting for a lock"):
                    await waiting
            assert pool.state().shed == 1
        assert await pool.value("select count(*) from t") is not None


async def test_who_waits_for_a_lock_too_long_is_told_so(empty_dsn: str) -> None:
    async with (
        patient_pool(empty_dsn, size=1) as owner,
        patient_pool(empty_dsn, size=1, lock_timeout_s=0.05) as pool,
        owner.begin() as queries,
    ):
        await queries.run("lock table t")
        with pytest.raises(DatabaseUnavailable, match="waiting for a lock"):
            await pool.fetch("select * from t")
        assert await works(pool)


async def test_metrics_tell_who_has_a_connection_and_who_waits(empty_dsn: str) -> None:
    registry = CollectorRegistry()
    async with patient_pool(empty_dsn, size=1, wait_s=600) as pool:
        register(pool, registry)

        def shown(name: str) -> float | None:
            return registry.get_sample_value(f"nova_postgres_{name}")

        assert [shown(f"connections{of}") for of in ("", "_idle", "_most")] == [1, 1, 1]
        async with pool.begin() as queries:
            await queries.value("select 1")
            waiting = asyncio.ensure_future(pool.value("select 1"))
            await until(lambda: shown("waiting"))
            assert (shown("connections"), shown("connections_idle")) == (1, 0)
        assert await waiting == 1
        assert (shown("waiting"), shown("shed_total")) == (0, 0)


async def test_the_line_of_waiting_callers_is_bounded(empty_dsn: str) -> None:
    pool = PostgresPool(Line(dsn=empty_dsn), size=1, wait_s=60, most_waiters=3)
    await pool.open()
    async with pool.begin() as queries:
        await queries.value("select 1")
        waiting = [asyncio.ensure_future(pool.value("select 1")) for _ in range(3)]
        await until(lambda: pool.state().waiting == 3)
        with pytest.raises(DatabaseUnavailable):
            await pool.value("select 1")
    assert await asyncio.gather(*waiting) == [1, 1, 1]
    await pool.close()


async def test_who_is_served_in_the_turn_in_which_its_time_is_up_is_not_shed(
    empty_dsn: str,
) -> None:
    loop = asyncio.get_running_loop()
    faults: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, fault: faults.append(fault))
    async with patient_pool(empty_dsn, size=1, wait_s=0.2) as pool:
        connection = pool.take()
        assert connection
        waiting = asyncio.ensure_future(pool.value("select 1"))
        await until(lambda: pool.state().waiting)
        time.sleep(0.25)  # noqa: ASYNC251  # the loop is held up until after the deadline
        loop.call_soon(pool.give, connection)  # and this comes before it
        assert await waiting == 1
        assert pool.state().shed == 0
    assert not faults


async def test_while_the_process_is_held_up_nobody_is_shed(empty_dsn: str) -> None:
    async with patient_pool(empty_dsn, size=1, wait_s=0.2) as pool:
        connection = pool.take()
        assert connection
        waiting = asyncio.ensure_future(pool.value("select 1"))
        await until(lambda: pool.state().waiting)
        time.sleep(0.5)  # noqa: ASYNC251  # as thousands do who connect at once
        for _ in range(3):  # turns in which the connection might have come back
            await asyncio.sleep(0)
        assert pool.state().waiting == 1
        pool.give(connection)
        assert await waiting == 1
        assert pool.state().shed == 0


async def test_many_callers_share_few_connections(empty_dsn: str) -> None:
    async with patient_pool(empty_dsn, size=3, wait_s=30) as pool:
        answers = await asyncio.gather(*(pool.value("select $1::int", n) for n in range(200)))
        assert answers == list(range(200))
        assert pool.state().open <= 3


async def test_a_connection_cut_between_preparing_and_executing_is_unavailability(
    one: PostgresPool,
) -> None:
    asking: Any = asyncio.ensure_future(one.value("select 'never prepared before'"))
    await asyncio.sleep(0)
    while not asking._fut_waiter.done():  # noqa: ASYNC110  # there is no event to wait for
        await asyncio.sleep(0)
    one.cut_all()
    with pytest.raises(DatabaseUnavailable):
        await asking
    assert await works(one)


async def test_a_cut_commit_reply_is_an_unknown_outcome_and_a_retry_with_its_key_does_no_harm(
    proxy: Proxy,
) -> None:
    async with patient_pool(proxy.dsn, size=1) as pool:
        proxy.cut_reply_to = b"commit"
        with pytest.raises(DatabaseUnavailable, match="outcome is unknown") as refusal:
            await run_within(pool, "insert into t values (2)")
        assert refusal.value.retry_after
        proxy.cut_reply_to = None
        with pytest.raises(Duplicate):
            await run_within(pool, "insert into t values (2)")
        assert await pool.value("select count(*) from t") == 2


async def test_a_commit_reply_that_never_comes_is_not_waited_for_for_ever(proxy: Proxy) -> None:
    line = Line(dsn=proxy.dsn, statement_timeout_s=0.05, unanswered_s=0.05)
    pool = PostgresPool(line, size=1, wait_s=0.25)
    await pool.open()
    proxy.swallow_reply_to = b"commit"
    with pytest.raises(DatabaseUnavailable, match="outcome is unknown"):
        await run_within(pool, "insert into t values (2)")
    proxy.swallow_reply_to = None
    await until(lambda: works(pool))
    await pool.close()


async def test_a_server_that_is_gone_is_unavailable_and_found_again(proxy: Proxy) -> None:
    async with patient_pool(proxy.dsn, size=4, wait_s=0.25) as pool:
        assert await works(pool)
        await proxy.refuse()
        for _ in range(3):
            with pytest.raises(DatabaseUnavailable) as refusal:
                await pool.value("select 1")
            assert refusal.value.retry_after
        with pytest.raises(DatabaseUnavailable):
            await run_within(pool, "select 1")
        await proxy.serve()
        await until(lambda: works(pool))


async def test_behind_a_silent_network_callers_are_shed_while_one_still_hopes(
    proxy: Proxy,
) -> None:
    async with patient_pool(proxy.dsn, size=1, wait_s=0.25) as pool:
        proxy.blackhole = True
        hoping = asyncio.ensure_future(pool.value("select 1"))
        await until(lambda: pool.state().idle == 0)
        with pytest.raises(DatabaseUnavailable):
            await pool.value("select 2")
        assert not hoping.done()
        proxy.blackhole = False
        proxy.reset()
        with pytest.raises(DatabaseUnavailable):
            await hoping
        await until(lambda: works(pool))


async def test_connections_cut_while_idle_are_never_handed_out(proxy: Proxy) -> None:
    async with patient_pool(proxy.dsn, size=4, wait_s=30) as pool:
        await asyncio.gather(*(pool.fetch("select pg_sleep(0.01)") for _ in range(4)))
        assert pool.state().idle == 4
        idle = list(pool._idle)
        proxy.reset()
        await until(lambda: all(each.is_closed() for each in idle))
        assert await asyncio.gather(*(pool.value("select 1") for _ in range(8))) == [1] * 8


async def test_starting_without_a_server_says_why(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        async with open_pool(f"postgresql://nova@/postgres?host={tmp_path}"):
            pass


async def test_notifications_are_heard_and_own_ones_are_known(
    one: PostgresPool, empty_dsn: str
) -> None:
    heard: list[tuple[str, bool]] = []
    await one.listen("bell", lambda payload, own: heard.append((payload, own)))
    await one.notify("bell", "mine")
    await run_within(one, "select pg_notify('bell', 'mine in a transaction')")
    async with patient_pool(empty_dsn, size=1) as other:
        await other.notify("bell", "theirs")
        await other.notify("whistle", "not listened to")
    await until(lambda: len(heard) >= 3)
    assert heard == [("mine", True), ("mine in a transaction", True), ("theirs", False)]


async def test_a_notification_is_heard_while_connections_are_being_given_up(
    empty_dsn: str,
) -> None:
    heard: list[tuple[str, bool]] = []
    async with patient_pool(empty_dsn, size=1, wait_s=5) as pool:
        await pool.listen("bell", lambda payload, own: heard.append((payload, own)))
        assert await pool.value("select 1") == 1
        listener = pool._ear._connection
        assert listener
        for each in (*pool._all, listener):
            each.terminate()
        pool._ear._hear(listener, 1, "bell", "late")
        assert heard == [("late", False)]


async def test_after_a_reconnect_listeners_are_told_that_they_may_have_missed_some(
    proxy: Proxy,
) -> None:
    heard: list[tuple[str, bool]] = []
    async with patient_pool(proxy.dsn, size=1, wait_s=5) as pool:
        await pool.listen("bell", lambda payload, own: heard.append((payload, own)))
        proxy.reset()
        await until(lambda: heard == [("", False)])
        await pool.notify("bell", "again")
        await until(lambda: heard == [("", False), ("again", True)])
        await proxy.refuse()
        await until(lambda: pool._ear._connection is None)
        with pytest.raises(DatabaseUnavailable):
            await pool.notify("bell", "nobody")


@pytest.mark.parametrize("turns", range(4))
async def test_a_listener_closes_just_as_it_loses_its_connection(
    empty_dsn: str, turns: int
) -> None:
    async with open_pool(empty_dsn, size=1, look_s=SOON_S) as pool:
        await pool.listen("bell", lambda _payload, _own: None)
        ear = pool._ear
        lost = ear._connection
        assert lost
        lost.terminate()
        for _ in range(turns):
            await asyncio.sleep(0)
        closing = asyncio.create_task(ear.close())
        await until(lambda: closing.done() or ear._connection not in (None, lost))
        assert closing.done()


async def test_a_listener_goes_on_hearing_after_it_was_asked_whether_it_does(
    empty_dsn: str,
) -> None:
    heard: list[str] = []
    async with patient_pool(empty_dsn, size=1, look_s=0.01) as pool:
        await pool.listen("bell", lambda payload, _own: heard.append(payload))
        listener = pool._ear._connection
        await asyncio.sleep(0.1)
        await pool.notify("bell", "still")
        await until(lambda: heard == ["still"])
        assert pool._ear._connection is listener


async def test_a_pool_that_hears_nothing_is_not_ready(proxy: Proxy) -> None:
    async with patient_pool(proxy.dsn, size=1) as pool:
        await pool.listen("bell", lambda _payload, _own: None)
        assert await pool.ping()
        await proxy.refuse()
        await until(lambda: pool._ear.deaf)
        with pytest.raises(DatabaseUnavailable):
            await pool.ping()


async def test_the_kernel_watches_over_connections_that_cross_a_network(proxy: Proxy) -> None:
    network = await asyncio.start_server(proxy._relay, "127.0.0.1", 0)
    port = network.sockets[0].getsockname()[1]
    dsn = urlsplit(proxy.dsn)
    address = dsn._replace(netloc=f"{dsn.netloc}127.0.0.1:{port}", query="").geturl()
    async with network, open_pool(address, size=1) as pool:
        connection = pool.take()
        assert connection
        line = connection._transport.get_extra_info("socket")
        assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for option, value in KEEPALIVE.items():
            assert line.getsockopt(socket.IPPROTO_TCP, getattr(socket, option)) == value
        pool.give(connection)
