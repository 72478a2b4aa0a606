"""A deployment with a data folder of its own, whose server can be killed and started again."""

import asyncio
import os
import secrets
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from nova.bench.processes import Server
from support.app import App
from support.waiting import SOON_S

NOVA = ("-m", "nova")
SHOWN = 10_000
"""Bytes of what a server said last that are shown of a test that failed."""


class Deployment:
    """Start, kill or end its server.

    `output` is everything it ever said; `refusals` is how often it asked for patience.
    """

    def __init__(
        self, folder: Path, settings: Mapping[str, str], *, program: Sequence[str] = NOVA
    ) -> None:
        self.data = folder / "data"
        self.secret = secrets.token_hex(32)
        self.output = b""
        self.refusals = 0
        self._folder = folder
        self._settings = settings
        self._program = program
        self._process: Process | None = None
        self._begun: list[Process] = []
        self._readings: list[asyncio.Task[None]] = []
        self._app: App | None = None
        self._up = asyncio.Event()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "NOVA_DATA": str(self.data),
            "NOVA_HTTP_PORT": "0",
            "NOVA_TOKENS_SECRET": self.secret,
            **self._settings,
        }

    async def start(self, key: str = "") -> App:
        """Start it; calls are made with this server key, or the one that it wrote down."""
        self._process = process = await self._nova("serve")
        async with asyncio.timeout(SOON_S):
            address = await self._address(process)
        host, _, port = address.rpartition(":")
        key = key or (self.data / "server.key").read_text("ascii").strip()
        self._app = App(Server(process.pid, host, int(port), self.secret, key, self.data))
        self._readings.append(asyncio.create_task(self._read(process)))
        self._up.set()
        return self._app

    async def strike(self) -> None:
        """Kill the server where it stands, without waiting for its end."""
        self._running.kill()

    async def ask_to_end(self) -> None:
        self._running.terminate()

    async def end(self) -> int:
        """Ask the server to end, and return its exit status."""
        await self.ask_to_end()
        return await self.gone()

    async def close(self) -> None:
        """End the server, if it runs."""
        if self._process is not None and self._process.returncode is None:
            await self.end()

    async def kill(self) -> None:
        """Leave nothing of all that was begun, whatever it is at: it may be stopped, or hang."""
        running = [process for process in self._begun if process.returncode is None]
        for process in running:
            process.kill()
        await asyncio.gather(*self._readings)
        for process in running:
            await process.communicate()

    async def run(self, *arguments: str) -> tuple[int, str]:
        """Run a verb of the command line; return its exit status and all it said."""
        process = await self._nova(*arguments)
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode()

    async def begin(self, *arguments: str) -> Process:
        """Begin a verb of the command line; what it says is to be read from its output."""
        return await self._nova(*arguments)

    async def app(self) -> App:
        """Return the app before the running server; wait while there is none."""
        await self._up.wait()
        if self._app is None:
            raise RuntimeError("the server never started")
        return self._app

    async def send(self, *events: dict[str, Any]) -> None:
        """Post events as often as it takes to hear that they were accepted."""
        async with asyncio.timeout(SOON_S):
            while True:
                app = await self.app()
                try:
                    async with app.client(patient=False) as client:
                        answer = await client.post("/v1/events", json=list(events))
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                    continue
                if answer.status_code == 503:
                    assert "retry-after" in answer.headers
                    self.refusals += 1
                    await asyncio.sleep(0.1)
                    continue
                answer.raise_for_status()
                said = {result["status"] for result in answer.json()["results"]}
                assert said <= {"accepted", "duplicate"}
                return

    @property
    def _running(self) -> Process:
        if self._process is None:
            raise RuntimeError("the server was never started")
        return self._process

    async def _nova(self, *arguments: str) -> Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *self._program, *arguments),
            cwd=self._folder,
            env=self.environment,
            stdout=PIPE,
            stderr=STDOUT,
        )
        self._begun.append(process)
        return process

    async def _address(self, process: Process) -> str:
        assert process.stdout is not None
        async for line in process.stdout:
            self.output += line
            _, found, address = line.decode().partition("Nova listens on http://")
            if found:
                return address.strip()
        raise RuntimeError(f"nova serve did not start: {self.output.decode()}")

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while said := await process.stdout.read(65_536):
            self.output += said

    @property
    def pid(self) -> int:
        """The process id of the running server; with several workers, of their supervisor."""
        return self._running.pid

    async def gone(self) -> int:
        """Wait for the server's end, and return its exit status."""
        self._up.clear()
        status = await self._running.wait()
        await asyncio.gather(*self._readings)
        return status


@asynccontextmanager
async def deployed(
    folder: Path, *, program: Sequence[str] = NOVA, **settings: str
) -> AsyncIterator[Deployment]:
    """Yield a deployment in a folder; `program` is what Python runs as `nova`."""
    deployment = Deployment(folder, settings, program=program)
    try:
        yield deployment
        await deployment.close()
    except BaseException:
        sys.stdout.write(deployment.output[-SHOWN:].decode(errors="replace"))
        raise
    finally:
        await deployment.kill()
