"""The routes of operations: nothing is decided, and nothing is kept."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from nova.backbone.statistics import Statistics
from nova.features.operations.overview import Overview
from nova.features.operations.watch import Watch
from nova.web.actors import Rule
from nova.web.probes import Ping, asked
from nova.web.routes import Call, Route

WITHIN_S = 5.0
"""A provider far away may take longer to answer than what `/readyz` waits for."""


class Log(Protocol):
    """Knows what the consumers of this process did."""

    def statistics(self) -> Sequence[Statistics]: ...


class Engines(Struct, frozen=True):
    """How to ask each engine whether it is there."""

    needed: Mapping[str, Ping]
    """Without these, nothing works."""
    spared: Mapping[str, Ping]
    """Without these, less does."""


class Engine(Struct, frozen=True, kw_only=True):
    """What an engine said when it was asked just now."""

    name: str
    """Which engine it is."""
    needed: bool
    """Whether Nova is unready without it."""
    healthy: bool
    """Whether it answered."""
    says: str
    """What it is, or what is wrong."""


class EngineList(Struct, frozen=True):
    """Every engine, those first that Nova needs."""

    data: list[Engine]
    """One row for each engine."""


class Consumers(Struct, frozen=True):
    """The consumers of the log in the process that answers."""

    data: Sequence[Statistics]
    """One row for each consumer group."""


def routes(log: Log, engines: Callable[[], Engines], watch: Watch) -> Sequence[Route]:
    async def overview(_call: Call[Any, Any]) -> Overview:
        return watch.overview()

    async def consumers(_call: Call[Any, Any]) -> Consumers:
        return Consumers(log.statistics())

    async def examined(_call: Call[Any, Any]) -> EngineList:
        all_ = engines()
        said = await asked({**all_.needed, **all_.spared}, WITHIN_S)
        return EngineList(
            [
                Engine(name=name, needed=name in all_.needed, healthy=healthy, says=says)
                for name, (healthy, says) in said.items()
            ]
        )

    return (
        Route(
            method="GET",
            path="/v1/overview",
            rule=Rule.SERVER,
            handler=overview,
            summary="Tell what happened in the last five minutes: rates, open sockets, percentiles",
            description="Counted in the process that answers; `/metrics` has the same numbers.",
            returns=Overview,
        ),
        Route(
            method="GET",
            path="/v1/consumers",
            rule=Rule.SERVER,
            handler=consumers,
            summary="List the consumers of the log, with what they did and how far they lag",
            description="Counted in the process that answers, since it started.",
            returns=Consumers,
        ),
        Route(
            method="GET",
            path="/v1/engines",
            rule=Rule.SERVER,
            handler=examined,
            summary="Ask every engine whether it is there: databases, push and mail",
            returns=EngineList,
        ),
    )
