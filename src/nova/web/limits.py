"""Rate limits: GCRA (the generic cell rate algorithm, ITU-T I.371), counted in this process."""

from asyncio import Semaphore, timeout
from collections import Counter as Tally
from collections import OrderedDict, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

from nova.kernel.errors import TooMany, Unavailable
from nova.ports.limits import Limits
from nova.web.problems import Overloaded
from nova.web.routes import Limit, Parallel


class Budgets(Struct, frozen=True, kw_only=True):
    """The limits that hold for every route and socket command; a call takes its route's `cost`."""

    users: Limit = Limit("users", per_s=50, burst=500)
    """Per user, over HTTP and all sockets together."""
    servers: Limit = Limit("server_keys", per_s=20_000, burst=40_000)
    """Per server key."""
    strangers: Limit = Limit("strangers", per_s=20, burst=200)
    """Per address: calls without credentials, and calls refused for what they showed."""


class LocalLimits:
    """The states in this process, `most` of each limit.

    Full, the key that was used longest ago is forgotten; strangers of many addresses push out
    nobody's state of another limit.
    """

    def __init__(self, *, most: int = 100_000, now: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._now = now
        self._limits: defaultdict[str, OrderedDict[str, float]] = defaultdict(OrderedDict)

    async def take(self, name: str, key: str, *, per_s: float, burst: int, cost: int = 1) -> float:
        now = self._now()
        full_at = self._limits[name]
        at = max(full_at.get(key, now), now) + (cost or 1) / per_s
        wait = at - now - burst / per_s
        if wait > 1e-9:  # noqa: PLR2004  # what rounding may leave
            return wait
        if cost:
            full_at[key] = at
            full_at.move_to_end(key)
            if len(full_at) > self._most:
                full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return sum(map(len, self._limits.values()))


class Limiter:
    """Applies limits, and decides as each declares when the store of the states fails."""

    def __init__(self, limits: Limits, registry: CollectorRegistry) -> None:
        self._limits = limits
        self._log = get_logger()
        self._limited = Counter(
            "nova_http_limited", "Requests refused by a rate limit", ["limit"], registry=registry
        )
        self._failed = Counter(
            "nova_http_limiter_failures",
            "Requests whose rate limit could not be counted",
            ["limit", "passed"],
            registry=registry,
        )

    async def charge(self, limit: Limit, key: str, cost: int = 1) -> None:
        """Raise TooMany when the limit is used up; cost 0 only looks."""
        try:
            wait = await self._limits.take(
                limit.name, key, per_s=limit.per_s, burst=limit.burst, cost=cost
            )
        except (Unavailable, OSError) as error:
            self._failed.labels(limit.name, str(limit.fail_open)).inc()
            self._log.warning("limiter_failed", limit=limit.name, error=str(error))
            if limit.fail_open:
                return
            raise Unavailable("The rate limit cannot be counted.", retry_after=1.0) from error
        if wait > 0:
            self._limited.labels(limit.name).inc()
            raise TooMany(f"The limit '{limit.name}' is used up.", retry_after=wait)


SERVERS_WAIT = 5
"""Calls with server keys may wait for so many times as long."""


class Gate:
    """Lets a bounded number of calls run at once, and a bounded number wait for a short time."""

    def __init__(self, bound: Parallel, *, of_one: int | None = None) -> None:
        """`of_one` bounds one caller's calls, those that wait included.

        None is for the host app's backend: all its calls may wait, and for longer.
        """
        self._bound = bound
        self._of_one = of_one
        self._room = Semaphore(bound.running)
        self._of: Tally[str] = Tally()

    @asynccontextmanager
    async def of(self, sender: str) -> AsyncIterator[None]:
        """Run the block when its turn comes. Raises TooMany or Overloaded."""
        name = self._bound.name
        if self._of_one is not None and self._of[sender] >= self._of_one:
            raise TooMany(f"Your calls of '{name}' are still running.", retry_after=1.0)
        most = self._bound.running + self._bound.waiting
        if self._of_one is not None and self._of.total() >= most:
            raise Overloaded(f"As many calls of '{name}' run and wait as may.", retry_after=1.0)
        self._of[sender] += 1
        try:
            await self._turn()
            try:
                yield
            finally:
                self._room.release()
        finally:
            self._of[sender] -= 1
            if not self._of[sender]:
                del self._of[sender]

    async def _turn(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with timeout(self._bound.wait_s * (1 if self._of_one else SERVERS_WAIT)):
                await self._room.acquire()
        except TimeoutError:
            raise Overloaded(
                f"Calls of '{self._bound.name}' take too long just now.", retry_after=1.0
            ) from None
