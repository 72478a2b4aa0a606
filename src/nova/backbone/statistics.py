"""What a consumer did so far, for people and for Prometheus."""

from collections.abc import Hashable
from datetime import datetime

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge

from nova.kernel.clock import Clock


class Statistics(Struct, frozen=True):
    """One consumer's numbers in this process, since it started."""

    consumer: str
    """The consumer group."""
    events: int
    """How many it handled since the process started."""
    batches: int
    """In how many transactions."""
    failures: int
    """How many of these had to be tried again."""
    dead_letters: int
    """How many records it gave up."""
    last_batch_size: int
    """How many records the last transaction handled."""
    last_batch_at: datetime | None
    """When that was."""
    lag_s: float
    """Age of the oldest event known to wait; 0 when there is none."""


class Instruments:
    """The metrics that all consumers share, one label apart."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str) -> Counter:
            return Counter(f"nova_log_{name}", about, ["consumer"], registry=registry)

        def gauge(name: str, about: str) -> Gauge:
            return Gauge(f"nova_log_{name}", about, ["consumer"], registry=registry)

        self.events = counter("events", "Events handled.")
        self.batches = counter("batches", "Transactions that handled events.")
        self.failures = counter("failures", "Attempts at events or batches that failed.")
        self.dead_letters = counter("dead_letters", "Events given up on.")
        self.batch_size = gauge("last_batch_size", "Events in the last batch.")
        self.batch_at = gauge("last_batch_timestamp_seconds", "When the last batch was handled.")
        self.lag = gauge("lag_seconds", "Age of the oldest event known to wait.")


class Counts:
    """Counts what one consumer does."""

    def __init__(self, instruments: Instruments, consumer: str, clock: Clock) -> None:
        self._consumer = consumer
        self._clock = clock
        self._events = self._batches = self._failures = self._dead = self._size = 0
        self._at: datetime | None = None
        self._waiting: dict[Hashable, datetime] = {}
        self._metrics = (
            instruments.events.labels(consumer),
            instruments.batches.labels(consumer),
            instruments.failures.labels(consumer),
            instruments.dead_letters.labels(consumer),
        )
        self._gauges = (
            instruments.batch_size.labels(consumer),
            instruments.batch_at.labels(consumer),
        )
        instruments.lag.labels(consumer).set_function(self._lag)

    def found(self, oldest: datetime, reader: Hashable = 0) -> None:
        """Note how old the oldest event is that now waits for a reader to handle it."""
        self._waiting[reader] = oldest

    def caught_up(self, reader: Hashable = 0) -> None:
        self._waiting.pop(reader, None)

    def stuck(self, reader: Hashable = 0) -> None:
        """Note that the log could not be read: from now on, something may wait."""
        self._waiting.setdefault(reader, self._clock.now())

    def handled(self, size: int) -> None:
        self._events += size
        self._batches += 1
        self._size, self._at = size, self._clock.now()
        self._metrics[0].inc(size)
        self._metrics[1].inc()
        self._gauges[0].set(size)
        self._gauges[1].set(self._at.timestamp())

    def failed(self) -> None:
        self._failures += 1
        self._metrics[2].inc()

    def died(self, count: int = 1) -> None:
        self._dead += count
        self._metrics[3].inc(count)

    def statistics(self) -> Statistics:
        return Statistics(
            self._consumer,
            self._events,
            self._batches,
            self._failures,
            self._dead,
            self._size,
            self._at,
            self._lag(),
        )

    def _lag(self) -> float:
        if not self._waiting:
            return 0.0
        return max(0.0, (self._clock.now() - min(self._waiting.values())).total_seconds())
