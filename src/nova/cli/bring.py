"""`nova import`: importing data from files."""

import argparse
import asyncio
from pathlib import Path
from time import perf_counter

from nova import app
from nova.cli.arguments import Misused, Verbs
from nova.cli.options import add as add_options
from nova.cli.options import add_json, settings, warn
from nova.cli.output import show
from nova.features.graph.imports import STRETCH_S, Problems
from nova.features.graph.store_imports import Progress
from nova.kernel.counting import counted

MOST_TOLD = 100
"""Broken lines that are named; the others are counted."""


def add(verbs: Verbs) -> None:
    verb = verbs.add_parser("import", help="import data from a file")
    kinds = verb.add_subparsers(metavar="<what>", required=True)
    edges = kinds.add_parser("edges", help="import who follows whom, from JSON Lines or CSV")
    edges.add_argument(
        "file", type=Path, help='lines of {"follower": …, "followee": …}, or a .csv file of both'
    )
    edges.add_argument(
        "--again", action="store_true", help="import a file again that was imported before"
    )
    add_json(edges)
    add_options(edges)
    edges.set_defaults(run=_edges)


class _Reporter:
    """Prints the progress of an import to the error output."""

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
            warn(f"line {line}: {why}")
        self._told += len(told)
        self.untold += len(problems) - len(told)
        if at.line > self._line:  # and not once more at the file's end
            took = perf_counter() - self._start
            added = f"{counted(at.added, 'edge')} added"
            warn(f"{counted(at.line, 'line')}, {added}, {took:.1f} s")
        self._line = at.line


def _edges(args: argparse.Namespace) -> int:
    chosen = settings(args).settings
    if not args.file.is_file():
        raise Misused("nova import edges", f"there is no file {args.file}")

    reporter = _Reporter()

    async def run() -> Progress:
        async with app.visited(chosen, statement_s=STRETCH_S) as house:
            return await house.edges.run(args.file, reporter, again=args.again)

    done = asyncio.run(run())
    counts = {"added": done.added, "known": done.known, "refused": done.refused}
    show(
        args,
        {**counts, "already_imported": not reporter.has_read},
        lambda: _told(done, reporter),
    )
    return 1 if done.refused else 0


def _told(done: Progress, reporter: _Reporter) -> str:
    says = f"Edges added: {done.added}, known before: {done.known}, lines refused: {done.refused}."
    if not reporter.has_read:
        return (
            "This file was imported before, and was not read now; --again imports it again. The "
            f"result of that time: {says}"
        )
    return f"{says}\n{_advice(done, reporter.untold)}" if done.refused else says


def _advice(done: Progress, untold: int) -> str:
    """Return what to do about lines that were refused."""
    others = f"{counted(untold, 'more line was', 'more lines were')} refused. " if untold else ""
    if done.added or done.known:
        return (
            f"{others}Correct them and import the file again: no edge is added twice. Create "
            "missing users first (POST /v1/users/bulk); if nothing else was wrong, add --again."
        )
    return (
        f"{others}A file whose name ends in .csv holds follower,followee; any other holds lines of "
        '{"follower": "ada", "followee": "ben"}. Create the users first (POST /v1/users/bulk), '
        "then import the file with --again."
    )
