"""`nova bench`: the published numbers, measured again."""

import argparse
import asyncio
import sys

import msgspec
import uvloop

from nova.bench import notifications
from nova.cli.options import Verbs, say


def add(verbs: Verbs) -> None:
    bench = verbs.add_parser("bench", help="measure the published numbers on this machine")
    bench.add_argument("what", choices=["notifications"])
    bench.add_argument("--json", action="store_true", help="print JSON instead of a table")
    bench.add_argument(
        "--quick", action="store_true", help="a look in half a minute, not for publication"
    )
    bench.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    plan = notifications.QUICK if args.quick else notifications.Plan()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(notifications.run(plan, _progress))
    if args.json:
        say(msgspec.json.format(msgspec.json.encode(result)).decode())
        return 0
    for name, value in result.items():
        say(f"{name:<36}{value:>14,.2f}")
    return 0


def _progress(what: str) -> None:
    sys.stderr.write(f"measuring {what} …\n")
