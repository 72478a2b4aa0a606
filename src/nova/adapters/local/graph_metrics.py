"""How much the graph index in this process holds, read when the metrics are asked for."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nova.adapters.local.graph import LocalGraph


class Size(Collector):
    """Reads what a graph index holds."""

    def __init__(self, index: LocalGraph) -> None:
        self._index = index

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "nova_graph_index_follows", "Follows in the graph index.", self._index.edges
        )
        yield GaugeMetricFamily(
            "nova_graph_index_bytes", "Memory of the graph index.", self._index.memory
        )
        yield GaugeMetricFamily(
            "nova_graph_index_full",
            "1 when it would take more than graph_memory_mb; then the database answers.",
            self._index.is_full,
        )
