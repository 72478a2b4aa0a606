"""`nova bench`: the published numbers, measured again."""

import argparse
import asyncio
import sys
from collections.abc import Coroutine

import msgspec
import uvloop

from nova.bench import deliveries, notifications, transports
from nova.cli.options import Verbs, say


def add(verbs: Verbs) -> None:
    bench = verbs.add_parser("bench", help="measure the published numbers on this machine")
    bench.add_argument("what", choices=["notifications", "channels"])
    bench.add_argument("--json", action="store_true", help="print JSON instead of a table")
    bench.add_argument(
        "--quick", action="store_true", help="a look in half a minute, not for publication"
    )
    bench.set_defaults(run=_bench)


def _bench(args: argparse.Namespace) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(_RUNS[args.what](args.quick))
    if args.json:
        say(msgspec.json.format(msgspec.json.encode(result)).decode())
        return 0
    for name, value in result.items():
        say(f"{name:<36}{value:>14,.2f}")
    return 0


def _notifications(quick: bool) -> Coroutine[None, None, dict[str, float]]:  # noqa: FBT001  # a flag of the command line
    plan = notifications.QUICK if quick else notifications.Plan()
    return notifications.run(plan, _progress)


def _channels(quick: bool) -> Coroutine[None, None, dict[str, float]]:  # noqa: FBT001  # likewise
    return _all_channels(quick)


async def _all_channels(quick: bool) -> dict[str, float]:  # noqa: FBT001  # likewise
    """Measure the carriers alone, then the decisions alone."""
    costs = await transports.run(transports.QUICK if quick else transports.Plan(), _progress)
    decided = await deliveries.run(deliveries.QUICK if quick else deliveries.Plan(), _progress)
    return costs | decided


_RUNS = {"notifications": _notifications, "channels": _channels}


def _progress(what: str) -> None:
    sys.stderr.write(f"measuring {what} …\n")
