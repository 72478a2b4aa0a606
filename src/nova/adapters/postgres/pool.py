"""A bounded pool of connections that sheds callers quickly instead of letting them queue."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar

import asyncpg
from msgspec import Struct
from structlog import get_logger

from nova.adapters.postgres.circuit_breaker import Breaker
from nova.adapters.postgres.connection import NOTHING, Connection, Line, connect
from nova.adapters.postgres.ear import LOOK_S, Ear
from nova.adapters.postgres.faults import CONNECTING, is_elsewhere, translated, unavailable
from nova.adapters.postgres.reaching import too_old, unreached
from nova.adapters.postgres.waiters import Waiter, Waiters
from nova.ports.database import DatabaseUnavailable, Locked, NotCommitted, Row, Transaction

T = TypeVar("T")

MOST_WAITERS = 2_000  # callers waiting for a connection; further ones are shed at once
NOTIFY = "select pg_notify($1, $2)"
MEND_S = 2.0  # for a cancelled statement to end; then its connection is dropped
CLOSE_S = 2.0
LONG_S = 0.03  # with the wait for a lock, a quarter of a second at most
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0  # between attempts to connect while someone waits


class PoolState(Struct, frozen=True):
    """Numbers for gauges: of connections, of callers waiting, and of callers refused so far."""

    size: int
    """As many may be open."""
    open: int
    idle: int
    waiting: int
    shed: int
    breaker: str
    """"closed", "open" or "half-open"."""
    opened: int
    """How often the breaker opened."""
    refused: int
    """Callers that it refused."""


class PostgresPool:
    """Implements ports.database.Pool; opened by `open_pool`.

    Connections carry no session state, so a statement or transaction may use any.
    One that broke is dropped, and opened again when somebody waits for it.
    """

    def __init__(
        self,
        line: Line,
        *,
        size: int,
        wait_s: float,
        most_waiters: int = MOST_WAITERS,
        look_s: float = LOOK_S,
    ) -> None:
        self._line = line
        self._size = size
        self._most_waiters = most_waiters
        self._all: set[Connection] = set()
        self._idle: list[Connection] = []  # last in, first out: few stay warm, the rest idle
        self._waiters = Waiters(wait_s, self._refuse)
        self._asked: dict[Waiter | Connection, float] = {}
        """Since when callers wait for a connection, or a connection for an answer."""
        self._opening = 0
        self._unreachable = False
        self._closed = False
        self._shed = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._log = get_logger()
        self._connecting: set[asyncio.Task[None]] = set()
        self._ear = Ear(line, lambda: {each.server_pid for each in self._all}, look_s=look_s)
        self.breaker = Breaker(self, self._ear, self._spawn)

    # -- statements ---------------------------------------------------------------------------

    def fetch(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Sequence[Row]]:
        return self._once(Connection.fetch, sql, args)

    def row(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Row | None]:
        return self._once(Connection.fetchrow, sql, args)

    def value(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Any]:
        return self._once(Connection.fetchval, sql, args)

    async def run(self, sql: str, /, *args: Any) -> int:
        return touched(await self._once(Connection.execute, sql, args))

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        await self._once(copied, table, (columns, rows))

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        return _Transaction(self)

    async def ping(self) -> str:
        self.breaker.check()
        if self._ear.deaf:
            raise unavailable("The database's notifications are not heard at the moment.")
        version: str = await self.value("show server_version")
        return version

    # -- notifications ------------------------------------------------------------------------

    async def listen(self, channel: str, heard: Callable[[str, bool], None]) -> None:
        await self._ear.listen(channel, heard)

    async def notify(self, channel: str, payload: str = "") -> None:
        await self.run(NOTIFY, channel, payload)

    async def fetch_aside(self, sql: str, /, *args: Any) -> Sequence[Row]:
        return await self._ear.fetch(sql, *args)

    # -- life ---------------------------------------------------------------------------------

    def state(self) -> PoolState:
        return PoolState(
            self._size,
            len(self._all),
            len(self._idle),
            len(self._waiters),
            self._shed,
            self.breaker.state,
            self.breaker.opened,
            self.breaker.refused,
        )

    async def open(self) -> None:
        """Connect once. Raises DatabaseUnavailable, with the reason, if that fails."""
        try:
            connection = await connect(self._line)
        except (*CONNECTING, ValueError) as wrong:
            told = unreached(self._line.dsn, wrong, self._line.connect_s)
            raise unavailable(told) from wrong
        if old := too_old(self._line.dsn, connection.get_server_version().major):
            connection.terminate()
            raise unavailable(old)
        self._all.add(connection)
        self._give(connection)

    async def close(self) -> None:
        """Close every connection; statements still running are cut off."""
        self._closed = True
        self.breaker.close()
        self.refuse_all("Nova is shutting down.")
        await self._ear.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in tuple(self._all):
            if connection in self._idle:
                with suppress(*CONNECTING):
                    await connection.close(timeout=CLOSE_S)
            connection.terminate()
        self._all.clear()
        self._idle.clear()

    # -- what the breaker sees ----------------------------------------------------------------

    async def ask(
        self, connection: Connection, method: Callable[..., Awaitable[T]], *args: object
    ) -> T:
        """Run a method of a connection, and note that something was answered when it was."""
        self.breaker.check()
        self._asked[connection] = begun = asyncio.get_running_loop().time()
        self.breaker.began()
        try:
            result = await method(connection, *args)
        except asyncpg.PostgresError:
            if not connection.is_closed():  # an error is an answer, too
                self.breaker.answered(begun)
            raise
        finally:
            del self._asked[connection]
        self.breaker.answered(begun)
        return result

    @property
    def opening(self) -> int:
        return self._opening

    def oldest(self) -> float | None:
        return min(self._asked.values(), default=None)

    def refuse_all(self, detail: str | None) -> None:
        for waiter in self._waiters:
            self._refuse(waiter, detail)

    def cut_all(self) -> None:
        for task in tuple(self._connecting):
            task.cancel()
        for connection in tuple(self._all):
            connection.terminate()

    # -- taking and giving back ---------------------------------------------------------------

    def take(self) -> Connection | None:
        """Return an idle connection without waiting, if there is one that is not broken."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._all.discard(connection)
        return None

    async def wait(self) -> Connection:
        """Return the next connection given back or opened. Sheds after `wait_s`."""
        if self._closed or len(self._waiters) >= self._most_waiters:
            self._shed += 1
            raise unavailable("The database is busy.")
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        self._waiters.add(waiter)
        self._asked[waiter] = loop.time()
        self.breaker.began()
        self._grow()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._give(waiter.result())
            raise
        finally:
            del self._asked[waiter]
            self._waiters.remove(waiter)

    def settle(self, connection: Connection, wrong: BaseException, mend: str) -> BaseException:
        """Give a connection back after a failure; return what the caller should see.

        `mend` is run when the failure is a cancellation, before anyone else has it.
        """
        if not isinstance(wrong, Exception):
            self._spawn(self._mend(connection, mend))
            return wrong
        if isinstance(wrong, TimeoutError) or is_elsewhere(wrong):
            connection.terminate()
        closed = connection.is_closed()
        fault = translated(wrong, closed=closed)
        self.noted(fault)
        if not closed and connection.is_in_transaction():
            self._spawn(self._mend(connection, mend))
        else:
            self._give(connection)
        return fault

    def noted(self, fault: Exception) -> None:
        """Once a lock was waited for in vain, refuse those who have waited for a connection long.

        They would most likely wait for the same lock, and for twice as long as one may.
        """
        if isinstance(fault, Locked):
            since = asyncio.get_running_loop().time() - LONG_S
            for waiter in self._waiters:
                if self._asked[waiter] <= since:
                    self._refuse(waiter, fault.detail)

    async def _once(
        self, method: Callable[..., Awaitable[T]], sql: str, args: tuple[object, ...]
    ) -> T:
        self.breaker.check()
        connection = self.take() or await self.wait()
        try:
            result = await self.ask(connection, method, sql, *args)
        except BaseException as wrong:
            fault = self.settle(connection, wrong, NOTHING)
            if fault is wrong:
                raise
            raise fault from wrong
        self._give(connection)
        return result

    def _give(self, connection: Connection) -> None:
        if connection.is_closed() or self._closed:
            self._all.discard(connection)
            connection.terminate()
            self._grow()
            return
        if waiter := self._waiters.pop():
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    give = _give

    def _refuse(self, waiter: Waiter, detail: str | None = None) -> None:
        if waiter.done():  # served in the very turn of the loop in which its time was up
            return
        self._waiters.remove(waiter)
        self._shed += 1
        detail = detail or (None if self._unreachable else "The database is busy.")
        waiter.set_exception(unavailable(detail))

    async def _mend(self, connection: Connection, sql: str) -> None:
        """Wait until a cancelled statement has ended, roll back, and give the connection back."""
        mended = False
        try:
            async with asyncio.timeout(MEND_S):
                await connection.execute(sql)
            mended = True
        except CONNECTING:
            pass
        finally:
            if not mended:
                connection.terminate()
            self._give(connection)

    # -- connecting ---------------------------------------------------------------------------

    def _grow(self) -> None:
        """Open as many connections as callers wait for, within the bound."""
        if self._closed:
            return
        wanted = min(len(self._waiters) - self._opening, self._size - len(self._all))
        room = self._size - len(self._all) - self._opening
        if self._unreachable:  # one attempt at a time finds out when it is back
            room = min(room, 1 - self._opening)
        for _ in range(min(wanted, room)):
            self._opening += 1
            task = self._spawn(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        pause = FIRST_PAUSE_S
        try:
            while not (connection := await self._attempt()):
                if not self._waiters:
                    return
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause = min(pause * 2, LONGEST_PAUSE_S)
        finally:
            self._opening -= 1
        self._all.add(connection)
        self._give(connection)
        self._grow()

    async def _attempt(self) -> Connection | None:
        try:
            connection = await connect(self._line)
        except CONNECTING as wrong:
            if not self._unreachable:
                self._log.warning("database_unreachable", reason=repr(wrong))
            self._unreachable = True
            return None
        if self._unreachable:
            self._log.info("database_reachable_again")
        self._unreachable = False
        return connection

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


class _Held:
    """The statements of one transaction; it has a connection from the first one on."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self.connection: Connection | None = None
        self.is_over = False

    def fetch(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Sequence[Row]]:
        return self._once(Connection.fetch, sql, args)

    def row(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Row | None]:
        return self._once(Connection.fetchrow, sql, args)

    def value(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Any]:
        return self._once(Connection.fetchval, sql, args)

    async def run(self, sql: str, /, *args: Any) -> int:
        return touched(await self._once(Connection.execute, sql, args))

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        await self._once(copied, table, (columns, rows))

    async def last(self, sql: str, /, *args: Any) -> Sequence[Row]:
        if self.connection is not None:
            return await self.fetch(sql, *args)
        self._open()
        self.is_over = True
        return await self._pool.fetch(sql, *args)

    async def _once(
        self, method: Callable[..., Awaitable[T]], sql: str, args: tuple[object, ...]
    ) -> T:
        connection = self.connection or await self._begin()
        try:
            return await self._pool.ask(connection, method, sql, *args)
        except Exception as wrong:  # every fault has its own class in the port
            if isinstance(wrong, TimeoutError):
                connection.terminate()
            fault = translated(wrong, closed=connection.is_closed())
            self._pool.noted(fault)
            if fault is wrong:
                raise
            raise fault from wrong

    async def _begin(self) -> Connection:
        self._open()
        self._pool.breaker.check()
        connection = self._pool.take() or await self._pool.wait()
        try:
            await self._pool.ask(connection, Connection.execute, "begin")
        except BaseException as wrong:
            fault = self._pool.settle(connection, wrong, "rollback")
            if fault is wrong:
                raise
            raise fault from wrong
        self.connection = connection
        return connection

    def _open(self) -> None:
        if self.is_over:  # it would run in somebody else's transaction
            raise RuntimeError("a statement came after the end of its transaction")


class _Transaction:
    """begin … commit, or rollback; the connection goes back to the pool in every case."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self._held = _Held(pool)

    async def __aenter__(self) -> Transaction:
        return self._held

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        wrong: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        held = self._held
        held.is_over = True
        connection, held.connection = held.connection, None
        if connection is None:
            return
        if wrong is None:
            await self._commit(connection)
        elif isinstance(wrong, Exception):
            await self._rollback(connection)
        else:
            self._pool.settle(connection, wrong, "rollback")

    async def _commit(self, connection: Connection) -> None:
        try:
            status = await self._pool.ask(connection, Connection.execute, "commit")
        except BaseException as wrong:
            fault = self._pool.settle(connection, wrong, "rollback")
            if fault is wrong:
                raise
            if isinstance(fault, DatabaseUnavailable):
                fault = unavailable("A commit was not answered: its outcome is unknown.")
            raise fault from wrong
        self._pool.give(connection)
        if status == "ROLLBACK":
            raise NotCommitted("a statement failed, and the transaction's block went on")

    async def _rollback(self, connection: Connection) -> None:
        """Roll back before the caller sees its exception, so that locks are free by then."""
        if connection.is_closed():
            self._pool.give(connection)
            return
        try:
            await self._pool.ask(connection, Connection.execute, "rollback")
        except (*CONNECTING, DatabaseUnavailable):
            connection.terminate()
        except BaseException as cancelled:
            self._pool.settle(connection, cancelled, "rollback")
            raise
        self._pool.give(connection)


async def copied(
    connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Append rows to a table, which a schema's name and a dot may precede."""
    schema, _, name = table.rpartition(".")
    await connection.copy_records_to_table(
        name, schema_name=schema or None, columns=columns, records=rows
    )


def touched(status: str) -> int:
    """Return the number of rows in a command's status, such as `INSERT 0 3`."""
    count = status.rpartition(" ")[2]
    return int(count) if count.isdecimal() else 0


@asynccontextmanager
async def open_pool(
    dsn: str,
    *,
    size: int = 8,
    wait_s: float = 5.0,
    statement_timeout_s: float = 10.0,
    lock_timeout_s: float = 5.0,
    application_name: str = "nova",
    look_s: float = LOOK_S,
) -> AsyncIterator[PostgresPool]:
    """Open a pool of at most `size` connections, and one more that listens once asked to.

    Every `look_s` that one is asked whether it still hears anything.
    """
    line = Line(
        dsn=dsn,
        statement_timeout_s=statement_timeout_s,
        lock_timeout_s=lock_timeout_s,
        application_name=application_name,
    )
    pool = PostgresPool(line, size=size, wait_s=wait_s, look_s=look_s)
    try:
        await pool.open()
        yield pool
    finally:
        await pool.close()
