"""What operators ask of a running process: its consumers with their lag, and its engines."""

from nova.feature import Feature
from nova.features.operations.api import Engines, Log, routes

__all__ = ["Engines", "Log", "plug"]


def plug(log: Log, engines: Engines) -> Feature:
    return Feature(name="operations", routes=routes(log, engines))
