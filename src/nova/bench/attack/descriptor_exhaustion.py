"""Check how the server behaves when it has no free file descriptors."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress

from nova.adapters.postgres.pool import open_pool
from nova.bench.attack.floods import TEXT, UPGRADE, command, request
from nova.bench.client import Caller
from nova.bench.notifications import create_users
from nova.bench.processes import Server, running
from nova.bench.proxied_postgres import proxied_postgres
from nova.ports.database import Pool
from nova.web.tokens import mint

FILES = 256
"""Descriptors that the server may have; at rest it has about 60."""
CALLERS = 2 * FILES
PEOPLE = 64
ADDRESSES = 16
"""Callers come from 127.0.0.2 and so on, so that no bound of one address is what refuses them."""
ANSWER_S = 15.0
RECOVERED_S = 30.0
AT_ONCE = 32
UPGRADED, OK, BUSY = 101, 200, 503

CUT = """
select pg_terminate_backend(pid) from pg_stat_activity
 where pid <> pg_backend_pid() and backend_type = 'client backend'
"""


async def measured(progress: Callable[[str], None]) -> dict[str, float]:
    """Return whether everybody beyond the limit was told so, and the server went on."""
    async with (
        proxied_postgres() as (folder, _, dsn),
        running(folder, secrets.token_hex(32), {"NOVA_DATABASE": dsn}, files=FILES) as server,
        open_pool(dsn, size=1, wait_s=5.0) as pool,
    ):
        trial = _Trial(server, pool)
        faults = await trial.run()
    for fault in faults:
        progress(f"at the descriptor limit: {fault}")
    return {
        "sockets_refused_cleanly": float(not faults),
        "sockets_open_at_the_limit": trial.said["open"],
        "sockets_refused": trial.said["refused"],
    }


class _Trial:
    """Fills a server with sockets, then with silent connections, and looks how it does."""

    def __init__(self, server: Server, pool: Pool) -> None:
        self._server = server
        self._pool = pool
        self._using = asyncio.Lock()
        self._faults: list[str] = []
        self.said: Counter[str] = Counter()

    async def run(self) -> list[str]:
        """Return what went wrong."""
        server = self._server
        self._kept = await Caller.open(server.host, server.port, server.server_key)
        await create_users(self._kept, [f"user-{number}" for number in range(PEOPLE)])
        beating = asyncio.create_task(self._beat())
        async with AsyncExitStack() as stack:
            await self._fill(stack, self._socket)
            await self._serves("with sockets up to the limit", fresh={OK, BUSY})
            await self._fill(stack, self._silent)
            await self._serves("with silent connections up to the limit", fresh={OK, BUSY})
        await self._recovers()
        beating.cancel()
        self._kept.close()
        self._judge()
        return self._faults

    def _judge(self) -> None:
        if not self.said["refused"]:
            self._faults.append("nobody was refused")
        if not self.said["open"]:
            self._faults.append("nobody was let in")
        for outcome, number in self.said.items():
            if outcome not in {"open", "refused"}:
                self._faults.append(f"{number} sockets: {outcome}")

    async def _fill(self, stack: AsyncExitStack, call: Callable[..., Awaitable[None]]) -> None:
        for start in range(0, CALLERS, AT_ONCE):
            await asyncio.gather(*(call(stack, start + number) for number in range(AT_ONCE)))

    async def _socket(self, stack: AsyncExitStack, number: int) -> None:
        outcome, writer = await self._connected(number)
        self.said[outcome] += 1
        if writer is not None:
            stack.callback(_hang_up, writer)

    async def _silent(self, stack: AsyncExitStack, number: int) -> None:
        with suppress(OSError):
            _, writer = await self._called(number)
            stack.callback(_hang_up, writer)

    async def _called(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        source = (f"127.0.0.{2 + number % ADDRESSES}", 0)
        return await asyncio.open_connection(
            self._server.host, self._server.port, local_addr=source
        )

    async def _connected(self, number: int) -> tuple[str, asyncio.StreamWriter | None]:
        """Open a socket; return "open", "refused", or what else became of it."""
        try:
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await self._called(number)
        except (OSError, TimeoutError):
            return "not connected", None
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._greeted(reader, writer, number), writer
        except TimeoutError:
            return "not answered", writer
        except (OSError, asyncio.IncompleteReadError):
            return "cut without an answer", writer

    async def _greeted(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> str:
        token = mint(self._server.token_secret, f"user-{number % PEOPLE}")
        writer.write(UPGRADE)
        status = int((await reader.readuntil(b"\r\n\r\n"))[9:12])
        if status != UPGRADED:
            return "refused" if status == BUSY else f"answered {status}"
        writer.write(command(connect={"token": token}))
        first = await reader.readexactly(2)
        return "open" if first[0] & 0x0F == TEXT else "refused"

    async def _beat(self) -> None:
        """Use the kept connection, as a monitor does, so that it is not closed as idle."""
        while True:
            await self._on_kept("/healthz")
            await asyncio.sleep(1.0)

    async def _on_kept(self, path: str) -> int:
        async with self._using:
            try:
                async with asyncio.timeout(ANSWER_S):
                    return (await self._kept.ask("GET", path))[0]
            except (OSError, TimeoutError):
                return 0

    async def _on_new(self, path: str) -> int:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(ANSWER_S):
                reader, writer = await self._called(0)
                try:
                    writer.write(request("GET", path))
                    return int((await reader.readuntil(b"\r\n\r\n"))[9:12])
                finally:
                    writer.transport.abort()
        return 0

    async def _serves(self, when: str, fresh: set[int]) -> None:
        """Look whether the server answers on connections new and old, and reaches its database."""
        if (said := await self._on_new("/healthz")) not in fresh:
            self._faults.append(f"{when}, a new connection to /healthz is answered {said}")
        if (said := await self._on_kept("/healthz")) != OK:
            self._faults.append(f"{when}, an open connection to /healthz is answered {said}")
        await self._pool.fetch(CUT)  # as after a restart of PostgreSQL: it needs new descriptors
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                while await self._on_kept("/v1/users/user-1") != OK:  # noqa: ASYNC110  # nobody announces it
                    await asyncio.sleep(0.1)
                return
        self._faults.append(f"{when}, it does not reach its database again")

    async def _recovers(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERED_S):
                while True:
                    outcome, writer = await self._connected(0)
                    if writer is not None:
                        writer.transport.abort()
                    if outcome == "open":
                        return
                    await asyncio.sleep(0.2)
        self._faults.append("it does not recover when the others have left")


def _hang_up(writer: asyncio.StreamWriter) -> None:
    """Close without ado. Held until then: what is not held closes by itself."""
    writer.transport.abort()
