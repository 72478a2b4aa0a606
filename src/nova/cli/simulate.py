"""`nova simulate` and `nova vapid`: push and mail without the providers."""

import argparse
import asyncio
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

from nova.cli.options import Verbs, say

MISSING = "{} is not installed; run: pip install 'nova-social[{}]'"


def add(verbs: Verbs) -> None:
    simulate = verbs.add_parser("simulate", help="run a stand-in for a provider of push or mail")
    simulate.add_argument("which", choices=["fcm", "apns", "webpush", "smtp"])
    simulate.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    simulate.add_argument("--port", type=int, default=0, help="port to listen on (a free one)")
    simulate.add_argument(
        "--folder",
        type=Path,
        help="where its credentials and the settings to reach it are written "
        "(nova-simulated/ and its name)",
    )
    simulate.set_defaults(run=_simulate)
    vapid = verbs.add_parser("vapid", help="make a key for Web Push")
    vapid.set_defaults(run=_vapid)


def _imported(name: str, extra: str) -> Any:
    """Return a module, or say which extra it needs."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        sys.stderr.write(f"nova: {MISSING.format((missing.name or '').partition('.')[0], extra)}\n")
        return None


def _simulate(args: argparse.Namespace) -> int:
    running = _imported("nova.simulators.running", "simulate")
    if running is None:
        return 1

    folder = args.folder or Path("nova-simulated") / args.which

    async def run() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await running.run(args.which, args.host, args.port, folder, say)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except asyncio.CancelledError:
        pass
    except running.FolderTaken as taken:
        sys.stderr.write(f"nova simulate: {taken}\n")
        return 1
    except OSError as wrong:
        sys.stderr.write(f"nova simulate: cannot listen on {args.host}:{args.port}: {wrong}\n")
        return 1
    return 0


def _vapid(_args: argparse.Namespace) -> int:
    vapid = _imported("nova.adapters.webpush.vapid", "push")
    if vapid is None:
        return 1
    private, public = vapid.generate()
    say(f'[webpush]\nprivate_key = "{private}"\n\n# Browsers subscribe with this key: {public}')
    return 0
