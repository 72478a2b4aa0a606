"""What the hub counts, read when the metrics are asked for: counting costs nothing in between."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nova.web.realtime.hub import Hub


class Sockets(Collector):
    """Reads what a hub counts."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        hub = self._hub
        yield GaugeMetricFamily("nova_sockets", "Open sockets.", hub.sessions)
        yield GaugeMetricFamily("nova_channels", "Channels with a subscriber.", hub.followed)
        yield CounterMetricFamily(
            "nova_socket_commands_failed", "Commands that met a bug.", hub.failures
        )
        closed = CounterMetricFamily(
            "nova_sockets_closed", "Sockets closed by the server, by code.", labels=["code"]
        )
        for code, number in hub.disconnects.items():
            closed.add_metric([str(code)], number)
        yield closed
        refused = CounterMetricFamily(
            "nova_sockets_refused", "Sockets that were one too many, by whose.", labels=["whose"]
        )
        for whose, number in hub.refused.items():
            refused.add_metric([whose], number)
        yield refused
