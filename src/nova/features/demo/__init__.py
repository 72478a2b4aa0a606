"""The demo's stand-in for a host app: two people, and a backend that acts for one of them."""

from nova.feature import Feature
from nova.features.demo.api import routes
from nova.features.demo.service import Demo, DemoPerson, HostApp

__all__ = ["Demo", "DemoPerson", "HostApp", "plug"]


def plug(demo: Demo) -> Feature:
    return Feature(name="demo", routes=routes(demo))
