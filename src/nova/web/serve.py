"""The server: uvicorn in the running loop, and an end without loose ends."""

import asyncio
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from time import monotonic
from typing import Any, cast

from starlette.types import ASGIApp
from structlog import get_logger
from uvicorn import Server

from nova.kernel.errors import Refused
from nova.web.connection_acceptor import Acceptor
from nova.web.connections import Guard, Guarded, GuardedProtocol
from nova.web.event_loop_budget import LoopBudget
from nova.web.joined_writes import JoinedWrites

LOOK_S = 0.05
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def bound(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Take an address, on which nobody is answered yet; port 0 takes a free one.

    Raises OSError when it cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


async def serve(
    app: ASGIApp,
    *,
    listener: socket.socket,
    protocol: type[asyncio.Protocol] | None = None,
    listening: Callable[[str, int], None] = lambda _host, _port: None,
    draining: Callable[[], None] = lambda: None,
    drain: Sequence[Callable[[], Awaitable[None]]] = (),
    stop: asyncio.Event | None = None,
    guard: Guard | None = None,
    budget: LoopBudget | None = None,
    keep_alive_s: int = 15,
    drain_s: float = 25.0,
    signals: bool = True,
    others_accept: bool = False,
) -> None:
    """Serve until SIGTERM, SIGINT or `stop`, then drain and return.

    `listener` comes from `bound`, and is closed. `protocol` is the WebSocket protocol class
    for uvicorn. `listening` hears the address once it takes connections. Then: `draining` is
    called (readiness turns 503), no more connections are accepted, all of `drain` runs,
    requests in progress end, connections close; all within `drain_s`, and what has not ended
    by then is cut. Where `others_accept` at the address, a connection that is kept alive ends
    with its next answer, or once nothing came over it for `keep_alive_s`. A second signal exits
    at once. Raises OSError when another process began to listen at the address after it was
    bound.
    """
    stop = stop or asyncio.Event()
    with listener, _signals(stop if signals else None):
        config = _config(app, protocol, guard or Guard(), keep_alive_s)
        config.budget = budget or LoopBudget()
        config.writes = JoinedWrites()
        async with _running(config, listener) as server:
            listening(*listener.getsockname()[:2])
            await stop.wait()
            until = monotonic() + drain_s
            draining()
            for one in server.servers:
                one.close()
            config.ending = others_accept
            await _drained(drain, drain_s * 0.7)
            if others_accept:
                await _no_connections(config, until - 1)
            config.timeout_graceful_shutdown = max(1, int(until - monotonic()))


def _config(
    app: ASGIApp, protocol: type[asyncio.Protocol] | None, guard: Guard, keep_alive_s: int
) -> Guarded:
    config = Guarded(
        app,
        http=GuardedProtocol,
        ws=protocol or "none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=keep_alive_s,
        ws_ping_interval=None,  # the socket's protocol has pings of its own
        ws_per_message_deflate=False,  # a bomb costs the server, and frames are small
    )
    config.guard = guard
    config.by_address = Counter()
    config.load()
    return config


class _Quiet(Server):
    """Leaves signals alone, and accepting to an Acceptor."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = cast("Guarded", self.config)

        def made(refusal: Refused | None) -> GuardedProtocol:
            protocol = GuardedProtocol(config, self.server_state, self.lifespan.state)
            protocol.refuses = refusal
            return protocol

        acceptors = [Acceptor(each, made, config.budget) for each in sockets or ()]
        self.servers = cast("Any", acceptors)
        for acceptor in acceptors:
            acceptor.start()
        self.started = True


@asynccontextmanager
async def _running(config: Guarded, listener: socket.socket) -> AsyncIterator[Server]:
    server = _Quiet(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    ticking = asyncio.create_task(server.main_loop())  # renews the Date header
    try:
        yield server
    finally:
        server.should_exit = True
        await ticking
        await server.shutdown(sockets=[listener])


async def _drained(drain: Sequence[Callable[[], Awaitable[None]]], within_s: float) -> None:
    """Run all of `drain` at once; one that fails or takes too long keeps nobody from ending."""
    log = get_logger()
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            ends = await asyncio.gather(*(one() for one in drain), return_exceptions=True)
            for end in ends:
                if isinstance(end, BaseException):
                    log.error("drain_failed", exc_info=end)


async def _no_connections(config: Guarded, until: float) -> None:
    """Wait until the HTTP connections have ended: one that is cut may have just sent a request."""
    while config.open and monotonic() < until:  # noqa: ASYNC110  # few turns, once in a life
        await asyncio.sleep(LOOK_S)


@contextmanager
def _signals(stop: asyncio.Event | None) -> Iterator[None]:
    if stop is None:
        yield
        return
    loop = asyncio.get_running_loop()

    def asked(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for one in _SIGNALS:
        loop.add_signal_handler(one, asked, int(one))
    try:
        yield
    finally:
        for one in _SIGNALS:
            loop.remove_signal_handler(one)
