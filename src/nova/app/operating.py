"""What an operator asks a running process."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from nova.backbone.backbone import Backbone
from nova.backbone.statistics import Statistics
from nova.web.actors import Rule
from nova.web.routes import Call, Route


class Consumers(Struct, frozen=True):
    """The consumers of the event log, as the process that answered sees them."""

    data: list[Statistics]


def routes(backbone: Backbone) -> Sequence[Route]:
    async def consumers(_call: Call[Any, Any]) -> Consumers:
        return Consumers(backbone.statistics())

    return [
        Route(
            method="GET",
            path="/v1/consumers",
            rule=Rule.SERVER,
            handler=consumers,
            returns=Consumers,
            summary="See how the log's consumers keep up: totals, last batch, lag in seconds",
        )
    ]
