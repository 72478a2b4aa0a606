"""`/connection/websocket`: who may open a socket, and in which encoding it speaks."""

import asyncio
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from nova.web.allowed_hosts import Once, OriginNotAllowed, is_own, refuse
from nova.web.clients import Clients
from nova.web.probes import read_only
from nova.web.realtime.codes import MALFORMED, Closing
from nova.web.realtime.hub import Hub
from nova.web.realtime.socket_limits import TooManySockets
from nova.web.realtime.websocket import DIRECT
from nova.web.realtime.wires import (
    PLAIN_JSON,
    PLAIN_PROTOBUF,
    WEBSOCKET_JSON,
    WEBSOCKET_PROTOBUF,
)

PROTOBUF = "centrifuge-protobuf"
"""The WebSocket subprotocol by which SDKs ask for Protobuf."""


class Origins:
    """Browsers may connect from the server's own origin, and from those allowed."""

    def __init__(self, allowed: Collection[str]) -> None:
        """`allowed` holds origins such as `https://app.example`; `*` is any."""
        self._any = "*" in allowed
        self._allowed = {origin.rstrip("/").lower() for origin in allowed}
        self._once = Once("origin_refused", OriginNotAllowed.hint)

    def check(self, scope: Scope) -> None:
        """Raise OriginNotAllowed unless a request may connect; programs send no Origin, and may."""
        headers = dict(scope["headers"])
        origin: str = headers.get(b"origin", b"").decode("latin-1").lower()
        if not origin or self._any or origin in self._allowed:
            return
        if not is_own(origin, headers.get(b"host", b"").decode("latin-1")):
            self._once.tell(origin=origin[:255])
            raise OriginNotAllowed(f"Pages of {origin[:255]} may not connect.")


class WebSocketEndpoint:
    """An ASGI app; without SocketProtocol below it, it speaks plain ASGI."""

    def __init__(self, hub: Hub, origins: Origins, clients: Clients) -> None:
        self._hub = hub
        self._origins = origins
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Return once the protocol has its session; under another server, when the socket ends."""
        if scope["type"] != "websocket":
            await _UPGRADE(scope, receive, send)
            return
        address = self._clients.network(scope)
        try:
            self._origins.check(scope)
            self._hub.registry.admit(address)
        except (OriginNotAllowed, TooManySockets) as refused:
            await receive()
            await refuse(scope, send, refused)
            return
        binary = _wants_protobuf(scope)
        asked = PROTOBUF in scope["subprotocols"]
        await receive()
        await send({"type": "websocket.accept", "subprotocol": PROTOBUF if asked else None})
        direct = scope["extensions"].get(DIRECT)
        if direct is None:
            await _plain(self._hub, address, receive, send, binary=binary)
            return
        wire = WEBSOCKET_PROTOBUF if binary else WEBSOCKET_JSON
        session = self._hub.open(wire, direct, address=address)
        direct.attach(session, binary=binary, most_bytes=self._hub.limits.message_bytes)


def _wants_protobuf(scope: Scope) -> bool:
    query = parse_qs(scope["query_string"].decode("latin-1"))
    formats = query.get("format", []) + query.get("cf_protocol", [])
    return PROTOBUF in scope["subprotocols"] or "protobuf" in formats


async def _upgrade_required(_scope: Scope, _receive: Receive, send: Send) -> None:
    headers = [(b"upgrade", b"websocket"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 426, "headers": headers})
    await send({"type": "http.response.body", "body": b"This endpoint speaks WebSocket.\n"})


_UPGRADE = read_only(_upgrade_required)


class _Queued:
    """A transport that leaves its frames to a loop of ASGI sends."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes | Closing] = asyncio.Queue()  # bounded by queue_bytes
        self.flowing = asyncio.Event()
        self.flowing.set()
        self._bytes = 0

    def write(self, frame: bytes) -> int:
        self.frames.put_nowait(frame)
        self._bytes += len(frame)
        return self._bytes

    def sent(self, frame: bytes) -> None:
        self._bytes -= len(frame)

    def close(self, closing: Closing) -> None:
        self.frames.put_nowait(closing)

    abort = close

    def hold(self) -> None:
        self.flowing.clear()

    def flow(self) -> None:
        self.flowing.set()


async def _plain(hub: Hub, address: str, receive: Receive, send: Send, *, binary: bool) -> None:
    """Speak through ASGI messages: with TLS in the process, or under another server."""
    queued = _Queued()
    session = hub.open(PLAIN_PROTOBUF if binary else PLAIN_JSON, queued, address=address)
    writing = asyncio.create_task(_write(queued, send, binary=binary))
    try:
        while (message := await receive())["type"] == "websocket.receive":
            payload = _payload(message)
            if len(payload) > hub.limits.message_bytes:
                session.close(MALFORMED)
            session.receive(payload)
            await queued.flowing.wait()
    finally:
        session.lost()
        writing.cancel()


async def _write(queued: _Queued, send: Send, *, binary: bool) -> None:
    while isinstance(frame := await queued.frames.get(), bytes):
        content: dict[str, Any] = {"bytes": frame} if binary else {"text": frame.decode()}
        await send({"type": "websocket.send", **content})
        queued.sent(frame)
    await send({"type": "websocket.close", "code": frame.code, "reason": frame.reason})


def _payload(message: Any) -> bytes:
    text = message.get("text")
    return bytes(message["bytes"]) if text is None else text.encode()
