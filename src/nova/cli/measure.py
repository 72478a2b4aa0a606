"""`nova bench`: the published numbers, measured again."""

import argparse
import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import uvloop

from nova.bench import deliveries, kills, notifications, transports
from nova.bench.attack import runner as attack
from nova.cli.arguments import Misused, Verbs
from nova.cli.options import add_json, warn
from nova.cli.output import show


def add(verbs: Verbs) -> None:
    bench = verbs.add_parser("bench", help="measure the published numbers on this machine")
    bench.add_argument(
        "what",
        choices=["notifications", "graph", "channels", "attack"],
        help="which part of Nova is measured",
    )
    add_json(bench)
    bench.add_argument(
        "--quick", action="store_true", help="a short run, too short to publish its numbers"
    )
    bench.add_argument(
        "--edges",
        type=Path,
        metavar="FILE",
        help="graph: measure how good suggestions are on this list of friendships, two ids a line",
    )
    bench.add_argument(
        "--neo4j",
        metavar="URL",
        help="graph: measure a Neo4j server too; Nova's data in it is deleted",
    )
    bench.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    if args.edges is not None:
        return _ranking(args)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_chosen(args))
    show(args, result, lambda: _table(result))
    return 0


def _chosen(args: argparse.Namespace) -> Coroutine[Any, Any, Mapping[str, Any]]:
    if args.what == "graph":
        from nova.bench import graph  # noqa: PLC0415  # numpy: decision 0025

        return graph.run(graph.QUICK if args.quick else graph.Plan(), _progress, args.neo4j)
    if args.what == "channels":
        return _channels(quick=args.quick)
    if args.what == "attack":
        return attack.run(attack.QUICK if args.quick else attack.Plan(), _progress)
    return notifications.run(notifications.QUICK if args.quick else notifications.Plan(), _progress)


async def _channels(*, quick: bool) -> Mapping[str, Any]:
    """Measure the carriers alone, then the decisions alone, then kill servers."""
    costs = await transports.run(transports.QUICK if quick else transports.Plan(), _progress)
    decided = await deliveries.run(deliveries.QUICK if quick else deliveries.Plan(), _progress)
    killed = await kills.run(kills.QUICK if quick else kills.Plan(), _progress)
    return costs | decided | killed


def _ranking(args: argparse.Namespace) -> int:
    if args.what != "graph":
        raise Misused("nova bench", "--edges is an option of 'nova bench graph' only")
    from nova.bench import ranking  # noqa: PLC0415  # numpy: decision 0025

    try:
        result = asyncio.run(ranking.measure(args.edges))
    except (OSError, UnicodeDecodeError, ranking.BadEdges) as wrong:
        raise Misused("nova bench", f"--edges: {wrong}") from wrong
    show(args, result, lambda: _table(result))
    return 0


def _table(result: Mapping[str, Any]) -> str:
    lines = []
    for name, value in result.items():
        inner = value.items() if isinstance(value, Mapping) else ()
        for each, number in [(f"{name}.{one}", two) for one, two in inner] or [(name, value)]:
            lines.append(f"{each:<36}{number:>14,.2f}")
    return "\n".join(lines)


def _progress(what: str) -> None:
    warn(f"measuring {what} …")
