"""HTTP connections that cannot be held open by doing nothing, or filled without end."""

import sys
from asyncio import TimerHandle
from asyncio.transports import BaseTransport
from collections import Counter
from collections.abc import Callable, Sized
from typing import Any, cast

from httptools import HttpParserUpgrade
from msgspec import Struct
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from nova.kernel.errors import Malformed, Refused
from nova.web.event_loop_budget import PER_TURN, REQUEST, SHARE, LoopBudget
from nova.web.intake import WHOLE
from nova.web.joined_writes import JoinedWrites
from nova.web.problems import Overloaded, TooSlow, problem
from nova.web.router import PathTooLong
from nova.web.traces import joined

REFUSED_S = 2.0
"""For a connection that is one too many, to ask: until then it is not told."""
PROBES = {b"/healthz", b"/readyz"}
"""Answered even on connections beyond the bound: a busy process is not a dead one."""
_OVER = {"refused", "upgraded"}
MOST_REFUSED = 100
"""Connections beyond the bound that are told so at once; further ones are cut."""


class Guard(Struct, frozen=True, kw_only=True):
    """What connections may take."""

    connections: int = 10_000
    """Open at once, event streams too; those that became WebSockets count as sockets."""
    per_address: int = 10_000
    """Of those, from one address."""
    counted: Callable[[str], str] = str
    """Returns as what an address counts: "" is no one's, a proxy's."""
    head_within_s: float = 10.0
    """From opening, or from a request's first byte, to the end of its headers."""
    body_within_s: float = 30.0
    """For the whole body, whether or not anything reads it."""
    linger_s: float = 5.0
    """For a client that was refused to hear why, unless it goes on to send."""
    head_bytes: int = 65_536
    """For a request's line and headers together."""
    headers: int = 100
    url_bytes: int = 8192


class Guarded(Config):
    """Uvicorn's configuration, with a guard."""

    guard: Guard = Guard()
    budget: LoopBudget
    writes: JoinedWrites
    ending = False
    """Whether each connection ends with its next answer: other processes take new ones."""
    open = 0
    refused = 0
    """Connections that were one too many."""
    by_address: Counter[str]
    """Open connections of each address."""


class HeadTooLarge(Refused):
    """The request's headers are more or longer than Nova reads."""

    status, code = 431, "headers_too_large"


SLICE = 512
"""Bytes parsed at a time: some 12 requests, or 85 chunks."""
MOST_SLICE = 8192
"""Bytes of a body, in few pieces, that are taken at a time."""
ANSWERED_SLICE = 65_536
"""Such bytes of a body whose request was answered: they go nowhere."""
_FEW_PIECES = 4
SENDS_ON_S = 1.0
"""Until a client is cut off that was refused and goes on to send; none of that is read."""
RESTED_S = 0.1
"""A connection that sent nothing for so long is read at once, however busy the loop is."""
_TOO_BUSY = 4 * PER_TURN


def raw(refused: Refused) -> bytes:
    """Return a refusal as the whole answer of a connection."""
    answer = problem(refused, joined(None).id)
    lines = [STATUS_LINE[answer.status]]
    length = (b"content-length", b"%d" % len(answer.body))
    for name, value in (*answer.headers, length, (b"connection", b"close")):
        lines += [name, b": ", value, b"\r\n"]
    return b"".join([*lines, b"\r\n", answer.body])


class Flow(FlowControl):
    """Uvicorn's flow control, which asks before it reads on: bytes may wait to be parsed."""

    def __init__(self, transport: Any, pipeline: Sized, go_on: Callable[[], None]) -> None:
        """`pipeline` are the requests that wait for others: until they are begun, none is read."""
        super().__init__(transport)
        self._pipeline = pipeline
        self._go_on = go_on

    def resume_reading(self) -> None:
        if self.read_paused and not self._pipeline:
            self.read_paused = False
            self._go_on()

    def end(self) -> None:
        """Let go of the connection."""
        self._go_on = _nothing


def _nothing() -> None: ...


def _read_by_parser() -> int:
    """Return how many of its bytes the parser read that just ended with an upgrade."""
    end = sys.exception()
    return int(end.args[0]) if isinstance(end, HttpParserUpgrade) else 0


class GuardedProtocol(HttpToolsProtocol):
    """Uvicorn's HTTP protocol, with a deadline for each part of a request."""

    def __init__(self, config: Config, *args: Any, **more: Any) -> None:
        super().__init__(config, *args, **more)
        self._guarded = cast("Guarded", config)
        self._guard = self._guarded.guard
        self._counted = False
        self._address = ""
        self._deadline: TimerHandle | None = None
        self._part = "idle"
        self._head = 0
        self._refusal: Refused | None = None
        self.refuses: Refused | None = None
        """Why this connection gets no answer, but from probes."""
        self._unread = self._parsing = b""
        self._at = 0
        self._queued = False
        self._rested_at = 0.0
        self._slice = SLICE
        self._begun = self._pieces = 0
        """Requests begun, and pieces of bodies, in the slice that is being parsed."""
        self._answering: RequestResponseCycle | None = None
        """The request that is being answered; uvicorn's `cycle` is the one that came last."""

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Any", transport))
        self.flow = Flow(self.transport, self.pipeline, self._resume)
        self._extensions = {"nova.abort": self.transport.abort, WHOLE: self._is_whole}
        self._counted = True
        self._guarded.open += 1
        beyond = max(self._guarded.open - self._guard.connections, self._count_address())
        if beyond > MOST_REFUSED:
            self.transport.abort()
            return
        if beyond > 0:
            self.refuses = Overloaded("Too many connections are open.", retry_after=1.0)
        if self.refuses is not None:
            self._guarded.refused += 1
            self._within(min(self._guard.linger_s, REFUSED_S))
        else:
            self._within(self._guard.head_within_s)

    def _count_address(self) -> int:
        """Return how many connections its address has beyond what one may have."""
        self._address = self._guard.counted(self.client[0]) if self.client else ""
        if not self._address:
            return 0
        self._guarded.by_address[self._address] += 1
        return self._guarded.by_address[self._address] - self._guard.per_address

    def _uncount(self) -> None:
        if self._counted:
            self._counted = False
            self._guarded.open -= 1
            if self._address:
                self._guarded.by_address[self._address] -= 1
                if not self._guarded.by_address[self._address]:
                    del self._guarded.by_address[self._address]

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread = b""
        self._in_time()
        self._unset_keepalive_if_required()
        self._uncount()
        self._end_requests()
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """End the cycles that would keep all this until the collector of garbage comes by."""
        cast("Flow", self.flow).end()
        self.parser = cast("Any", None)
        self._extensions.pop(WHOLE, None)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _is_whole(self) -> bool:
        """Return whether the whole body is here of the request that is being answered."""
        return self._answering is not None and not self._answering.more_body

    def _end_requests(self) -> None:
        """Tell every request that its client is gone, or gets no answer to it any more."""
        for cycle in (self._answering, *(each for each, _ in self.pipeline)):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
        self._answering = None
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what came, or as much of it as is this connection's share of the turn."""
        if self._part == "refused":
            self.transport.pause_reading()
            self._in_time()
            self._within(SENDS_ON_S)
            return
        if self._unread or self.flow.read_paused:
            self._unread, self._at = self._unread[self._at :] + data, 0
            self.transport.pause_reading()
            return
        budget, now = self._guarded.budget, self.loop.time()
        rested, self._rested_at = now > self._rested_at, now + RESTED_S
        if budget.spent >= (_TOO_BUSY if rested else PER_TURN):
            self._unread, self._at = data, 0
            self.transport.pause_reading()
            self._queue(self._work)
        elif len(data) <= SLICE:
            self._parse(data)
        else:
            self._unread, self._at = data, 0
            self._work()

    def _queue(self, work: Callable[[], None]) -> None:
        if not self._queued:
            self._queued = True
            self._guarded.budget.later(work)

    def _resume(self) -> None:
        """Go on with what was read, then with what comes."""
        if self._unread:
            self.transport.pause_reading()
            self._queue(self._work)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def _work(self) -> None:
        """Parse this connection's share of a turn."""
        self._queued = False
        share = SHARE
        while self._unread and share > 0 and not self.flow.read_paused:
            if self.transport.is_closing() or self._part in _OVER:
                self._unread = b""
                break
            end = self._at + self._slice
            data = self._unread[self._at : end]
            self._at = end
            if end >= len(self._unread):
                self._unread, self._at = b"", 0
            share -= self._parse(data)
        if not (self._part == "upgraded" or self.flow.read_paused or self.transport.is_closing()):
            self._resume()

    def _parse(self, data: bytes) -> int:
        """Parse some bytes; return how many units of work that was.

        As long as few callbacks come of it, the next slice is larger: so bodies go fast.
        """
        self._begun = self._pieces = 0
        self._parsing = data
        super().data_received(data)
        self._parsing = b""
        few = self._part == "body" and self._pieces <= _FEW_PIECES
        most = (
            ANSWERED_SLICE
            if self.cycle is not None and self.cycle.response_complete
            else MOST_SLICE
        )
        self._slice = min(2 * self._slice, most) if few else SLICE
        if not self.transport.is_closing() and self._part not in _OVER:
            self._see_to_time(len(data))
        units = 1 + (self._pieces >> 3) + REQUEST * self._begun
        self._guarded.budget.spend(units)
        return units

    def _see_to_time(self, size: int) -> None:
        if self._part == "head":
            self._more_head(size)
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
        self._begun += 1
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
        if self.refuses is not None and self.url not in PROBES:
            self._refusal = self.refuses
            raise self._refusal
        super().on_headers_complete()
        if self.refuses is not None or self._guarded.ending:
            self.cycle.keep_alive = False

    def give_way(self) -> bool:
        """Turn a connection away that asked nothing whole yet; return whether it was one."""
        asked = self._answering is not None or self._part not in {"idle", "head"}
        if self.refuses is None or asked or self.transport.is_closing():
            return False
        self.transport.write(raw(self.refuses))
        self.transport.close()
        return True

    def on_body(self, body: bytes) -> None:
        self._pieces += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_time()
        self._part = "idle"
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        if self._answering is not None and not self._answering.response_complete:
            self._refusal = Malformed("An earlier request is still being answered.")
            self.send_400_response("")
            return
        self._part = "upgraded"
        # Nothing should come before the answer (RFC 6455 4.1); there are clients that do not wait.
        early = self._parsing[_read_by_parser() :] + self._unread[self._at :]
        self._unread = b""
        self.transport.resume_reading()
        self._in_time()
        self._uncount()
        super().handle_websocket_upgrade()
        self._let_go()
        if early and not self.transport.is_closing():
            cast("Any", self.transport.get_protocol()).data_received(early)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or is too much of it, and listen no more."""
        busy = self._answering
        within = busy is not None and busy.response_started and not busy.response_complete
        self._end_requests()
        self._part = "refused"
        self._in_time()
        if within:
            self.transport.abort()  # this would stand within the answer to another request
            return
        self.transport.write(raw(self._refusal or Malformed(msg or "That is not HTTP.")))
        if self.transport.can_write_eof():
            self.transport.write_eof()
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
            return
        # Aborted, not closed: closing would wait for the client to take what is written.
        self.transport.abort()
