"""A real server process with a fresh data folder, and what it costs."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024
READY_S = 300.0
STOP_S = 60.0


class Cost(Struct, frozen=True):
    """CPU seconds used so far."""

    server_s: float
    postgres_s: float

    def since(self, before: "Cost") -> "Cost":
        return Cost(self.server_s - before.server_s, self.postgres_s - before.postgres_s)


class Server(Struct, frozen=True):
    """A running `nova serve` and the credentials to call it with."""

    pid: int
    host: str
    port: int
    token_secret: str
    server_key: str
    data: Path
    """The folder of its data."""

    def cost(self) -> Cost:
        """Return the CPU time of the server and of the processes below it: its PostgreSQL."""
        return Cost(_cpu(self.pid), sum(_cpu(pid) for pid in _descendants(self.pid)))

    def resident_kb(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]) * PAGE_KB

    def descendants(self) -> list[int]:
        """Return the processes below the server: those of its PostgreSQL."""
        return _descendants(self.pid)


@asynccontextmanager
async def serving(settings: Mapping[str, str]) -> AsyncIterator[Server]:
    """Run a server on a free port with throwaway data; `settings` are NOVA_… variables."""
    with TemporaryDirectory(prefix="nova-bench-") as folder:
        async with running(Path(folder), secrets.token_hex(32), settings) as server:
            yield server


@asynccontextmanager
async def running(
    folder: Path, secret: str, settings: Mapping[str, str], *, files: int = 0
) -> AsyncIterator[Server]:
    """Run a server in a folder, where an earlier one may have been killed.

    It may open so many `files`, or as many as this process.
    """
    bounded = ("/bin/sh", "-c", 'ulimit -n "$0" && exec "$@"', str(files)) if files else ()
    with (folder / "log").open("w+b") as log:
        data = folder / "data"
        process = await asyncio.create_subprocess_exec(
            *bounded,
            *(sys.executable, "-m", "nova", "serve"),
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "NOVA_DATA": str(data),
                "NOVA_HTTP_PORT": "0",
                "NOVA_TOKENS_SECRET": secret,
                **settings,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        try:
            async with asyncio.timeout(READY_S):
                address = await _address(process)
            if address is None:
                log.seek(0)
                raise RuntimeError(f"nova serve did not start: {log.read().decode()}")
            host, port = address
            drained = asyncio.create_task(_drained(process))
            key = (data / "server.key").read_text("ascii").strip()
            yield Server(process.pid, host, port, secret, key, data)
            drained.cancel()
        finally:
            await _stop(process)


async def _address(process: asyncio.subprocess.Process) -> tuple[str, int] | None:
    """Read the line in which the server says where it listens; None if it ends before that."""
    if process.stdout is None:
        raise RuntimeError("the server's output is not connected")
    async for line in process.stdout:
        words = line.decode().split("http://", 1)
        if len(words) > 1:
            host, _, port = words[1].split()[0].rstrip("/").rpartition(":")
            return host, int(port)
    return None


async def _drained(process: asyncio.subprocess.Process) -> None:
    while process.stdout is not None and await process.stdout.read(65_536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of those children of it that have ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except OSError:
        return 0.0
    fields = text.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS


def _descendants(pid: int) -> list[int]:
    """The processes below `pid`; not those of its threads' children twice."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for thread in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(child) for child in thread.read_text("ascii").split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found
