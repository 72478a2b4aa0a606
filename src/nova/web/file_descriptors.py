"""The limit, the number in use and the reserve of file descriptors."""

import resource
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from structlog import get_logger

MOST_RESERVED = 256
FEW = 1024
"""With fewer descriptors than that, `nova doctor` says so."""
_MANY = 1 << 30
"""Stands for a limit that is none."""
_OPEN = Path("/proc/self/fd")


def raise_limit() -> int:
    """Raise the soft limit to the hard one, as a process may; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as reason:  # where a hard limit is more than the kernel takes
            get_logger().warning("descriptor_limit_not_raised", limit=soft, error=str(reason))
    return limit()


def limit() -> int:
    """Return how many descriptors this process may have."""
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def hard_limit() -> int:
    """Return how many it may have once the limit was raised."""
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def _bounded(most: int) -> int:
    return most if 0 <= most < _MANY else _MANY


def reserve(most: int) -> int:
    """Return how many of `most` no client gets: for the database, providers and probes."""
    return min(MOST_RESERVED, most // 5)


def in_use() -> int:
    try:
        return sum(1 for _ in _OPEN.iterdir())
    except OSError:  # where there is no /proc
        return 0


class _Descriptors(Collector):
    def collect(self) -> Iterator[Metric]:
        most = limit()
        yield GaugeMetricFamily("nova_descriptors_limit", "File descriptors at most.", most)
        yield GaugeMetricFamily("nova_descriptors_in_use", "Open file descriptors.", in_use())
        yield GaugeMetricFamily(
            "nova_descriptors_reserved", "File descriptors that no client gets.", reserve(most)
        )


def register(registry: CollectorRegistry) -> None:
    registry.register(_Descriptors())
