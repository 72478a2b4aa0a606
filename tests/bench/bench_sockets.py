"""CPU per delivery and memory per idle socket: `python tests/bench/bench_sockets.py`.

The server is a process of its own, with channels in memory: what is measured is the hub, the
protocol and the kernel's part of a write. Arguments: sockets, publications, idle sockets.
"""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

import uvloop

from nova.web.tokens import mint
from support.waiting import until
from support.wire_client import TEXT, frame

TESTS = Path(__file__).parents[1]
WANTED = {
    "secret": "secret",
    "namespaces": [
        {"name": "bench", "history_size": 100, "history_ttl_s": 60},
        {"name": "user", "history_size": 100, "history_ttl_s": 60},
    ],
}


class Follower(asyncio.Protocol):
    """Connects, follows a channel, and counts what it gets."""

    def __init__(self, name: str, channel: str) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.bytes = 0
        self._name, self._channel = name, channel
        self._upgraded = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(
            b"GET /connection/websocket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Version: 13\r\n\r\n"
        )

    def data_received(self, data: bytes) -> None:
        if not self._upgraded:
            self._upgraded = True
            commands: list[dict[str, Any]] = [
                {"id": 1, "connect": {"token": mint("secret", self._name)}},
                {"id": 2, "subscribe": {"channel": self._channel}},
            ]
            text = b"\n".join(json.dumps(each).encode() for each in commands)
            self.transport.write(frame(TEXT, text))
        elif not self.ready.done():
            if b'"id":2' in data:
                self.ready.set_result(None)
        else:
            self.bytes += len(data)


class Server:
    """The other process."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    async def ask(self, line: str = "state") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line.encode() + b"\n")
        state: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return state

    async def followers(self, many: int, channel: str) -> list[Follower]:
        loop = asyncio.get_running_loop()
        every: list[Follower] = []
        for start in range(0, many, 100):
            some = [
                Follower(f"user-{number}", channel.format(number))
                for number in range(start, min(start + 100, many))
            ]
            for one in some:
                await loop.create_connection(lambda one=one: one, "127.0.0.1", self.port)  # type: ignore[misc]
            await asyncio.gather(*(one.ready for one in some))
            every += some
        return every


async def started() -> Server:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.socket_program",
        json.dumps(WANTED),
        stdin=PIPE,
        stdout=PIPE,
        cwd=TESTS,
    )
    assert process.stdout is not None
    return Server(process, int(await process.stdout.readline()))


async def deliveries(many: int, times: int) -> None:
    server = await started()
    try:
        followers = await server.followers(many, "bench:all")
        await server.ask("publish 10")
        before = await server.ask()
        after = await server.ask(f"publish {times}")
        await until(lambda: len({one.bytes for one in followers}) == 1)
        size = followers[0].bytes
        spent = after["cpu"] - before["cpu"]
        sys.stdout.write(
            f"{times} publications to {many} sockets: {spent / times / many * 1e6:.2f} µs of CPU "
            f"a delivery, {size // (times + 10)} bytes each\n"
        )
    finally:
        server.process.kill()
        await server.process.wait()


async def idle(many: int) -> None:
    server = await started()
    try:
        await server.followers(50, "user:warm-{}")
        before = await server.ask()
        held = await server.followers(many, "user:{}")
        after = await server.ask()
        each = (after["rss"] - before["rss"]) / len(held) / 1000
        sys.stdout.write(f"{after['sockets']} idle sockets, each {each:.1f} KB\n")
    finally:
        server.process.kill()
        await server.process.wait()


async def main() -> None:
    numbers = [int(each) for each in sys.argv[1:]] + [1000, 200, 2000][len(sys.argv) - 1 :]
    await deliveries(numbers[0], numbers[1])
    await idle(numbers[2])


if __name__ == "__main__":
    uvloop.run(main())
