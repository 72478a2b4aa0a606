"""Webhooks on servers of other people's making, and answers that servers are known to give."""

import asyncio
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from nova.wire.addresses import Guard
from nova.wire.exchange import Lost, Reply, Unsent
from nova.wire.origin import Bounds
from nova.wire.outgoing import Outgoing, trust
from support.waiting import SOON_S

FOLDER = Path(__file__).parent / "servers"
JSON = ((b"content-type", b"application/json"),)
PROGRAMS = {
    "http.server, HTTP/1.0, without a length": [sys.executable, "python_http.py", "HTTP/1.0", "-"],
    "http.server, HTTP/1.0": [sys.executable, "python_http.py", "HTTP/1.0", "length"],
    "http.server, HTTP/1.1, without a length": [sys.executable, "python_http.py", "HTTP/1.1", "-"],
    "http.server, HTTP/1.1": [sys.executable, "python_http.py", "HTTP/1.1", "length"],
    "wsgiref": [sys.executable, "python_wsgi.py"],
    "uvicorn with httptools": [sys.executable, "asgi.py", "httptools"],
    "uvicorn with h11": [sys.executable, "asgi.py", "h11"],
    "Node": ["node", "node.mjs", "keep"],
    "Node, closing": ["node", "node.mjs", "close"],
    "Node, without content": ["node", "node.mjs", "empty"],
    "Node, with trailers": ["node", "node.mjs", "trailers"],
    "Node, with early hints": ["node", "node.mjs", "hints"],
    "Go": ["go", "run", "webhook.go"],
    "Java": ["java", "Webhook.java"],
    "Perl": ["perl", "perl.pl"],
}
HEAD = b"HTTP/1.1 200 OK\r\n"
TAKEN = {
    "no length, and the end": HEAD + b"\r\nok",
    "nothing but a head": HEAD + b"\r\n",
    "no reason": b"HTTP/1.1 200\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\n\r\nok",
    "lines without carriage returns": b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    "a folded header": HEAD + b"X-Note: one\r\n two\r\nContent-Length: 2\r\n\r\nok",
    "a length that is too long": HEAD + b"Content-Length: 9\r\n\r\nok",
    "a length that is too short": HEAD + b"Content-Length: 1\r\n\r\nok",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "a length and chunks": HEAD
    + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks without the last": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
    "blanks after a chunk's size": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2  \r\nok\r\n0\r\n\r\n",
    "a name of a header that cannot be": HEAD + b"X Note: 1\r\n\r\n",
    "more after a closing answer": HEAD
    + b"Connection: close\r\nContent-Length: 2\r\n\r\nok\r\n\r\n",
    "two answers before the last": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    + HEAD
    + b"\r\n",
    "a refusal that has an end": b"HTTP/1.1 500 Oh\r\n\r\nbroken",
}
LOST = {
    "nothing": b"",
    "half a status": b"HTTP/1.1 20",
    "an answer before the last alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "half a refusal": b"HTTP/1.1 500 Oh\r\nContent-Length: 20\r\n\r\nbro",
    "no HTTP": b"220 mail.example.com ESMTP\r\n",
}


@asynccontextmanager
async def client() -> AsyncIterator[Outgoing]:
    guard = Guard(also=["127.0.0.0/8"], plain=True)
    outgoing = Outgoing(guard=guard, tls=trust(), bounds=Bounds(connections=2, deadline_s=SOON_S))
    try:
        yield outgoing
    finally:
        await outgoing.close()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_webhook_of_another_making_is_called_once_for_each_event(name: str) -> None:
    command = PROGRAMS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    server = await asyncio.create_subprocess_exec(
        *command, cwd=FOLDER, stdout=PIPE, stderr=asyncio.subprocess.DEVNULL, process_group=0
    )
    try:
        assert server.stdout is not None
        port = int(await server.stdout.readline())
        async with client() as outgoing:
            for _ in range(3):
                reply = await called(outgoing, f"http://127.0.0.1:{port}/hook")
                assert reply.status in {200, 204}
                assert reply.body.strip() in {b"ok", b""}
    finally:
        kill_group(server.pid)
        await server.wait()


async def called(outgoing: Outgoing, url: str) -> Reply:
    """Call until it is taken: some servers say their port before they listen to it."""
    async with asyncio.timeout(SOON_S):
        while True:
            with suppress(Unsent):
                return await outgoing.post(url, JSON, b'{"a": 1}')
            await asyncio.sleep(0.05)


def kill_group(leader: int) -> None:
    """End a program with what it started: `go run` starts another one."""
    os.killpg(leader, signal.SIGKILL)


async def answered(says: bytes, *, reset: bool = False) -> Reply:
    """Return what the client makes of these bytes and the end of the connection."""
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.readuntil(b"{}")
        writer.write(says)
        await writer.drain()
        if reset:
            writer.transport.abort()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, client() as outgoing:
        port = server.sockets[0].getsockname()[1]
        reply = await outgoing.post(f"http://127.0.0.1:{port}/", JSON, b"{}")
    assert asked == 1
    return reply


@pytest.mark.parametrize("name", TAKEN)
async def test_an_answer_that_came_is_an_answer(name: str) -> None:
    said = TAKEN[name]
    assert (await answered(said)).status == (500 if b" 500 " in said else 200)


@pytest.mark.parametrize("name", LOST)
async def test_no_answer_is_none(name: str) -> None:
    with pytest.raises(Lost):
        await answered(LOST[name])
