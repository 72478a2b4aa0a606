"""LISTEN over one connection of its own, which is asked again and again whether it is alive."""

import asyncio
import random
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Any

import msgspec
from structlog import get_logger

from nova.adapters.postgres.connection import NOTHING, Connection, Line, connect
from nova.adapters.postgres.faults import CONNECTING, translated, unavailable
from nova.adapters.postgres.timeouts import answered, is_done
from nova.ports.database import DatabaseUnavailable, Row

Heard = Callable[[str, bool], None]

LOOK_S = 1.0
"""Between questions whether the connection still carries anything."""
ANSWER_S = 0.5
"""A connection that has not answered by then is given up: what it should have told is unheard."""
CONNECT_S = 2.0
CONNECTING_S = 0.1
"""Who asks while there is no connection waits for one for as long beyond ANSWER_S."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


class Ear:
    """Hears notifications. `pids` returns the backends whose notifications are our own, too.

    No statement that writes runs on its connection, so that an answer takes no longer than the
    server needs to answer anything at all.
    """

    def __init__(
        self, line: Line, pids: Callable[[], AbstractSet[int]], *, look_s: float = LOOK_S
    ) -> None:
        self._line = msgspec.structs.replace(line, connect_s=CONNECT_S)
        self._look_s = look_s
        self._pids = pids
        self._calls: dict[str, list[Heard]] = {}
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._using = asyncio.Lock()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[bool] | None = None
        self._log = get_logger()

    async def listen(self, channel: str, heard: Heard) -> None:
        """Hear a channel from now on; while disconnected, from the reconnect on."""
        self._start()
        await self._tried.wait()
        known = channel in self._calls
        self._calls.setdefault(channel, []).append(heard)
        if self._connection and not known:
            async with self._using:
                await self._attend_or_reconnect(channel)

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        """Run a query here. Raises DatabaseUnavailable after ANSWER_S, and reconnects then."""
        self._start()
        try:
            return await answered(self._fetch(sql, args), ANSWER_S + CONNECTING_S)
        except TimeoutError:
            raise unavailable() from None

    async def answers(self, within_s: float) -> bool:
        """Tell whether the server answers anything at all within some time."""
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.get_running_loop().create_task(self._look())
        return await is_done(looking, within_s) and looking.result()

    @property
    def started(self) -> bool:
        return self._task is not None

    @property
    def deaf(self) -> bool:
        """Whether somebody listens, and nothing can be heard now."""
        return bool(self._calls) and self._connection is None

    async def close(self) -> None:
        tasks = [task for task in (self._task, self._looking) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_listening())

    async def _look(self) -> bool:
        try:
            await self.fetch(NOTHING)
        except DatabaseUnavailable:
            return False
        return True

    async def _fetch(self, sql: str, args: Sequence[Any]) -> Sequence[Row]:
        await self._connected.wait()
        async with self._using:
            connection = self._connection
            if connection is None:
                raise unavailable()
            try:
                rows: Sequence[Row] = await answered(connection.fetch(sql, *args), ANSWER_S)
            except Exception as wrong:
                if isinstance(wrong, TimeoutError):
                    connection.terminate()
                fault = translated(wrong, closed=connection.is_closed())
                if fault is wrong:
                    raise
                raise fault from wrong
            return rows

    async def _keep_listening(self) -> None:
        pause = FIRST_PAUSE_S
        first = True
        while True:
            try:
                connection = await connect(self._line)
            except CONNECTING:
                first = False
                self._tried.set()
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # jitter
                pause = min(pause * 2, LONGEST_PAUSE_S)
                continue
            try:
                await self._serve(connection, missed=not first)
            except (*CONNECTING, DatabaseUnavailable) as wrong:
                self._log.warning("database_listener_lost", reason=repr(wrong))
            except Exception:  # noqa: BLE001  # the edge of the task: all of Nova hears through it
                self._log.exception("database_listener_failed")
                await asyncio.sleep(LONGEST_PAUSE_S)
            finally:
                self._connection = None
                self._connected.clear()
                connection.terminate()
            first, pause = False, FIRST_PAUSE_S

    async def _serve(self, connection: Connection, *, missed: bool) -> None:
        """Listen until the connection breaks."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        for channel in tuple(self._calls):
            await answered(self._attend(connection, channel), ANSWER_S)
        self._connection = connection
        self._connected.set()
        self._tried.set()
        if missed:
            for calls in tuple(self._calls.values()):
                for call in tuple(calls):
                    call("", False)
        while not gone.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await gone.wait()
            if not gone.is_set():
                await self.answers(2 * ANSWER_S)
        self._log.warning("database_listener_lost", reason="The connection is gone.")

    async def _attend_or_reconnect(self, channel: str) -> None:
        if connection := self._connection:
            try:
                await answered(self._attend(connection, channel), ANSWER_S)
            except CONNECTING:
                connection.terminate()  # the reconnect listens, and tells

    async def _attend(self, connection: Connection, channel: str) -> None:
        await connection.add_listener(channel, self._hear)

    def _hear(self, connection: Connection, pid: int, channel: str, payload: object) -> None:
        own = pid == connection.server_pid or pid in self._pids()
        for call in tuple(self._calls.get(channel, ())):
            call(str(payload), own)
