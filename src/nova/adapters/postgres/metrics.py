"""What the pool counts, read when the metrics are asked for."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nova.adapters.postgres.pool import PostgresPool


class _Connections(Collector):
    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    def collect(self) -> Iterator[Metric]:
        state = self._pool.state()
        yield GaugeMetricFamily(
            "nova_postgres_connections", "Connections that are open.", state.open
        )
        yield GaugeMetricFamily(
            "nova_postgres_connections_most", "Connections that may be open.", state.size
        )
        yield GaugeMetricFamily(
            "nova_postgres_connections_idle", "Open connections that nobody uses.", state.idle
        )
        yield GaugeMetricFamily(
            "nova_postgres_waiting", "Callers waiting for a connection.", state.waiting
        )
        yield CounterMetricFamily(
            "nova_postgres_shed", "Callers refused for the lack of a connection.", state.shed
        )
        yield GaugeMetricFamily(
            "nova_postgres_breaker_open",
            "Whether callers are refused since the database answers nothing.",
            state.breaker != "closed",
        )
        yield CounterMetricFamily(
            "nova_postgres_breaker_opened", "How often the breaker opened.", state.opened
        )
        yield CounterMetricFamily(
            "nova_postgres_breaker_refused", "Callers refused while it was open.", state.refused
        )


def register(pool: PostgresPool, registry: CollectorRegistry) -> None:
    registry.register(_Connections(pool))
