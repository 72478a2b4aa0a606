"""Servers that mean ill, over real connections: what they can do ends, and takes little memory."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nova.wire import http2
from nova.wire.addresses import place
from nova.wire.exchange import Lost, Request, Unsent, once
from nova.wire.http2 import PREFACE, frame
from nova.wire.origin import Bounds, Origin
from nova.wire.outgoing import origin, trust
from support.waiting import SOON_S

GREETING = frame(http2.SETTINGS, 0, 0)
EARLY_HINTS = b"\x08\x03103"
OK = b"\x88"  # :status 200
MOST_KEPT = 20_000_000
CHUNK = 400
"""Frames in one write."""


def ask(n: int = 0) -> Request:
    path = b"/%d" % n
    return Request(path, ((b"x-steady", b"1"),), (once(b"x-own", path),), b"{}")


class Villain:
    """Reads the first request, then says the same thing as often as it is let."""

    def __init__(
        self, says: bytes, *, greets: bytes = GREETING, begins: bytes = b"", reads: bool = True
    ) -> None:
        self._says, self._greets, self._begins, self._reads = says, greets, begins, reads
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reading = None
        try:
            writer.write(self._greets)
            while b"/0" not in await reader.read(65_536):
                pass
            writer.write(self._begins)
            if self._reads:
                reading = asyncio.create_task(self._read(reader))
            while True:
                writer.write(self._says * CHUNK)
                await writer.drain()
        except ConnectionError:
            if reading:
                reading.cancel()
        finally:
            self.ended.set()
            writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(65_536):
            pass


@asynccontextmanager
async def facing(villain: Villain, plain: str = "h2") -> AsyncIterator[Origin]:
    server = await asyncio.start_server(villain.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    # None of it may end by the deadline: a flood must end by itself.
    bounds = Bounds(deadline_s=3600, look_s=3600)
    client = origin(place(f"http://127.0.0.1:{port}"), tls=trust(), bounds=bounds, plain=plain)
    try:
        yield client
    finally:
        await client.close()
        server.close()


FLOODS = {
    "early hints": frame(http2.HEADERS, 4, 1, EARLY_HINTS),
    "pings": frame(http2.PING, 0, 0, b"are-you?"),
    "answers to pings": frame(http2.PING, http2.ACK, 0, b"are-you?"),
    "settings": frame(http2.SETTINGS, 0, 0),
    "settings in plenty": frame(http2.SETTINGS, 0, 0, b"\0\1\0\0\1\0\0\1\0\0\x10\0" * 1_000),
    "windows": frame(http2.WINDOW, 0, 1, b"\0\0\0\1"),
    "priorities": frame(http2.PRIORITY, 0, 1, b"\0" * 5),
    "extensions": frame(77, 0, 0, b"x" * 1_000),
    "empty data": frame(http2.HEADERS, 4, 1, OK) + frame(http2.DATA, 0, 1),
    "trailers": frame(http2.HEADERS, 4, 1, OK),
    "large headers": frame(http2.HEADERS, 4, 1, EARLY_HINTS + b"\x8f" * 400),
}


@pytest.mark.parametrize("name", FLOODS)
@pytest.mark.parametrize("reads", [True, False])
async def test_a_flood_ends_the_connection_and_takes_little_memory(
    name: str, *, reads: bool
) -> None:
    villain = Villain(FLOODS[name], reads=reads)
    tracemalloc.start()
    try:
        async with facing(villain) as client, asyncio.timeout(SOON_S):
            with pytest.raises(Lost, match="broke HTTP/2"):
                await client.send(ask())
            await villain.ended.wait()
        assert tracemalloc.get_traced_memory()[1] < MOST_KEPT
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("code", [0, 2, 8, 11])
async def test_streams_that_are_reset_are_lost_and_never_asked_again(code: int) -> None:
    """Only a refused stream was surely not processed."""
    asked = 0

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        writer.write(GREETING)
        await reader.readexactly(len(PREFACE))
        while True:
            head = await reader.readexactly(9)
            size, kind = int.from_bytes(head[:3]), head[3]
            await reader.readexactly(size)
            if kind == http2.HEADERS:
                asked += 1
                writer.write(
                    frame(http2.RST_STREAM, 0, int.from_bytes(head[5:]), bytes((0, 0, 0, code))) * 3
                )

    server = await asyncio.start_server(reset, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = origin(
        place(f"http://127.0.0.1:{port}"), tls=trust(), bounds=Bounds(deadline_s=60), plain="h2"
    )
    async with asyncio.timeout(SOON_S):
        found = await asyncio.gather(
            *(client.send(ask(n)) for n in range(500)), return_exceptions=True
        )
    assert {type(each) for each in found} == {Lost}
    assert asked == 500
    await client.close()
    server.close()


def http1(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\n".encode()


FLOODS_OF_1 = {
    "early hints": (http1("103 Early Hints") + b"\r\n", b""),
    "headers": (b"x-more: " + b"y" * 500 + b"\r\n", http1("200 OK")),
    "one header": (b"y" * 500, http1("200 OK") + b"x-endless: "),
    "crumbs": (
        b"1;" + b"x" * 100 + b"\r\ny\r\n",
        http1("200 OK") + b"transfer-encoding: chunked\r\n\r\n",
    ),
    "trailers": (b"x: y\r\n", http1("200 OK") + b"transfer-encoding: chunked\r\n\r\n0\r\n"),
}


@pytest.mark.parametrize("name", FLOODS_OF_1)
async def test_a_flood_of_the_older_protocol_ends_the_connection_too(name: str) -> None:
    says, begins = FLOODS_OF_1[name]
    villain = Villain(says, greets=b"", begins=begins)
    tracemalloc.start()
    try:
        async with facing(villain, plain="http/1.1") as client, asyncio.timeout(SOON_S):
            try:
                reply = await client.send(ask())
            except (Lost, Unsent):
                pass
            else:
                assert (name, len(reply.body)) == ("crumbs", 65_536)
            await villain.ended.wait()
        assert tracemalloc.get_traced_memory()[1] < MOST_KEPT
    finally:
        tracemalloc.stop()
