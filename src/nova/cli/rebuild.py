"""`nova rebuild`: filling an index from the database again."""

import argparse
import asyncio
import sys
from time import perf_counter

from nova import app
from nova.app import graph as app_graph
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options


def add(verbs: Verbs) -> None:
    rebuild = verbs.add_parser("rebuild", help="fill an index from the database again")
    rebuild.add_argument("what", choices=["graph"])
    add_options(rebuild)
    rebuild.set_defaults(run=_rebuild)


def _rebuild(args: argparse.Namespace) -> int:
    chosen = settings(args).settings

    async def run() -> bool:
        async with app.visited(chosen) as house:
            if house.outside is not None:
                sys.stderr.write("Filling the graph index; the database answers meanwhile.\n")
            return await app_graph.rebuild(house.backbone, house.outside)

    start = perf_counter()
    if asyncio.run(run()):
        say(f"The graph index was filled in {perf_counter() - start:.1f} s.")
    else:
        say("Every running server fills its graph index now; others do when they start.")
    return 0
