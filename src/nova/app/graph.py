"""The composition root's part about the graph: its index in each process, or in Neo4j for all."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import CollectorRegistry

from nova.adapters.local import graph_metrics
from nova.adapters.local.graph import MB, LocalGraph, expected
from nova.adapters.local.graph_file import GraphFile
from nova.app.starting import EMBEDDED, CannotStart
from nova.backbone.backbone import Backbone
from nova.backbone.mirrors import here
from nova.feature import Feature
from nova.features import graph
from nova.features.accounts import People
from nova.features.graph import (
    Faces,
    Feed,
    Graph,
    Keeper,
    Lists,
    Mirrored,
    Numbers,
    Standby,
    Suggester,
    Ways,
)
from nova.kernel.clock import Clock
from nova.ports.database import Queries
from nova.ports.graph import GraphUnavailable, KeptGraphIndex
from nova.settings import Settings
from nova.web.probes import Ping

CONSUMER = "graph-index"
"""Its name in the log's metrics."""


@asynccontextmanager
async def outside(settings: Settings) -> AsyncIterator[KeptGraphIndex | None]:
    """Open the graph index that the settings name, if it is not in this process; no call yet."""
    if settings.graph == EMBEDDED:
        yield None
        return
    try:
        opened = importlib.import_module("nova.adapters.neo4j.graph").open_graph(settings.graph)
    except ModuleNotFoundError as missing:
        raise CannotStart(
            f"The setting 'graph' names Neo4j, and the package {missing.name!r} is not installed. "
            "Install nova-social[neo4j]."
        ) from missing
    async with AsyncExitStack() as stack:
        try:
            index = await stack.enter_async_context(opened)
        except ValueError as wrong:
            raise CannotStart(f"The setting 'graph' is no address of a Neo4j: {wrong}.") from wrong
        yield index


async def reached(index: KeptGraphIndex) -> None:
    """Never begin without an engine that was asked for."""
    try:
        await index.ping()
    except GraphUnavailable as reason:
        raise CannotStart(
            f"{reason.detail} Check the setting 'graph', and that the server runs."
        ) from reason


def feature(
    settings: Settings,
    outside: KeptGraphIndex | None,
    backbone: Backbone,
    people: People,
    relations: Graph,
    *,
    clock: Clock,
    registry: CollectorRegistry,
) -> tuple[Feature, Ping]:
    """Put the graph together, with its index in this process or outside of it, and its ping."""
    db = backbone.db
    if outside is None:
        walks, ping = _index(settings, backbone, clock, registry)
    else:
        backbone.mirror(CONSUMER, graph.HEARS, Mirrored(db, outside))
        walks, ping = Standby(db, outside, registry), outside.ping
    backbone.signals.on(graph.SIGNAL, relations.silences.forget)
    backbone.signals.on(graph.FOLLOWEES, relations.followees.forget)
    cursors = graph.cursors(settings.tokens.signing_secret.encode())
    lists = Lists(db, clock, people, cursors, Ways(db, walks))
    numbers = Numbers(db)
    faces = Faces(numbers, lists)
    backbone.signals.on("user", faces.forget)
    backbone.signals.on(graph.FORGOTTEN, faces.forget_number)
    backbone.signals.on(graph.FORGOTTEN, numbers.forget)
    return graph.plug(relations, lists, Suggester(numbers, walks, faces)), ping


def _index(
    settings: Settings, backbone: Backbone, clock: Clock, registry: CollectorRegistry
) -> tuple[Standby, Ping]:
    """Keep the index in this process, and in a file between restarts."""
    db, index = backbone.db, LocalGraph(settings.graph_memory_mb * MB)
    graph_metrics.register(index, registry)
    feed = Feed(db, index)
    shelf = GraphFile(index, settings.data / "graph.index")
    keeper = Keeper(db, clock, feed, shelf, log_days=settings.log.retention_days)
    backbone.project("graph", graph.HEARS, fill=keeper.begin, hear=feed.hear, keep=keeper.keep)

    async def ping() -> str:
        if not keeper.has_begun:
            raise GraphUnavailable("It is being filled; the database answers.")
        return await index.ping()

    walks = Standby(db, index, registry, is_whole=lambda: keeper.has_begun, catches_up=False)
    return walks, ping


async def needs(db: Queries) -> tuple[int, int]:
    """Return how many follows there are, and about how many MB the index in a process takes."""
    people, follows = await graph.size(db)
    return follows, -(-expected(people, follows) // MB)


async def rebuild(backbone: Backbone, index: KeptGraphIndex | None) -> bool:
    """Fill the graph index anew. False: it is in each process, and they were asked to do so."""
    if index is None:
        async with backbone.db.transaction() as tx:
            await tx.emit(graph.RebuildAsked())
        return False
    end = await here(backbone.db.pool)  # before the fill: what is committed since then comes again
    await Mirrored(backbone.db, index).rebuild(end, force=True)
    return True
