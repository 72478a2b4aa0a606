"""PostgreSQL inside the data folder: created, started, supervised, stopped."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
from structlog import get_logger

from nova.adapters.postgres.faults import CONNECTING
from nova.adapters.postgres.folder import Folder, address
from nova.adapters.postgres.program import MAJOR
from nova.adapters.postgres.refusals import NotStarted
from nova.adapters.postgres.server import Server
from nova.adapters.postgres.tuning import SETTINGS

LINGER_S = 60.0  # in which processes of a killed server must let go of its memory
RECOVERY_S = 600.0  # in which a server that runs must answer: it replays its log first
RESTART_S = 1.0  # between attempts of the supervisor
LOOK_S = 0.02
ATTACH_S = 2.0

_LINGERS = re.compile(r"shared memory block .* is still in use|lock file .* already exists")


class Embedded:
    """A running server; `dsn` stays the same over its restarts."""

    def __init__(self, server: Server, dsn: str) -> None:
        self._server = server
        self.dsn = dsn
        self.restarts = 0
        self._log = get_logger()

    @property
    def pid(self) -> int | None:
        return self._server.pid

    async def start(self) -> None:
        """Start, and return once the server answers.

        For a while after a crash the processes of the previous server hold its memory and
        its lock, and a new one ends at once: one that was replaying the log goes on with that.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + LINGER_S
        while True:
            self._server.start()
            if await self._answers():
                return
            code, words = self._server.exit_code() or 0, self._server.last_words()
            was_killed = code < 0
            if not (was_killed or _LINGERS.search(words)) or loop.time() > deadline:
                raise NotStarted(
                    f"PostgreSQL ended with code {code}, after these words (postgres.log in the "
                    f"data folder has more): {words}"
                )
            await asyncio.sleep(LOOK_S * 5)

    async def supervise(self) -> None:
        """Start the server again whenever it ends; cancel this before stopping it."""
        while True:
            code = await self._server.exited()
            self._log.error("postgres_ended", code=code)
            self.restarts += 1
            try:
                await self.start()
            except (NotStarted, OSError) as reason:
                self._log.error("postgres_not_restarted", reason=str(reason))
                await asyncio.sleep(RESTART_S)
            else:
                self._log.warning("postgres_restarted", pid=self.pid, restarts=self.restarts)

    async def _answers(self) -> bool:
        """Wait until it takes connections; return False as soon as it has ended instead."""
        async with asyncio.timeout(RECOVERY_S):
            while self._server.exit_code() is None:
                if await _reaches(self.dsn):
                    return True
                await asyncio.sleep(LOOK_S)
        return False


@asynccontextmanager
async def embedded(
    folder: Path, *, settings: Mapping[str, str] | None = None, major: int = MAJOR
) -> AsyncIterator[Embedded]:
    """Run PostgreSQL in a data folder, creating both if need be, as long as the block runs.

    `settings` go over tuning.SETTINGS. Raises CannotEmbed, or one of its subclasses.
    """
    place = Folder(folder)
    place.make()
    with place.locked(), place.socket_folder() as sockets:
        server = Server(place, sockets, {**SETTINGS, **(settings or {})}, major)
        if not place.check_version(major):
            server.initialize()
        running = Embedded(server, address(sockets))
        try:
            await running.start()
            place.write_dsn(running.dsn)
            supervisor = asyncio.create_task(running.supervise())
            try:
                yield running
            finally:
                supervisor.cancel()
                await asyncio.gather(supervisor, return_exceptions=True)
        finally:
            place.dsn_file.unlink(missing_ok=True)
            await server.stop()


def holds_data(folder: Path) -> bool:
    """Tell whether a data folder holds a server's data, of whatever version."""
    return (Folder(folder).data / "PG_VERSION").exists()


async def attach(folder: Path) -> str | None:
    """Return the address of the server that another process runs in a data folder, if it does."""
    try:
        dsn = (folder / "postgres.dsn").read_text()
    except OSError:
        return None
    return dsn if await _reaches(dsn) else None


async def _reaches(dsn: str) -> bool:
    with suppress(*CONNECTING):
        connection = await asyncpg.connect(dsn, timeout=ATTACH_S)
        await connection.close(timeout=ATTACH_S)
        return True
    return False
