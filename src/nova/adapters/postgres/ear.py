"""LISTEN and NOTIFY over one connection of their own, over reconnects."""

import asyncio
import random
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import suppress

from structlog import get_logger

from nova.adapters.postgres.connection import NOTHING, Connection, Line, connect
from nova.adapters.postgres.faults import CONNECTING, translated, unavailable

Heard = Callable[[str, bool], None]

LOOK_S = 15.0  # between questions whether the connection still carries anything
ANSWER_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0

NOTIFY = "select pg_notify($1, $2)"


class Ear:
    """Hears notifications. `pids` returns the backends whose notifications are our own, too."""

    def __init__(
        self, line: Line, pids: Callable[[], AbstractSet[int]], *, look_s: float = LOOK_S
    ) -> None:
        self._line = line
        self._look_s = look_s
        self._pids = pids
        self._calls: dict[str, list[Heard]] = {}
        self._connection: Connection | None = None
        self._using = asyncio.Lock()
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
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

    async def notify(self, channel: str, payload: str) -> None:
        self._start()
        await self._tried.wait()
        async with self._using:
            connection = self._connection
            if connection is None:
                raise unavailable()
            try:
                await connection.execute(NOTIFY, channel, payload)
            except Exception as wrong:
                fault = translated(wrong, closed=connection.is_closed())
                if fault is wrong:
                    raise
                raise fault from wrong

    @property
    def deaf(self) -> bool:
        """Whether somebody listens, and nothing can be heard now."""
        return bool(self._calls) and self._connection is None

    async def close(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep_listening())

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
            except CONNECTING as wrong:
                self._log.warning("database_listener_lost", reason=repr(wrong))
            except Exception:  # noqa: BLE001  # the edge of the task: all of Nova hears through it
                self._log.exception("database_listener_failed")
                await asyncio.sleep(LONGEST_PAUSE_S)
            finally:
                self._connection = None
                connection.terminate()
            first, pause = False, FIRST_PAUSE_S

    async def _serve(self, connection: Connection, *, missed: bool) -> None:
        """Listen until the connection breaks."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        async with self._using:
            for channel in tuple(self._calls):
                await self._attend(connection, channel)
            self._connection = connection
        self._tried.set()
        if missed:
            for calls in tuple(self._calls.values()):
                for call in tuple(calls):
                    call("", False)
        while not gone.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), self._look_s)
                return
            async with self._using:
                await connection.execute(NOTHING, timeout=ANSWER_S)

    async def _attend_or_reconnect(self, channel: str) -> None:
        if connection := self._connection:
            try:
                await self._attend(connection, channel)
            except CONNECTING:
                connection.terminate()  # the reconnect listens, and tells

    async def _attend(self, connection: Connection, channel: str) -> None:
        await connection.add_listener(channel, self._hear)

    def _hear(self, connection: Connection, pid: int, channel: str, payload: object) -> None:
        own = pid == connection.get_server_pid() or pid in self._pids()
        for call in tuple(self._calls.get(channel, ())):
            call(str(payload), own)
