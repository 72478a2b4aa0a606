"""Rate, errors and duration of every route, with the children of each metric kept ready."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""In seconds."""


class Meter:
    """Counts and times the requests of one route."""

    __slots__ = ("_count", "_counters", "_labels", "_seconds", "_time")

    _time: Callable[[float], None]

    def __init__(self, count: Counter, seconds: Histogram, method: str, route: str) -> None:
        self._count = count
        self._labels = (method, route)
        self._seconds = seconds
        self._counters: dict[int, Counter] = {}

    def observe(self, status: int, seconds: float) -> None:
        counter = self._counters.get(status)
        if counter is None:
            counter = self._first(status)
        counter.inc()
        self._time(seconds)

    def _first(self, status: int) -> Counter:
        """Begin to count a status. What was never asked for is no line of the metrics."""
        self._time = self._seconds.labels(*self._labels).observe
        counter = self._counters[status] = self._count.labels(*self._labels, str(status))
        return counter


class Requests:
    """The metrics of all routes."""

    def __init__(self, registry: CollectorRegistry, busy: Callable[[], int]) -> None:
        self._count = Counter(
            "nova_http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "nova_http_request_seconds",
            "Time from the first header to the answer",
            ["method", "route"],
            registry=registry,
            buckets=BUCKETS,
        )
        gauge = Gauge("nova_http_requests_in_progress", "Requests now", registry=registry)
        gauge.set_function(busy)

    def of(self, method: str, route: str) -> Meter:
        """Return the meter of one route."""
        return Meter(self._count, self._seconds, method, route)
