"""HTTP connections that cannot be held open by doing nothing, or filled without end."""

from asyncio import TimerHandle
from asyncio.transports import BaseTransport
from typing import Any, cast

from msgspec import Struct
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from nova.kernel.errors import Malformed, Refused
from nova.web.problems import Overloaded, TooSlow, problem
from nova.web.router import PathTooLong
from nova.web.traces import joined

MOST_REFUSED = 100
"""Connections beyond the bound that are told so at once; further ones are cut."""


class Guard(Struct, frozen=True, kw_only=True):
    """What connections may take."""

    connections: int = 10_000
    """Open at once, event streams too; those that became WebSockets count as sockets."""
    head_within_s: float = 10.0
    """From opening, or from a request's first byte, to the end of its headers."""
    body_within_s: float = 30.0
    """For the whole body, whether or not anything reads it."""
    linger_s: float = 5.0
    """For a client that was refused to hear why: cut off while it sends, it may lose that."""
    head_bytes: int = 65_536
    headers: int = 100
    url_bytes: int = 8192


class Guarded(Config):
    """Uvicorn's configuration, with a guard."""

    guard: Guard = Guard()
    open = 0


class HeadTooLarge(Refused):
    """The request's headers are more or longer than Nova reads."""

    status, code = 431, "headers_too_large"


class GuardedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, with a deadline for each part of a request."""

    def __init__(self, config: Config, *args: Any, **more: Any) -> None:
        super().__init__(config, *args, **more)
        self._guarded = cast("Guarded", config)
        self._guard = self._guarded.guard
        self._counted = False
        self._deadline: TimerHandle | None = None
        self._part = "idle"
        self._head = 0
        self._refusal: Refused | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Any", transport))
        self._extensions = {"nova.abort": self.transport.abort}
        self._counted = True
        self._guarded.open += 1
        beyond = self._guarded.open - self._guard.connections
        if beyond > MOST_REFUSED:
            self.transport.abort()
        elif beyond > 0:
            self._refusal = Overloaded("Too many connections are open.", retry_after=1.0)
            self.send_400_response("")
        else:
            self._within(self._guard.head_within_s)

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._guarded.open -= 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_time()
        self._uncount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._part == "refused":
            return
        super().data_received(data)
        if self.transport.is_closing() or self._part in {"upgraded", "refused"}:
            return
        if self._part == "head":
            self._more_head(len(data))
        elif self._part == "body":
            if self._deadline is None:
                self._within(self._guard.body_within_s)
        elif self._deadline is None and (self.cycle is None or self.cycle.response_complete):
            # Line ends between requests stop the keep-alive timer, and begin no request.
            self._within(self._guard.head_within_s)

    def _more_head(self, size: int) -> None:
        self._head += size
        if self._head > self._guard.head_bytes:
            self._refusal = HeadTooLarge()
            self.send_400_response("")
        elif self._deadline is None:
            self._within(self._guard.head_within_s)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("Any", self.scope)["extensions"] = self._extensions
        self._part = "head"

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._guard.url_bytes:
            self._refusal = PathTooLong()
            raise self._refusal

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self._guard.headers:
            self._refusal = HeadTooLarge()
            raise self._refusal

    def on_headers_complete(self) -> None:
        self._in_time()
        self._head = 0
        self._part = "body"
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_time()
        self._part = "idle"
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        self._part = "upgraded"
        self._in_time()
        self._uncount()
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or is too much of it, and listen no more."""
        trace = joined(None)
        answer = problem(self._refusal or Malformed(msg or "That is not HTTP."), trace.id)
        lines = [STATUS_LINE[answer.status]]
        length = (b"content-length", b"%d" % len(answer.body))
        for name, value in (*answer.headers, length, (b"connection", b"close")):
            lines += [name, b": ", value, b"\r\n"]
        self.transport.write(b"".join([*lines, b"\r\n", answer.body]))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._part = "refused"
        self._in_time()
        self._within(self._guard.linger_s)

    def _within(self, seconds: float) -> None:
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _in_time(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        cycle = self.cycle
        if self._part == "body" and not cycle.response_started:
            self._refusal = TooSlow()
            self.send_400_response("")
            cycle.disconnected = True
            cycle.message_event.set()
            return
        # Aborted, not closed: closing would wait for the client to take what is written.
        self.transport.abort()
