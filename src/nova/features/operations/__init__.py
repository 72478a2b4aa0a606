"""What operators ask of a running process: what it did lately, its consumers, and its engines."""

from collections.abc import Callable

from nova.feature import Feature, Role, Turn
from nova.features.operations.api import Engines, Log, routes
from nova.features.operations.watch import Watch

__all__ = ["Engines", "Log", "Watch", "plug"]


def plug(log: Log, engines: Callable[[], Engines], watch: Watch) -> Feature:
    return Feature(
        name="operations",
        routes=routes(log, engines, watch),
        turns=(Turn("operations.watch", watch.turn, Role.WEB),),
    )
