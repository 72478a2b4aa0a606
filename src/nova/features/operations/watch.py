"""Reads now and then what this process counts anyway: nothing is added where it is counted."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from nova.feature import Feature
from nova.features.operations.overview import (
    Overview,
    Reading,
    What,
    clock_jump,
    consumed,
    rates,
    refused,
    timings,
)
from nova.kernel.clock import Clock

EVERY_S = 10.0
KEPT = 31
"""Five minutes; the oldest makes room."""

CONSUMED = "nova_log_events_total"
ANSWERED = "nova_http_request_seconds_bucket"
PUBLISHED = "nova_notifications_seconds_bucket"
COUNTS: Mapping[str, str] = {
    "nova_notifications_total": "events",
    "nova_http_requests_total": "requests",
    "nova_delivery_attempts_total": "deliveries",
}


class Watch:
    """The last minutes of this process. `turn` is to be repeated for ever."""

    def __init__(
        self,
        registry: CollectorRegistry,
        clock: Clock,
        features: Callable[[], Iterable[Feature]],
        sockets: Callable[[], int],
        refused_sockets: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """A request is counted for the one of `features` that it is of.

        `refused_sockets` returns how many were one too many, by setting.
        """
        names = [CONSUMED, ANSWERED, PUBLISHED, *COUNTS]
        self._metrics = registry.restricted_registry(names)
        self._clock = clock
        self._features = features
        self._sockets = sockets
        self._refused_sockets = refused_sockets
        self._owners: dict[tuple[str, str], str] = {}
        self._started_at = clock.now()
        self._kept: deque[Reading] = deque([self._read()], maxlen=KEPT)

    async def turn(self) -> None:
        await asyncio.sleep(EVERY_S)
        self.look()

    def look(self) -> None:
        """Keep a reading."""
        self._kept.append(self._read())

    def overview(self) -> Overview:
        now, kept = self._read(), list(self._kept)
        before = kept[0]
        return Overview(
            at=self._clock.now(),
            started_at=self._started_at,
            window_s=round(now.at - before.at, 1),
            sockets=now.sockets,
            sockets_refused=refused(before, now),
            clock_jumped_s=clock_jump([*kept, now]),
            rates=rates(kept, now),
            consumers=consumed(kept, now),
            timings=timings(before, now),
        )

    def _read(self) -> Reading:
        counts = dict.fromkeys(COUNTS.values(), 0.0)
        consumers: dict[str, float] = {}
        buckets: defaultdict[tuple[str, What], defaultdict[float, float]]
        buckets = defaultdict(lambda: defaultdict(float))
        for sample in self._samples():
            if sample.name in COUNTS:
                counts[COUNTS[sample.name]] += sample.value
            elif sample.name == CONSUMED:
                consumers[sample.labels["consumer"]] = sample.value
            elif "le" in sample.labels:
                buckets[self._timed(sample)][float(sample.labels["le"])] += sample.value
        return Reading(
            at=self._clock.monotonic(),
            wall=self._clock.now(),
            sockets=self._sockets(),
            refused=dict(self._refused_sockets()),
            counts=counts,
            consumers=consumers,
            timings=buckets,
        )

    def _samples(self) -> Sequence[Sample]:
        return [sample for metric in self._metrics.collect() for sample in metric.samples]

    def _timed(self, sample: Sample) -> tuple[str, What]:
        if sample.name == PUBLISHED:
            return "notifications", "published"
        return self._owner(sample.labels["method"], sample.labels["route"]), "answered"

    def _owner(self, method: str, path: str) -> str:
        if not self._owners:
            self._owners = {
                (route.method, route.path): feature.name
                for feature in self._features()
                for route in feature.routes
            }
        return self._owners.get((method, path), "sockets")
