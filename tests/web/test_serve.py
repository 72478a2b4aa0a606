"""A real server: slow and endless clients, and its end."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import msgspec
import pytest

from support.clients import http_client
from support.fuzz import fuzz
from support.waiting import SOON_S, until

TESTS = Path(__file__).parents[1]
MB = 1 << 20


class Server:
    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    async def open(
        self, source: str = "127.0.0.1"
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(source, 0))

    async def says(self, sent: bytes, source: str = "127.0.0.1") -> bytes:
        """Send bytes, and return everything until the server hangs up."""
        reader, writer = await self.open(source)
        writer.write(sent)
        try:
            return await asyncio.wait_for(reader.read(), SOON_S)
        finally:
            writer.close()

    def peak(self) -> int:
        """The most memory that it ever had, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if "VmHWM" in line)


async def started(*arguments: str) -> Server:
    path = os.pathsep.join([str(TESTS), *sys.path])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.echo",
        *arguments,
        stdout=PIPE,
        stderr=PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    line = await process.stdout.readline()
    assert line, (await process.stderr.read()).decode()
    return Server(process, int(line))


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Server]:
    server = await started(*arguments)
    try:
        yield server
    finally:
        if server.process.returncode is None:
            server.process.kill()
        await server.process.communicate()


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[Server]:
    async with running() as one:
        yield one


@pytest.fixture
async def mortal() -> AsyncIterator[Server]:
    async with running() as one:
        yield one


@pytest.fixture
async def few() -> AsyncIterator[Server]:
    """It takes two connections."""
    async with running("few") as one:
        yield one


async def test_fuzzing_finds_nothing_but_a_bug_that_is_there(server: Server) -> None:
    verdict = await fuzz(server.url, "ada", examples=15, skip="^/slow")
    assert verdict.clean, verdict.said
    async with running("broken") as broken:
        verdict = await fuzz(broken.url, "ada", examples=5, skip="^/(slow|notes|mine)")
        assert not verdict.clean
        assert "/broken/" in verdict.said


async def test_an_ordinary_request_is_answered(server: Server) -> None:
    async with http_client(server.url) as client:
        assert (await client.post("/notes", json={"text": "hi"})).json()["text"] == "hi"
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        ready = (await client.get("/readyz")).json()
        assert ready == {"status": "ready", "checks": {"echo": "up"}}
        assert "nova_http_requests_total" in (await client.get("/metrics")).text


async def test_connections_are_bounded(few: Server) -> None:
    held = [await few.open() for _ in range(2)]
    for _, writer in held:
        writer.write(b"GET /notes HT")
    for _ in range(3):  # and those refused leave no trace
        refused = await few.says(b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"code":"overloaded"' in refused
        assert b"retry-after: 1" in refused
    held[0][1].close()

    async def room() -> bool:
        head = b"GET /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return (await few.says(head)).startswith(b"HTTP/1.1 200 ")

    await until(room)
    held[1][1].close()


async def test_one_address_leaves_room_for_others() -> None:
    ask = b"GET /notes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with running("fair") as fair:
        held = [await fair.open(source) for source in ("127.0.0.1", "127.0.0.9") for _ in range(2)]
        for _, writer in held:
            writer.write(b"GET /notes HT")
        refused = await fair.says(ask)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 1" in refused
        for source in ("127.0.0.2", "127.0.0.9"):
            assert (await fair.says(ask, source)).startswith(b"HTTP/1.1 200 ")
        held[0][1].close()

        async def room() -> bool:
            return (await fair.says(ask)).startswith(b"HTTP/1.1 200 ")

        await until(room)
        for _, writer in held[1:]:
            writer.close()


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /notes HT",
        b"GET /notes HTTP/1.1\r\nHost: x\r\nA: b\r\n",
        b"\r\n\r\n",
        b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\nGET /notes",
        b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\n\r\n",
    ],
    ids=["nothing", "half a line", "half a head", "line ends", "half a second", "line end after"],
)
async def test_a_head_that_never_ends_is_cut(server: Server, sent: bytes) -> None:
    await server.says(sent)  # the read ends only when the server hangs up


@pytest.mark.parametrize("sent", [b"\r\n", b"GET /notes HT"], ids=["line end", "half a line"])
async def test_after_an_answer_a_request_that_never_comes_is_cut(
    server: Server, sent: bytes
) -> None:
    reader, writer = await server.open()
    writer.write(b"GET /notes HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"}")
    writer.write(sent)
    assert await asyncio.wait_for(reader.read(), SOON_S) == b""
    writer.close()


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        (b"GET /notes HTTP/1.1\r\nContent-Length: 9000000\r\n\r\n", b"a"),
    ],
    ids=["head", "body after its answer"],
)
async def test_what_drips_without_end_is_cut(server: Server, head: bytes, drop: bytes) -> None:
    reader, writer = await server.open()
    writer.write(head)

    async def drip() -> None:
        while True:
            writer.write(drop)
            await asyncio.sleep(0.05)

    dripping = asyncio.create_task(drip())
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), SOON_S)
    dripping.cancel()
    writer.close()


async def test_a_body_that_nothing_reads_is_cut_too(server: Server) -> None:
    said = await server.says(b"GET /notes HTTP/1.1\r\nContent-Length: 99\r\n\r\n{")
    assert said.startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_drips_is_refused(server: Server) -> None:
    head = b"POST /notes HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    said = await server.says(head)
    assert said.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"body_too_slow"' in said


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /notes?q=" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /notes HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n", 431),
        (b"GET /notes HTTP/1.1\r\na: " + b"b" * 200_000, 431),
        (b"GET /notes HTTP/1.1\r\na: " + b"b" * 100_000 + b"\r\n\r\n", 431),
        (b"GET /notes HTTP/1.1\r\n" + (b"a: " + b"b" * 1000 + b"\r\n") * 80 + b"\r\n", 431),
        (b"GET /notes HTTP/1.1\r\n" + b"a" * 70_000 + b": b\r\n\r\n", 431),
        (b"\x16\x03\x01 hello", 400),
        (b"GET /notes HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET /notes HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /notes HTTP/1.1\r\nA: b\0c\r\n\r\n", 400),
        (b"GET /notes HTTP/1.1\r\nA\r\n : b\r\n\r\n", 400),
        (
            b"POST /notes HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
    ],
)
async def test_what_is_not_http_gets_a_problem(server: Server, sent: bytes, status: int) -> None:
    said = await server.says(sent)
    assert said.startswith(b"HTTP/1.1 %d " % status)
    assert msgspec.json.decode(said.partition(b"\r\n\r\n")[2])["status"] == status


async def test_a_body_of_300_mb_is_refused_and_never_held(few: Server) -> None:
    server = few  # which waits longer for bodies than this one takes on a busy machine
    before = server.peak()

    announced = b"POST /notes HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (300 * MB)
    assert (await server.says(announced)).startswith(b"HTTP/1.1 413 ")
    reader, writer = await server.open()
    writer.write(b"POST /notes HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"%x\r\n" % MB + b" " * MB + b"\r\n"
    try:
        for _ in range(300):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:
        pass  # it hung up on us, as it should
    assert (await asyncio.wait_for(reader.readline(), SOON_S)).startswith(b"HTTP/1.1 413 ")
    writer.close()
    assert server.peak() - before < 64 * MB


@asynccontextmanager
async def ending(mortal: Server) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    """Have a server asked to end while it is at a request, which goes on at SIGUSR1."""
    async with http_client(mortal.url) as client:
        asking = asyncio.create_task(client.get("/slow"))
        assert await said(mortal) == b"asked\n"
        mortal.process.send_signal(signal.SIGTERM)
        assert await said(mortal) == b"drained\n"
        yield asking


async def said(server: Server) -> bytes:
    """Return the next line that a server printed."""
    assert server.process.stdout is not None
    return await asyncio.wait_for(server.process.stdout.readline(), SOON_S)


async def test_sigterm_ends_requests_in_progress_first(mortal: Server) -> None:
    async with ending(mortal) as asking:
        mortal.process.send_signal(signal.SIGUSR1)
        assert (await asking).json() == {"done": True}
    out, _ = await asyncio.wait_for(mortal.process.communicate(), SOON_S)
    assert (out, mortal.process.returncode) == (b"", 0)


async def test_after_sigterm_nobody_is_accepted(mortal: Server) -> None:
    async with ending(mortal) as asking:
        with pytest.raises(ConnectionRefusedError):
            await mortal.open()
        mortal.process.send_signal(signal.SIGUSR1)
        await asking


async def test_a_second_signal_ends_at_once(mortal: Server) -> None:
    async with ending(mortal) as asking:
        mortal.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(mortal.process.wait(), SOON_S) == 128 + signal.SIGTERM
        with pytest.raises(httpx.HTTPError):
            await asking
