"""What a process did in the last minutes, from readings of what it counts anyway: pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from math import inf
from typing import Literal, TypeAlias

from msgspec import Struct

What: TypeAlias = Literal["published", "answered"]
Buckets: TypeAlias = Mapping[float, float]
"""Times a bound in seconds was not exceeded, by bound; the last one is infinite."""

_Counted: TypeAlias = tuple[float, Mapping[str, float]]

JUMP_S = 1.0
"""By less, clocks are set right all the time."""

LATELY_S = 5.0
"""What a rate is of, at least: over less it would jump."""


class Reading(Struct, frozen=True, kw_only=True):
    """What was counted up to a moment; all of it only grows, but for the open sockets."""

    at: float
    """In seconds, of a clock that never goes back."""
    sockets: int
    wall: datetime
    """The same moment, by the clock on the wall."""
    refused: Mapping[str, int]
    """Sockets that were one too many, by the setting that says how many are allowed."""
    counts: Mapping[str, float]
    consumers: Mapping[str, float]
    timings: Mapping[tuple[str, What], Buckets]


class Frequency(Struct, frozen=True, kw_only=True):
    """How often something happened."""

    name: str
    """What happened."""
    per_s: float
    """Over the last seconds."""
    lately: Sequence[float]
    """Per second in each step of the time looked at, the oldest first."""


class Timing(Struct, frozen=True, kw_only=True):
    """How long something took, in the time looked at."""

    feature: str
    """Whose work it was."""
    what: What
    """`published`: the oldest event of a batch, from its acceptance until it was committed and
    handed to the sockets. `answered`: a request, from its first header to its answer."""
    count: int
    """How many were timed."""
    p50_ms: float
    """Half took no longer, in milliseconds."""
    p95_ms: float
    """95 of 100 took no longer, in milliseconds."""
    p99_ms: float
    """Linear within the buckets of the metric, and never more than the last bound of them."""


class RefusedSockets(Struct, frozen=True, kw_only=True):
    """Sockets that were refused because there were as many as a setting allows."""

    setting: str
    """The setting: `socket.per_address`, `socket.per_user` or `socket.connections`."""
    lately: int
    """How many in the time looked at."""
    total: int
    """How many since the process began."""


class Overview(Struct, frozen=True, kw_only=True):
    """What the process that answers did lately."""

    at: datetime
    """When the overview was made."""
    started_at: datetime
    """Since when the process that answers counts."""
    window_s: float
    """How far back rates and times reach: five minutes, or less after a start."""
    sockets: int
    """Open right now."""
    sockets_refused: Sequence[RefusedSockets]
    """By setting; empty while none was refused since the start."""
    clock_jumped_s: float
    """By how many seconds the machine's clock was set forward, or back (negative), in the time
    looked at: the widest jump, or 0."""
    rates: Sequence[Frequency]
    """Of `events` that were decided, `requests` and `deliveries` (attempts at them)."""
    consumers: Sequence[Frequency]
    """Of the events that each consumer of the log handled."""
    timings: Sequence[Timing]
    """By feature; of what happened at all."""


def rates(kept: Sequence[Reading], now: Reading) -> list[Frequency]:
    """Return how often each thing happened that is counted, from readings in their order."""
    return _rates([(each.at, each.counts) for each in kept], (now.at, now.counts))


def consumed(kept: Sequence[Reading], now: Reading) -> list[Frequency]:
    """Return how many events each consumer handled, from readings in their order."""
    return _rates([(each.at, each.consumers) for each in kept], (now.at, now.consumers))


def refused(before: Reading, now: Reading) -> list[RefusedSockets]:
    """Return how many sockets each setting refused, at all and between two readings."""
    return [
        RefusedSockets(setting=setting, lately=total - before.refused.get(setting, 0), total=total)
        for setting, total in sorted(now.refused.items())
    ]


def clock_jump(readings: Sequence[Reading]) -> float:
    """Return by how many seconds the clock on the wall jumped most from a reading to the next."""
    jumps = [
        (after.wall - before.wall).total_seconds() - (after.at - before.at)
        for before, after in pairwise(readings)
    ]
    widest = max(jumps, key=abs, default=0.0)
    return round(widest, 1) if abs(widest) >= JUMP_S else 0.0


def timings(before: Reading, now: Reading) -> list[Timing]:
    """Return how long took what happened between two readings; publishing comes first."""
    found = [
        _timing(feature, what, _less(buckets, before.timings.get((feature, what), {})))
        for (feature, what), buckets in sorted(now.timings.items(), key=_order)
    ]
    return [each for each in found if each is not None]


def percentile(buckets: Buckets, share: float) -> float:
    """Return the bound below which a share of what is in the buckets lies, as Prometheus does.

    Something must be in them.
    """
    rank = share * buckets[inf]
    below, low = 0.0, 0.0
    for bound in sorted(buckets):
        count = buckets[bound]
        if count >= rank and bound != inf:
            return low + (bound - low) * (rank - below) / (count - below)
        if bound != inf:
            below, low = count, bound
    return low


def _rates(kept: Sequence[_Counted], now: _Counted) -> list[Frequency]:
    """Of the step that has begun nothing is told but in `per_s`: so short a one would jump."""
    old = [each for each in kept if now[0] - each[0] >= LATELY_S]
    since = old[-1] if old else kept[0]
    return [
        Frequency(
            name=name,
            per_s=_per_s(name, since, now),
            lately=[_per_s(name, *step) for step in pairwise(kept)],
        )
        for name in now[1]
    ]


def _per_s(name: str, before: _Counted, after: _Counted) -> float:
    seconds = after[0] - before[0]
    if seconds <= 0:
        return 0.0
    return round((after[1].get(name, 0.0) - before[1].get(name, 0.0)) / seconds, 2)


def _order(item: tuple[tuple[str, What], Buckets]) -> tuple[bool, str]:
    (feature, what), _ = item
    return what != "published", feature


def _less(buckets: Buckets, before: Buckets) -> Buckets:
    return {bound: count - before.get(bound, 0.0) for bound, count in buckets.items()}


def _timing(feature: str, what: What, buckets: Buckets) -> Timing | None:
    count = buckets[inf]
    if count <= 0:
        return None
    p50, p95, p99 = (round(1_000 * percentile(buckets, share), 2) for share in (0.5, 0.95, 0.99))
    return Timing(feature=feature, what=what, count=int(count), p50_ms=p50, p95_ms=p95, p99_ms=p99)
