"""A request on its way, and the two ways in which it can fail."""

from asyncio import Future, TimerHandle
from typing import Protocol

from hpack import NeverIndexedHeaderTuple
from msgspec import Struct

Header = tuple[bytes, bytes]


class Request(Struct, frozen=True, gc=False):
    """A POST; names of headers are in lower case."""

    path: bytes
    steady: tuple[Header, ...]
    """Headers that many requests share: HTTP/2 sends each as one byte from the second time on."""
    own: tuple[Header, ...] = ()
    """Headers of this request alone."""
    body: bytes = b""
    steady_path: bool = False
    """Whether many requests share the path."""


class Reply(Struct, frozen=True, gc=False):
    """What a server answered; the body is cut at the origin's bound."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Unsent(Exception):
    """The server has processed nothing of the request: to send it again is safe."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        self.reason = reason
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class Lost(Exception):
    """The request was on its way, its reply never came: the server may have processed it."""


class Carrying(Protocol):
    """What an exchange knows of the line that carries it."""

    def cancel(self, exchange: "Exchange") -> None:
        """Want no reply any more."""


class Exchange:
    """One request, from the queue to its reply."""

    __slots__ = (
        "body",
        "future",
        "headers",
        "line",
        "number",
        "replays",
        "request",
        "status",
        "timer",
    )

    def __init__(self, request: Request, future: "Future[Reply]") -> None:
        self.request = request
        self.future = future
        self.timer: TimerHandle | None = None
        self.line: Carrying | None = None
        self.replays = 0
        self.number = 0
        """The stream that carries it, over HTTP/2."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    def finish(self) -> None:
        if not self.future.done():
            self.future.set_result(Reply(self.status, self.headers, self.body))

    def fail(self, wrong: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(wrong)


def once(name: bytes, value: bytes) -> Header:
    """Return a header that no table of HPACK remembers: it would push out what is repeated."""
    return NeverIndexedHeaderTuple(name, value)
