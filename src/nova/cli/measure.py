"""`nova bench`: the published numbers, measured again."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from nova.bench import deliveries, graph, kills, notifications, ranking, transports
from nova.bench.attack import runner as attack
from nova.cli.options import Verbs, say


def add(verbs: Verbs) -> None:
    bench = verbs.add_parser("bench", help="measure the published numbers on this machine")
    bench.add_argument("what", choices=["notifications", "graph", "channels", "attack"])
    bench.add_argument("--json", action="store_true", help="print JSON instead of a table")
    bench.add_argument("--quick", action="store_true", help="a short look, not for publication")
    bench.add_argument(
        "--edges",
        type=Path,
        metavar="FILE",
        help="graph: how good suggestions are, on this list of friendships, two ids a line",
    )
    bench.add_argument(
        "--neo4j",
        metavar="URL",
        help="graph: ask a Neo4j, too; what Nova has in it is emptied",
    )
    bench.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    if args.edges is not None:
        return _ranking(args)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _print(runner.run(_chosen(args)), as_json=args.json)
    return 0


def _chosen(args: argparse.Namespace) -> Coroutine[Any, Any, Mapping[str, Any]]:
    if args.what == "graph":
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
        sys.stderr.write("nova bench: --edges belongs to `nova bench graph`\n")
        return 2
    try:
        _print(asyncio.run(ranking.measure(args.edges)), as_json=args.json)
    except (OSError, UnicodeDecodeError, ranking.BadEdges) as wrong:
        sys.stderr.write(f"nova bench: {wrong}\n")
        return 2
    return 0


def _print(result: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        say(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    for name, value in result.items():
        inner = value.items() if isinstance(value, Mapping) else ()
        for each, number in [(f"{name}.{one}", two) for one, two in inner] or [(name, value)]:
            say(f"{each:<36}{number:>14,.2f}")


def _progress(what: str) -> None:
    sys.stderr.write(f"measuring {what} …\n")
