"""`nova import`: coming to Nova with what there is."""

import argparse
import asyncio
import sys
from pathlib import Path
from time import perf_counter

from nova import app
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.features.graph.imports import STRETCH_S, Problems
from nova.features.graph.store_imports import Progress

MOST_TOLD = 100
"""Broken lines that are named; the others are counted."""


def add(verbs: Verbs) -> None:
    verb = verbs.add_parser("import", help="bring data along from elsewhere")
    kinds = verb.add_subparsers(metavar="<what>", required=True)
    edges = kinds.add_parser("edges", help="import who follows whom, from JSON Lines or CSV")
    edges.add_argument(
        "file", type=Path, help='lines of {"follower": …, "followee": …}, or a .csv of both'
    )
    edges.add_argument(
        "--again", action="store_true", help="read a file once more that was imported before"
    )
    add_options(edges)
    edges.set_defaults(run=_edges)


class _Teller:
    """Says how it goes, on the error output."""

    def __init__(self) -> None:
        self._start = perf_counter()
        self._told = 0
        self.has_read = False

    def __call__(self, at: Progress, problems: Problems) -> None:
        for line, why in problems[: max(0, MOST_TOLD - self._told)]:
            sys.stderr.write(f"line {line}: {why}\n")
        self._told += len(problems)
        self.has_read = True
        took = perf_counter() - self._start
        sys.stderr.write(f"{at.line:,} lines, {at.added:,} edges added, {took:.1f} s\n")
        sys.stderr.flush()


def _edges(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    if not args.file.is_file():
        sys.stderr.write(f"nova import: there is no file {args.file}\n")
        return 2

    teller = _Teller()

    async def run() -> Progress:
        async with app.visited(chosen, statement_s=STRETCH_S) as house:
            return await house.edges.run(args.file, teller, again=args.again)

    done = asyncio.run(run())
    if not teller.has_read:
        say("This file was imported before, and is not read now; --again reads it once more. Then:")
    say(f"{done.added} edges added, {done.known} known before, {done.refused} lines refused.")
    return 1 if done.refused else 0
