"""Start helper processes of the benchmark: each reads a job and writes a result."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")
READY = b"ready\n"
STARTING_S = 60.0
BUSY = "while True: pass"


class Worker:
    """A Python module that runs as a process: reads an order, says that it is ready, waits."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def begin(self) -> None:
        _, stdin = self._pipes
        stdin.write(b"go\n")
        await stdin.drain()

    def end(self) -> None:
        """Ask it to end now; it says its result all the same."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    async def result(self, kind: type[T]) -> T:
        """Wait for its end, and return what it said."""
        stdout, _ = self._pipes
        said = await stdout.read()
        if await self._process.wait() != 0:
            raise RuntimeError(f"a process of the benchmark ended with {self._process.returncode}")
        return msgspec.json.decode(said, type=kind)

    @property
    def _pipes(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._process.stdout is None or self._process.stdin is None:
            raise RuntimeError("the process has no pipes")
        return self._process.stdout, self._process.stdin

    async def _give(self, order: Struct) -> None:
        stdout, stdin = self._pipes
        stdin.write(msgspec.json.encode(order) + b"\n")
        async with asyncio.timeout(STARTING_S):
            if await stdout.readline() != READY:
                raise RuntimeError("a process of the benchmark did not start")


@asynccontextmanager
async def worker(module: str, order: Struct) -> AsyncIterator[Worker]:
    """Start a module as a process that waits to begin; it is killed if the block ends first."""
    async with _process("-m", module) as process:
        started = Worker(process)
        await started._give(order)  # noqa: SLF001  # nobody else gives orders
        yield started


@asynccontextmanager
async def busy() -> AsyncIterator[None]:
    """Run a process that does nothing, as fast as it can."""
    async with _process("-c", BUSY):
        yield


@asynccontextmanager
async def _process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *arguments),
        env=dict(os.environ),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**24,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def ordered(kind: type[T]) -> T:
    """In the process: read the order, and return when told to begin."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=kind)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    sys.stdin.buffer.readline()
    return order


def say(result: Any) -> None:
    """In the process: tell the result."""
    sys.stdout.buffer.write(msgspec.json.encode(result))
