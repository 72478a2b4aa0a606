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
        self._line = -1
        self.untold = 0
        """Lines that were refused beyond those that were named."""

    @property
    def has_read(self) -> bool:
        return self._line >= 0

    def __call__(self, at: Progress, problems: Problems) -> None:
        told = problems[: MOST_TOLD - self._told]
        for line, why in told:
            sys.stderr.write(f"line {line}: {why}\n")
        self._told += len(told)
        self.untold += len(problems) - len(told)
        if at.line > self._line:  # and not once more at the file's end
            took = perf_counter() - self._start
            sys.stderr.write(f"{at.line:,} lines, {at.added:,} edges added, {took:.1f} s\n")
        self._line = at.line
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
    say(f"Edges added: {done.added}, known before: {done.known}, lines refused: {done.refused}.")
    if done.refused and teller.has_read:
        say(_advice(done, teller.untold))
    return 1 if done.refused else 0


def _advice(done: Progress, untold: int) -> str:
    """Return what to do about lines that were refused."""
    others = f"{untold} more than those above were refused. " if untold else ""
    if done.added or done.known:
        return (
            f"{others}Mend them and import the file again: what is known is not added twice. "
            "People have to be there first (POST /v1/users/bulk); if only they were missing, add "
            "--again."
        )
    return (
        f"{others}A file whose name ends in .csv holds follower,followee; any other holds lines of "
        '{"follower": "ada", "followee": "ben"}. People have to be there first (POST '
        "/v1/users/bulk); once they are, add --again."
    )
