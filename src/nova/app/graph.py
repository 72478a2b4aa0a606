"""The composition root's part about the graph: its index in each process, or in Neo4j for all."""

import importlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from nova.adapters.local.graph_size import MB, expected
from nova.app.shared import Shared
from nova.app.starting import EMBEDDED, CannotStart
from nova.backbone.backbone import Backbone
from nova.backbone.external_projections import end_of
from nova.feature import ExternalIndex, Feature, Health, Projection, Role
from nova.features import graph
from nova.features.graph import (
    Faces,
    Feed,
    Keeper,
    Lists,
    Mirrored,
    Numbers,
    Standby,
    Suggester,
    Ways,
)
from nova.ports.database import Queries
from nova.ports.graph import GraphUnavailable, KeptGraphIndex
from nova.settings import Settings

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


def feature(shared: Shared, outside: KeptGraphIndex | None) -> Feature:
    """Put the graph together, with its index in this process or outside of it."""
    db = shared.backbone.db
    keeping: Mapping[str, Any]
    if outside is None:
        walks, keeping = _inside(shared)
    else:
        walks = Standby(db, outside, shared.registry)
        mirrored = Mirrored(db, outside)
        keeping = {
            "indexes": (ExternalIndex(name=CONSUMER, hears=graph.HEARS, keeper=mirrored),),
            "health": (Health("graph", outside.ping),),
        }
    lists = Lists(db, shared.clock, shared.people, graph.cursors(shared.secret), Ways(db, walks))
    numbers = Numbers(db)
    suggester = Suggester(numbers, walks, Faces(numbers, lists))
    return graph.plug(shared.graph, lists, suggester, **keeping)


def _inside(shared: Shared) -> tuple[Standby, Mapping[str, Any]]:
    """Keep the index in this process, and in a file between restarts."""
    from nova.adapters.local import graph_metrics  # noqa: PLC0415  # numpy: decision 0025
    from nova.adapters.local.graph import LocalGraph  # noqa: PLC0415
    from nova.adapters.local.graph_file import GraphFile  # noqa: PLC0415

    settings, db = shared.settings, shared.backbone.db
    index = LocalGraph(settings.graph_memory_mb * MB)
    feed = Feed(db, index)
    shelf = GraphFile(index, settings.data / "graph.index")
    keeper = Keeper(db, shared.clock, feed, shelf, log_days=settings.log.retention_days)

    async def ping() -> str:
        if not keeper.has_begun:
            raise GraphUnavailable("It is being filled; the database answers.")
        return await index.ping()

    projection = Projection(
        name="graph",
        hears=graph.HEARS,
        fill=keeper.begin,
        hear=feed.hear,
        keep=keeper.keep,
        role=Role.WEB,
    )
    walks = Standby(db, index, shared.registry, is_whole=lambda: keeper.has_begun, catches_up=False)
    return walks, {
        "projections": (projection,),
        "health": (Health("graph", ping),),
        "metrics": (graph_metrics.Size(index),),
    }


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
    # Before the fill: what is committed since then comes again.
    end = await end_of(backbone.log, graph.HEARS)
    await Mirrored(backbone.db, index).rebuild(end, force=True)
    return True
