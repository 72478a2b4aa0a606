"""`nova rebuild`: filling an index from the database again."""

import argparse
import asyncio
from time import perf_counter

from nova import app
from nova.app import graph as app_graph
from nova.cli.arguments import Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings, warn
from nova.cli.output import show


def add(verbs: Verbs) -> None:
    rebuild = verbs.add_parser("rebuild", help="fill an index from the database again")
    rebuild.add_argument("what", choices=["graph"], help="which index")
    add_json(rebuild)
    add_options(rebuild)
    rebuild.set_defaults(run=_rebuild)


def _rebuild(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> bool:
        async with app.visited(chosen) as house:
            if house.outside is not None:
                warn("Filling the graph index; the database answers meanwhile.")
            return await app_graph.rebuild(house.backbone, house.outside)

    start = perf_counter()
    is_filled = asyncio.run(run())
    took = perf_counter() - start
    show(
        args,
        {"index": "graph", "filled": is_filled, "seconds": round(took, 3)},
        lambda: (
            f"The graph index was filled in {took:.1f} s."
            if is_filled
            else "Every running server fills its graph index now; others do so when they start."
        ),
    )
    return 0
