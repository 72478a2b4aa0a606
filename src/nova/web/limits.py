"""Rate limits: GCRA (the generic cell rate algorithm, ITU-T I.371), counted in this process."""

from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

from nova.kernel.errors import TooMany, Unavailable
from nova.ports.limits import Limits
from nova.web.routes import Limit


class LocalLimits:
    """The states in this process; full, the key that was used longest ago is forgotten."""

    def __init__(self, *, most: int = 100_000, now: Callable[[], float] = monotonic) -> None:
        self._most = most
        self._now = now
        self._full_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def take(self, name: str, key: str, *, per_s: float, burst: int, cost: int = 1) -> float:
        now = self._now()
        state = (name, key)
        at = max(self._full_at.get(state, now), now) + (cost or 1) / per_s
        wait = at - now - burst / per_s
        if wait > 1e-9:  # noqa: PLR2004  # what rounding may leave
            return wait
        if cost:
            self._full_at[state] = at
            self._full_at.move_to_end(state)
            if len(self._full_at) > self._most:
                self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)


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
