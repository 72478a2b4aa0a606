"""One server that is asked much: a bounded queue, its connections, and their reconnects."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Annotated, cast

from msgspec import Meta, Struct

from nova.wire.addresses import ForbiddenAddress
from nova.wire.exchange import Exchange, Lost, Reply, Request, Unsent
from nova.wire.http1 import IDLE_S, Http1
from nova.wire.http2 import Http2

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 30.0
PATIENCE = 3
"""Failed connects in a row after which those who wait are told, instead of left waiting."""
MOST_REPLAYS = 3
_CLOSING_S = 2.0
_BROKEN = (OSError, EOFError)

Dial = Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]
"""Opens a connection for a protocol; raises OSError, or ForbiddenAddress."""


class Bounds(Struct, frozen=True):
    """How much an origin may take."""

    connections: Annotated[int, Meta(ge=1)] = 1
    waiting: Annotated[int, Meta(ge=1)] = 2000
    """Requests that wait for a stream; a further one is Unsent at once."""
    deadline_s: float = 20.0
    """From the call to the reply."""
    connect_s: float = 10.0
    reply_bytes: int = 65_536
    look_s: float = 15.0
    """Silence after which a connection is asked whether it lives, and again until it is cut."""


class Line(asyncio.Protocol):
    """One connection: HTTP/2 where the server chose it (ALPN), else HTTP/1.1."""

    codec: Http2 | Http1

    def __init__(self, origin: "Origin") -> None:
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self.retired = False
        self.heard_at = 0.0
        self.gone = asyncio.get_running_loop().create_future()

    @property
    def busy(self) -> int:
        return self.codec.busy

    def room(self) -> int:
        return 0 if self.retired or not self._writable else self.codec.room()

    def start(self, exchange: Exchange) -> None:
        exchange.line = self
        self.codec.start(exchange)

    def cancel(self, exchange: Exchange) -> None:
        self.codec.cancel(exchange)
        self._close_if_done()
        self._origin.soon()

    def look(self, now: float, silence_s: float) -> None:
        """Find out whether the other side is still there."""
        if isinstance(self.codec, Http1):
            if not self.codec.busy and now - self.heard_at > IDLE_S:
                self.retire()
        elif now - self.heard_at > silence_s and not self.codec.ping():
            self.abort("the server fell silent")

    # -- nova.wire.http2.Owner --------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def changed(self) -> None:
        self._close_if_done()
        if self.codec.answered:
            self._origin.works()
        if self.codec.ready:
            self._origin.soon_if_wanted()

    def again(self, exchange: Exchange) -> None:
        exchange.line = None
        self._origin.again(exchange)

    def retire(self) -> None:
        self.retired = True
        self._close_if_done()

    def abort(self, reason: str) -> None:
        self.retired = True
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        self.retired = True
        if self._transport is not None and not self._transport.is_closing():
            self.codec.close()
            self._transport.close()

    def _close_if_done(self) -> None:
        if self.retired and not self.codec.busy:
            self.close()

    def _end(self, reason: str) -> None:
        for exchange in self.codec.drop():
            exchange.fail(Lost(reason))

    # -- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.heard_at = asyncio.get_running_loop().time()
        tls = transport.get_extra_info("ssl_object")
        self.codec = self._origin.codec(self, tls.selected_alpn_protocol() if tls else None)
        self._origin.joined(self)

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._origin.now()
        self.codec.receive(data)

    def eof_received(self) -> None:
        self.codec.ended()

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._origin.soon()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.gone.done():
            self.gone.set_result(None)
        self.retired = True
        self._transport = None
        if hasattr(self, "codec"):
            self._end(f"the connection was lost: {exc or 'closed by the server'}")
            self._origin.left(self, str(exc or "the server closed the connection"))


class Origin:
    """A client of one server; requests of one turn of the event loop leave in one write."""

    def __init__(
        self,
        authority: str,
        dial: Dial,
        *,
        bounds: Bounds,
        tls: bool = True,
        plain: str = "http/1.1",
    ) -> None:
        """`plain` is what is spoken without TLS, or where the server chooses nothing."""
        self.authority = authority
        self._dial = dial
        self._bounds = bounds
        self._scheme = b"https" if tls else b"http"
        self._plain = plain
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._waiting: deque[Exchange] = deque()  # full: the request is Unsent
        self._lines: list[Line] = []
        self._connecting: asyncio.Task[None] | None = None
        self._scheduled = False
        self._closed = False
        self._failures = 0
        self._problem = ""
        self._retry_at = 0.0
        self._looking: asyncio.TimerHandle | None = None
        self._waking: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(line.busy for line in self._lines)

    async def send(self, request: Request, *, deadline_s: float | None = None) -> Reply:
        """Return the reply; raises Unsent, Lost, or ForbiddenAddress."""
        self._check_room()
        exchange = Exchange(request, self._loop.create_future())
        exchange.timer = self._loop.call_later(
            deadline_s or self._bounds.deadline_s, self._expire, exchange
        )
        self._waiting.append(exchange)
        self.soon()
        try:
            return await exchange.future
        finally:
            exchange.timer.cancel()
            if exchange.future.cancelled():
                self._give_up(exchange)

    async def ping(self) -> None:
        """Return when a connection is open; raises Unsent with the reason when there is none."""
        if not any(line.room() for line in self._lines):
            await asyncio.shield(self._connecting or self._connect_now())
        if not self._lines:
            raise Unsent(self._problem or "the server closed the connection")

    async def close(self) -> None:
        """End all connections; what was under way is Lost, what waited is Unsent."""
        self._closed = True
        for timer in (self._looking, self._waking):
            if timer:
                timer.cancel()
        if self._connecting:
            self._connecting.cancel()
            await asyncio.gather(self._connecting, return_exceptions=True)
        self._refuse_waiting(Unsent("the client was closed"))
        lines = list(self._lines)
        for line in lines:
            line.close()
        if lines:
            await asyncio.wait([line.gone for line in lines], timeout=_CLOSING_S)
        for line in self._lines:
            line.abort("the client was closed")

    def _check_room(self) -> None:
        if self._closed:
            raise Unsent("the client was closed")
        if len(self._waiting) >= self._bounds.waiting:
            raise Unsent(f"{len(self._waiting)} requests wait for {self.authority} already", 1.0)
        if self._failures >= PATIENCE and (left := self._retry_at - self.now()) > 0:
            raise Unsent(self._problem, left)

    def _expire(self, exchange: Exchange) -> None:
        if exchange.future.done():
            return
        carried = exchange.line is not None
        self._give_up(exchange)
        if carried:
            exchange.fail(Lost("no reply came in time"))
        else:
            exchange.fail(Unsent(self._problem or f"{self.authority} had no room in time"))

    def _give_up(self, exchange: Exchange) -> None:
        if exchange.line is not None:
            exchange.line.cancel(exchange)
        elif exchange in self._waiting:
            self._waiting.remove(exchange)

    def _refuse_waiting(self, wrong: Exception) -> None:
        while self._waiting:
            self._waiting.popleft().fail(wrong)

    # -- what lines say ---------------------------------------------------------------------------

    def codec(self, line: Line, chosen: str | None) -> Http2 | Http1:
        authority, most = self.authority.encode(), self._bounds.reply_bytes
        if (chosen or self._plain) == "h2":
            return Http2(line, scheme=self._scheme, authority=authority, most_bytes=most)
        return Http1(line, authority=authority, most_bytes=most)

    def joined(self, line: Line) -> None:
        self._lines.append(line)
        if self._looking is None:
            self._looking = self._loop.call_later(self._bounds.look_s, self._look)
        if line.codec.ready:
            self.soon_if_wanted()

    def works(self) -> None:
        """Note that the server answers requests."""
        self._failures = 0

    def soon_if_wanted(self) -> None:
        if self._waiting:
            self.soon()

    def left(self, line: Line, reason: str) -> None:
        if line in self._lines:
            self._lines.remove(line)
        if not line.codec.answered:  # one that takes connections and ends them is not well, either
            self._failed(reason)
        self.soon()

    def again(self, exchange: Exchange) -> None:
        exchange.replays += 1
        if exchange.replays > MOST_REPLAYS:
            exchange.fail(Unsent("the server refused the stream again and again", 1.0))
        else:
            self._waiting.appendleft(exchange)
            self.soon()

    def _look(self) -> None:
        now = self.now()
        for line in tuple(self._lines):
            line.look(now, self._bounds.look_s)
        self._looking = None
        if self._lines:
            self._looking = self._loop.call_later(self._bounds.look_s, self._look)

    # -- moving on --------------------------------------------------------------------------------

    def soon(self) -> None:
        """Start what can be started, once in this turn of the loop."""
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._scheduled = False
        waiting = self._waiting
        for line in self._lines:
            if not waiting:
                break
            room = line.room()
            while room > 0 and waiting:
                exchange = waiting.popleft()
                if not exchange.future.done():
                    line.start(exchange)
                    room = line.room()
            line.codec.flush()
        if waiting and not self._closed:
            self._grow()

    def _grow(self) -> None:
        """Open one more connection, unless there are enough or it is too early."""
        lines = sum(not line.retired for line in self._lines)
        coming = any(not line.codec.ready for line in self._lines)
        if self._connecting or coming or lines >= self._bounds.connections:
            return
        wait = self._retry_at - self.now()
        if wait <= 0:
            self._connect_now()
        elif self._waking is None:
            self._waking = self._loop.call_later(wait, self._wake)

    def _wake(self) -> None:
        self._waking = None
        self.soon()

    def _connect_now(self) -> "asyncio.Task[None]":
        self._connecting = self._loop.create_task(self._connect())
        return self._connecting

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._bounds.connect_s):
                await self._dial(lambda: Line(self))
        except ForbiddenAddress as wrong:
            self._problem = str(wrong)
            self._refuse_waiting(wrong)
        except TimeoutError:
            self._failed(f"{self.authority} did not take the connection in time")
        except _BROKEN as wrong:
            self._failed(f"{self.authority} cannot be reached: {wrong}")
        finally:
            self._connecting = None
            self.soon()

    def _failed(self, problem: str) -> None:
        """Pause before the next attempt, longer each time, and tell those who waited long."""
        self._problem = problem
        pause = min(FIRST_PAUSE_S * 2**self._failures, LONGEST_PAUSE_S)
        pause *= random.uniform(0.5, 1)  # noqa: S311  # jitter, so that processes don't return as one
        self._failures = min(self._failures + 1, 16)
        self._retry_at = self.now() + pause
        if self._failures >= PATIENCE:
            self._refuse_waiting(Unsent(problem, pause))
