"""The timers of sockets: pings, and the end of what is stale or expired."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable
from math import ceil

from structlog import get_logger

from nova.kernel.clock import Clock
from nova.web.realtime import codes
from nova.web.realtime.session import Session
from nova.web.realtime.socket_limits import Limits

TICK_S = 1.0
STALE_S = 10.0
"""A client that has not connected by then is closed."""


class Timers:
    """Looks at a share of the sockets once a second."""

    def __init__(self, limits: Limits, clock: Clock, failed: Callable[[], None]) -> None:
        """`failed` is told of a bug."""
        self.ping_s = max(1, ceil(limits.ping_s))
        self.wheel: list[set[Session]] = [set() for _ in range(self.ping_s)]
        """Sessions by the second in which they are pinged."""
        self._expired_s = limits.expired_s
        self._clock = clock
        self._failed = failed
        self._hand = 0
        self._arrivals: OrderedDict[Session, float] = OrderedDict()
        """Those that have not said who they are, and until when they have to."""
        self._ticking: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick_on())

    def stop(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()

    def arrive(self, session: Session) -> None:
        """The session has yet to say who it is."""
        self._arrivals[session] = self._clock.monotonic() + STALE_S

    def enter(self, session: Session) -> None:
        """The session has said who it is."""
        self._arrivals.pop(session, None)

    def watch(self, session: Session) -> None:
        """The session was told how it is pinged: clients answer no ping that comes before."""
        if not session.closed:
            session.slot = random.randrange(self.ping_s)  # noqa: S311  # spreads pings, hides nothing
            self.wheel[session.slot].add(session)

    def remove(self, session: Session) -> None:
        self._arrivals.pop(session, None)
        if session.slot >= 0:
            self.wheel[session.slot].discard(session)

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
            except Exception:  # noqa: BLE001  # the edge of a task: others are pinged all the same
                get_logger().exception("socket_timer_failed")
                self._failed()

    def tick(self) -> None:
        """Once a second: ping a share of the sessions, end what is stale or expired."""
        self._hand = (self._hand + 1) % self.ping_s
        wall = self._clock.now().timestamp()
        for session in tuple(self.wheel[self._hand]):
            session.expire(wall - self._expired_s)
            session.ping()
        now = self._clock.monotonic()
        while self._arrivals and next(iter(self._arrivals.values())) <= now:
            session, _ = self._arrivals.popitem(last=False)
            if session.user is None:
                session.close(codes.STALE)
