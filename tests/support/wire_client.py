"""A WebSocket client that can be rude: it writes the bytes that a test wants written."""

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from support.waiting import SOON_S

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def code(self) -> int:
        """The status of a close frame."""
        return int.from_bytes(self.payload[:2])


def frame(
    opcode: int, payload: bytes, *, fin: bool = True, rsv: int = 0, masked: bool = True
) -> bytes:
    """Return a frame as a client sends it (RFC 6455 5.2), or as it should not."""
    length = len(payload)
    mask = os.urandom(4) if masked else b""
    head = bytearray([fin << 7 | rsv << 4 | opcode])
    if length < 126:
        head.append(masked << 7 | length)
    elif length < 1 << 16:
        head.append(masked << 7 | 126)
        head += length.to_bytes(2)
    else:
        head.append(masked << 7 | 127)
        head += length.to_bytes(8)
    if masked:
        payload = bytes(byte ^ mask[at & 3] for at, byte in enumerate(payload))
    return bytes(head) + mask + payload


class Rude:
    """One open connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._backlog: list[Any] = []

    def write(self, *frames: bytes) -> None:
        self.writer.write(b"".join(frames))

    def say(self, *commands: dict[str, Any]) -> None:
        self.write(frame(TEXT, b"\n".join(json.dumps(each).encode() for each in commands)))

    async def frame(self) -> Frame:
        async with asyncio.timeout(SOON_S):
            first, second = await self.reader.readexactly(2)
            length = second & 0x7F
            if length >= 126:
                length = int.from_bytes(await self.reader.readexactly(2 if length == 126 else 8))
            return Frame(first & 0x0F, await self.reader.readexactly(length))

    async def heard(self) -> Any:
        """Return the next reply or push; pings are passed over."""
        while not self._backlog:
            got = await self.frame()
            assert got.opcode == TEXT, got
            self._backlog = [json.loads(line) for line in got.payload.split(b"\n")]
            self._backlog = [each for each in self._backlog if each]
        return self._backlog.pop(0)

    async def closed(self) -> int:
        """Return the status with which the server closed, whatever it said before."""
        while (got := await self.frame()).opcode != CLOSE:
            pass
        self.write(frame(CLOSE, got.payload[:2]))
        return got.code

    async def connect(self, token: str) -> Any:
        self.say({"id": 1, "connect": {"token": token}})
        return (await self.heard())["connect"]

    async def gone(self) -> bytes:
        """Read until the server hangs up."""
        async with asyncio.timeout(SOON_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


async def handshake(
    host: str, port: int, *, headers: Sequence[str] = (), receive_buffer: int | None = None
) -> tuple[Rude, str]:
    """Open a connection; return it, and the first line of the answer."""
    plain = socket.socket()
    plain.setblocking(False)  # the socket's own signature
    if receive_buffer is not None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    try:
        await asyncio.get_running_loop().sock_connect(plain, (host, port))
    except BaseException:
        plain.close()
        raise
    reader, writer = await asyncio.open_connection(sock=plain)
    lines = [
        "GET /connection/websocket HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        async with asyncio.timeout(SOON_S):
            answer = await reader.readuntil(b"\r\n\r\n")
    except BaseException:
        writer.transport.abort()
        raise
    return Rude(reader, writer), answer.split(b"\r\n")[0].decode()


@asynccontextmanager
async def rude(
    host: str, port: int, token: str | None = None, *, receive_buffer: int | None = None
) -> AsyncIterator[Rude]:
    """Open a connection, and connect as somebody if a token is given."""
    client, line = await handshake(host, port, receive_buffer=receive_buffer)
    assert "101" in line, line
    try:
        if token is not None:
            await client.connect(token)
        yield client
    finally:
        client.writer.transport.abort()
