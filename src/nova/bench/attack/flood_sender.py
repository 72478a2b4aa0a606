"""A process that sends a flood; it reads what to send from its standard input.

It knows no protocol and no library: the bytes are prepared, the sockets plain and non-blocking.
"""

import signal
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from socket import AF_INET, SOCK_STREAM, socket
from threading import Event
from time import monotonic

from msgspec import Struct

from nova.bench.attack.floods import Flood
from nova.bench.attack.subprocesses import ordered, say

PENDING = 0.01
"""Seconds before a connection that was refused or reset is opened again."""
READ = 262_144


class Order(Struct, frozen=True):
    """What to send, where to, and for how long; `source` is the address to call from."""

    host: str
    port: int
    seconds: float
    floods: tuple[Flood, ...]
    source: str = "127.0.0.1"


class Sent(Struct, frozen=True):
    """What was done."""

    bytes: int
    connections: int
    seconds: float


class Connection:
    """One connection of a flood; it is opened again whenever it ends."""

    def __init__(self, flood: Flood, order: Order, selector: DefaultSelector) -> None:
        self._flood = flood
        self._order = order
        self._selector = selector
        self._socket: socket | None = None
        self.due = 0.0
        """When it has something to do again, without the selector."""
        self.sent = 0
        self.opened = 0

    def act(self, now: float) -> None:
        """Open it, or send the piece that is due."""
        try:
            if self._socket is None:
                self._open()
            elif self._flood.every_s:
                self.due = now + self._flood.every_s
                self._left += self._flood.piece
                self._write()
        except OSError:
            self._end(now + PENDING)

    def _open(self) -> None:
        self.due = float("inf")
        self.opened += 1
        self._socket = connection = socket(AF_INET, SOCK_STREAM)
        connection.setblocking(False)
        connection.bind((self._order.source, 0))
        self._left = bytearray(self._flood.opening)
        self._waits = self._flood.greeting is not None
        self._written = False
        if not self._flood.opening and not self._flood.every_s:
            self._left += self._flood.piece
        with suppress(BlockingIOError):
            connection.connect((self._order.host, self._order.port))
        self._selector.register(connection, EVENT_READ | EVENT_WRITE, self)

    def ready(self, events: int, now: float) -> None:
        try:
            if events & EVENT_WRITE:
                self._write()
            if events & EVENT_READ and self._socket is not None:
                self._read(now)
        except OSError:
            self._end(now + PENDING)

    def _write(self) -> None:
        if self._socket is None:
            return
        if not self._left and self._endless:
            self._left += self._flood.piece
        if self._left:
            with suppress(BlockingIOError):
                count = self._socket.send(self._left)
                self.sent += count
                del self._left[:count]
        self._watch()

    @property
    def _endless(self) -> bool:
        return not (self._flood.in_turn or self._flood.every_s or self._waits)

    def _watch(self) -> None:
        if self._socket is None:
            return
        events = EVENT_WRITE if self._left or self._endless else 0
        if self._flood.reads or not events:
            events |= EVENT_READ
        self._selector.modify(self._socket, events, self)
        if self._flood.every_s and self.due == float("inf"):
            self.due = 0.0

    def _read(self, now: float) -> None:
        if self._socket is None:
            return
        if not self._socket.recv(READ):
            self._end(now)
        elif self._waits:
            self._waits = False
            self._left += self._flood.greeting or b""
            self._write()
        elif self._flood.in_turn and not self._left:
            if self._flood.hangs_up and (self._written or not self._flood.opening):
                self._end(now)
                return
            self._written = True
            self._left += self._flood.piece
            self._write()

    def _end(self, due: float) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
        self._socket, self.due = None, due


def flood(order: Order, ended: Event) -> Sent:
    """Send until the time is over, or until told to end."""
    selector = DefaultSelector()
    connections = [
        Connection(each, order, selector) for each in order.floods for _ in range(each.connections)
    ]
    until = monotonic() + order.seconds
    while (now := monotonic()) < until and not ended.is_set():
        soonest = min(connection.due for connection in connections)
        for key, events in selector.select(min(max(0.0, soonest - now), 0.1)):
            key.data.ready(events, now)
        for connection in connections:
            if connection.due <= now:
                connection.act(now)
    return Sent(
        sum(connection.sent for connection in connections),
        sum(connection.opened for connection in connections),
        monotonic() - until + order.seconds,
    )


if __name__ == "__main__":
    told_to_end = Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    say(flood(ordered(Order), told_to_end))
