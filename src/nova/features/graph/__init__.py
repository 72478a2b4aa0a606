"""The social graph: who follows, blocks and mutes whom, and who may know whom."""

from collections.abc import Sequence
from pathlib import Path

from prometheus_client.registry import Collector

from nova.feature import ExternalIndex, Feature, Health, Job, Projection, Signal
from nova.features.graph.api import Handlers
from nova.features.graph.events import FACTS, RebuildAsked
from nova.features.graph.faces import Faces
from nova.features.graph.feed import HEARS, Feed, size
from nova.features.graph.imports import EdgeImport
from nova.features.graph.keeping import Keeper
from nova.features.graph.lists import Lists
from nova.features.graph.mirrored import Mirrored
from nova.features.graph.numbers import Numbers
from nova.features.graph.paths import Ways
from nova.features.graph.routes import routes
from nova.features.graph.service import FORGOTTEN, Graph
from nova.features.graph.sights import SIGNAL as FOLLOWEES
from nova.features.graph.sights import Followees, Sights
from nova.features.graph.silences import SIGNAL, Silences
from nova.features.graph.standby import Standby
from nova.features.graph.still_valid import subjects
from nova.features.graph.store_reads import Place
from nova.features.graph.suggestions import Suggester
from nova.web.cursors import Cursors

__all__ = [
    "FOLLOWEES",
    "FORGOTTEN",
    "HEARS",
    "SIGNAL",
    "EdgeImport",
    "Faces",
    "Feed",
    "Followees",
    "Graph",
    "Keeper",
    "Lists",
    "Mirrored",
    "Numbers",
    "RebuildAsked",
    "Sights",
    "Silences",
    "Standby",
    "Suggester",
    "Ways",
    "cursors",
    "plug",
    "size",
    "subjects",
]


def cursors(secret: bytes) -> Cursors[Place]:
    return Cursors(secret, "graph", Place)


def plug(
    graph: Graph,
    lists: Lists,
    suggester: Suggester,
    *,
    projections: Sequence[Projection] = (),
    indexes: Sequence[ExternalIndex] = (),
    health: Sequence[Health] = (),
    metrics: Sequence[Collector] = (),
) -> Feature:
    """Return the feature, with its index: in the memory of each process, or outside of them."""
    return Feature(
        name="graph",
        routes=routes(Handlers(graph, lists, suggester)),
        facts=FACTS,
        projections=projections,
        indexes=indexes,
        signals=(
            Signal(SIGNAL, graph.silences.forget),
            Signal(FOLLOWEES, graph.followees.forget),
            Signal("user", suggester.faces.forget),
            Signal(FORGOTTEN, suggester.faces.forget_number),
            Signal(FORGOTTEN, suggester.numbers.forget),
        ),
        health=health,
        metrics=metrics,
        jobs=(Job("graph.forget_expired", 3_600.0, graph.forget_expired),),
        schema=Path(__file__).with_name("schema"),
        lighten=graph.lighten,
        erase=graph.erase,
        export=graph.export,
    )
