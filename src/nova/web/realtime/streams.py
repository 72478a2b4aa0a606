"""Sockets for networks without WebSocket: a response that never ends, and POSTs the other way."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from math import ceil
from secrets import token_urlsafe

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nova.kernel.errors import TooMany
from nova.web.allowed_hosts import OriginNotAllowed, refuse
from nova.web.realtime.codes import Closing
from nova.web.realtime.endpoint import Origins
from nova.web.realtime.hub import Hub
from nova.web.realtime.messages import Push, Reply
from nova.web.realtime.wires import Wire
from nova.web.router import MethodNotAllowed

Headers = Sequence[tuple[bytes, bytes]]
ABORT = "nova.abort"
"""The ASGI extension that cuts a connection off; see nova.web.connections."""
_CORS_KEPT_S = b"600"


class Stream:
    """The way to one client: frames that a response writes as its connection takes them."""

    def __init__(self, wire: Wire, abort: object) -> None:
        self._wire = wire
        self._abort = abort
        self._frames: list[bytes] = []  # bounded: the session ends past queue_bytes
        self._bytes = 0
        self._ready = asyncio.Event()
        self._ended = False

    def write(self, frame: bytes) -> int:
        self._frames.append(frame)
        self._bytes += len(frame)
        self._ready.set()
        return self._bytes

    def close(self, closing: Closing) -> None:
        if not closing.is_silent:
            self.write(self._wire.replies([Reply(push=Push(disconnect=closing.message))]))
        self._ended = True
        self._ready.set()

    def abort(self, closing: Closing) -> None:  # noqa: ARG002  # no byte would get through
        self.end()
        if callable(self._abort):
            self._abort()

    def hold(self) -> None:
        """POSTs are answered one by one, and bounded by the commands that may wait."""

    def flow(self) -> None: ...

    def end(self) -> None:
        self._ended = True
        self._frames.clear()
        self._ready.set()

    async def pump(self, send: Send) -> None:
        """Write frames until the end; what gathered meanwhile goes out at once."""
        while self._frames or not self._ended:
            await self._ready.wait()
            self._ready.clear()
            frames, self._frames = self._frames, []
            if frames:
                chunk = b"".join(frames)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._bytes -= len(chunk)
        await send({"type": "http.response.body", "body": b""})


async def stream(  # noqa: PLR0917  # the last three are ASGI's own
    hub: Hub,
    wire: Wire,
    first: bytes,
    address: str,
    headers: Headers,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Answer with a stream that starts with the answers to `first`. Raises TooManySockets."""
    hub.registry.admit(address)
    transport = Stream(wire, scope.get("extensions", {}).get(ABORT))
    await send({"type": "http.response.start", "status": 200, "headers": [*headers, *_STREAMED]})
    session = hub.open(wire, transport, secret=token_urlsafe(18), address=address)
    session.receive(first)
    gone = asyncio.create_task(_gone(receive, transport))
    try:
        await transport.pump(send)
    finally:
        gone.cancel()
        session.lost()


async def _gone(receive: Receive, transport: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    transport.end()


class Guarded:
    """Admits browsers of the allowed origins, and answers their preflights."""

    def __init__(self, app: ASGIApp, origins: Origins, method: str) -> None:
        self._app = app
        self._origins = origins
        self._method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 4404, "reason": "no WebSocket here"})
            return
        try:
            self._origins.check(scope)
            await self._admitted(scope, receive, send)
        except OriginNotAllowed as refused:
            # The page may read why, since that is all there is; a preflight allows nothing.
            is_preflight = scope["method"] == "OPTIONS"
            await refuse(scope, send, refused, [] if is_preflight else list(shared(scope)))
        except MethodNotAllowed as refused:
            await refuse(scope, send, refused, list(shared(scope)))

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS":
            await answer(send, 204, b"", self._preflight(scope))
        elif scope["method"] == self._method:
            await self._respond(scope, receive, send)
        else:
            raise MethodNotAllowed(", ".join(sorted({self._method, "OPTIONS"})))

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        except TooMany as refused:
            again = (b"retry-after", b"%d" % ceil(refused.retry_after or 1))
            await answer(send, refused.status, refused.detail.encode(), [*shared(scope), again])

    def _preflight(self, scope: Scope) -> Headers:
        return [
            *shared(scope),
            (b"allow", ", ".join(sorted({self._method, "OPTIONS"})).encode()),
            (b"access-control-allow-methods", self._method.encode()),
            (b"access-control-allow-headers", b"content-type"),
            (b"access-control-max-age", _CORS_KEPT_S),
        ]


def shared(scope: Scope) -> Headers:
    """Return the headers by which a browser lets the page of an admitted origin read."""
    origin = dict(scope["headers"]).get(b"origin")
    if origin is None:
        return []
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


async def answer(send: Send, status: int, body: bytes, headers: Headers = ()) -> None:
    every = [*headers, (b"cache-control", b"no-store")]
    if body:
        every += [(b"content-length", b"%d" % len(body)), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": status, "headers": every})
    await send({"type": "http.response.body", "body": body})


async def body(
    receive: Receive, most: int, arriving: AbstractAsyncContextManager[None]
) -> bytes | None:
    """Return the request's body, or None when it is longer than `most` bytes, or cut short.

    One that does not come at once is `arriving` until its end.
    """
    first = await receive()
    async with arriving if first.get("more_body") else nullcontext():
        return await _whole(first, receive, most)


async def _whole(message: Message, receive: Receive, most: int) -> bytes | None:
    parts, size = [], 0
    while message["type"] == "http.request":
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
    return None


_STREAMED = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would keep a stream until its buffer is full
)
