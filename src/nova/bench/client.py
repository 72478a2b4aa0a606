"""Load from a client's side, lean enough to share two cores with the server it measures."""

import asyncio
import base64
import os
from collections import deque
from collections.abc import Callable, Container, Sequence
from time import perf_counter
from typing import cast

import msgspec

OK = (200,)
OPCODE_TEXT, OPCODE_PING, OPCODE_CLOSE = 0x1, 0x9, 0x8
SHORT, LONG = 126, 127
"""Values of a frame's 7-bit length that announce 2 and 8 bytes of length (RFC 6455 5.2)."""


class Caller(asyncio.Protocol):
    """One keep-alive HTTP/1.1 connection; one request at a time."""

    def __init__(self, host: str, key: str) -> None:
        self._head = f"Host: {host}\r\nAuthorization: Bearer {key}\r\n"
        self._buffer = b""
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None

    @classmethod
    async def open(cls, host: str, port: int, key: str) -> "Caller":
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(lambda: cls(host, key), host, port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        return await self.ask("POST", path, body)

    async def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(
            f"{method} {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        fields = head.lower()
        at = fields.find(b"content-length:")
        length = int(fields[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) >= length and self._answer is not None:
            self._buffer = rest[length:]
            self._answer.set_result((int(head[9:12]), rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server closed"))

    def close(self) -> None:
        self._transport.close()


async def asked(
    caller: Caller, method: str, path: str, body: bytes = b"", *, good: Container[int] = OK
) -> bytes:
    """Return an answer's body; raises for whatever is not a good answer."""
    status, answer = await caller.ask(method, path, body)
    if status not in good:
        raise RuntimeError(f"{method} {path} answered {status}: {answer[:500]!r}")
    return answer


async def ask_all(
    callers: Sequence[Caller],
    requests: Sequence[tuple[str, str, bytes]],
    *,
    good: Container[int] = OK,
) -> float:
    """Make requests from every connection, each the next one; return the seconds it took."""
    waiting = iter(requests)

    async def keep_asking(caller: Caller) -> None:
        for method, path, body in waiting:
            await asked(caller, method, path, body, good=good)

    start = perf_counter()
    await asyncio.gather(*(keep_asking(caller) for caller in callers))
    return perf_counter() - start


class Subscriber(asyncio.Protocol):
    """One socket speaking the JSON protocol; hands on each message undecoded."""

    def __init__(self, host: str, token: str, channels: tuple[str, ...]) -> None:
        self._host = host
        self._token = token
        self._channels = channels
        self._buffer = bytearray()
        self._open = False
        self.heard: Callable[[bytes], None] = self._greeting
        self.on_message: Callable[[bytes], None] = lambda _message: None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._expected = 1 + len(channels)
        self.ended = ""
        """Why the server closed the socket, if it did."""

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        token: str,
        on_message: Callable[[bytes], None],
        channels: tuple[str, ...] = (),
    ) -> "Subscriber":
        """Connect, subscribe to `channels`, and return once all of it was confirmed."""
        loop = asyncio.get_running_loop()
        made = await loop.create_connection(lambda: cls(host, token, channels), host, port)
        made[1].on_message = on_message
        await made[1].ready
        return made[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            f"GET /connection/websocket HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._open and not self._upgraded():
            return
        view = self._buffer
        start, end = 0, len(view)
        while end - start >= 2:  # noqa: PLR2004  # a frame's shortest header
            length, at = view[start + 1], start + 2
            if length == SHORT:
                length, at = int.from_bytes(view[at : at + 2]), at + 2
            elif length == LONG:
                length, at = int.from_bytes(view[at : at + 8]), at + 8
            if at + length > end:
                break
            opcode = view[start] & 0x0F
            start = at + length
            if opcode == OPCODE_TEXT:
                self.heard(bytes(view[at:start]))
            elif opcode == OPCODE_CLOSE:
                code = int.from_bytes(view[at : at + 2])
                self.ended = f"{code} {bytes(view[at + 2 : start]).decode()}"
                self._transport.close()
        del view[:start]

    def _upgraded(self) -> bool:
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            return False
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            self._fail(bytes(self._buffer[:200]).decode(errors="replace"))
            return False
        del self._buffer[: at + 4]
        self._open = True
        commands: deque[dict[str, object]] = deque()
        commands.append({"id": 1, "connect": {"token": self._token}})
        for number, channel in enumerate(self._channels, 2):
            commands.append({"id": number, "subscribe": {"channel": channel}})
        self._write(b"\n".join(msgspec.json.encode(command) for command in commands))
        return True

    def _greeting(self, message: bytes) -> None:
        """Count confirmations until everything asked for stands."""
        for line in message.split(b"\n"):
            if b'"error"' in line or b'"disconnect"' in line:
                self._fail(line.decode())
            elif b'"id"' in line[:6]:
                self._expected -= 1
        if self._expected == 0 and not self.ready.done():
            self.heard = self._message
            self.ready.set_result(None)

    def _message(self, message: bytes) -> None:
        # A ping may share its frame with publications; no other line begins so.
        if message.startswith(b"{}") or b"\n{}" in message:
            self._write(b"{}")
        self.on_message(message)

    def _write(self, payload: bytes) -> None:
        """Send one masked text frame; a mask of zeros is a mask, and costs nothing."""
        length = len(payload)
        size = (
            bytes([0x80 | length]) if length < SHORT else bytes([0x80 | SHORT]) + length.to_bytes(2)
        )
        self._transport.write(bytes([0x81]) + size + bytes(4) + payload)

    def _fail(self, why: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(why))

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.ended or str(exc or "without a word")
        self._fail(f"the server closed the socket: {self.ended}")

    def close(self) -> None:
        self._transport.abort()
