"""`nova simulate` and `nova vapid`: push and mail without the providers."""

import argparse
import asyncio
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

import uvloop

from nova.app.starting import CannotStart
from nova.cli.arguments import Misused, Verbs
from nova.cli.options import add_json, port, say
from nova.cli.output import show

MISSING = "{} is not installed; run: pip install 'nova-social[{}]'"
PROVIDERS = ("fcm", "apns", "webpush", "smtp")
ALL = "all"
FOLDER = Path("nova-simulated")


def add(verbs: Verbs) -> None:
    simulate = verbs.add_parser("simulate", help="run simulators of push and mail providers")
    simulate.add_argument(
        "which", nargs="+", choices=[*PROVIDERS, ALL], help="one or more providers, or all"
    )
    simulate.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address to listen on (127.0.0.1)"
    )
    simulate.add_argument(
        "--port", type=port, default=0, metavar="N", help="port to listen on (a free one)"
    )
    simulate.add_argument(
        "--folder",
        type=Path,
        help="where credentials and settings are written (a folder of its name for each in "
        "nova-simulated/)",
    )
    simulate.set_defaults(run=_simulate)
    vapid = verbs.add_parser("vapid", help="make a key for Web Push")
    add_json(vapid)
    vapid.set_defaults(run=_vapid)


def _imported(name: str, extra: str) -> Any:
    """Return a module. Raises CannotStart, which names the extra that has what it needs."""
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        raise CannotStart(MISSING.format(package, extra)) from missing


def _simulate(args: argparse.Namespace) -> int:
    folders = _folders(args)
    if args.port and len(folders) > 1:
        raise Misused("nova simulate", "--port is for one simulator; several take free ports")
    running = _imported("nova.simulators.running", "simulate")

    async def run() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        beside = None if args.folder else FOLDER
        await running.run(folders, args.host, args.port, say, beside=beside)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
    except asyncio.CancelledError:
        pass
    except running.FolderTaken as taken:
        raise CannotStart(str(taken)) from taken
    except OSError as wrong:
        raise CannotStart(f"Cannot listen on {args.host}:{args.port}: {wrong}") from wrong
    return 0


def _folders(args: argparse.Namespace) -> dict[str, Path]:
    """Return the folder of each simulator: several have one each in the one that is named."""
    names = PROVIDERS if ALL in args.which else tuple(dict.fromkeys(args.which))
    if args.folder and len(names) == 1:
        return {names[0]: args.folder}
    return {name: (args.folder or FOLDER) / name for name in names}


def _vapid(args: argparse.Namespace) -> int:
    vapid = _imported("nova.adapters.webpush.vapid", "push")
    private, public = vapid.generate()
    show(
        args,
        {"private_key": private, "public_key": public},
        lambda: (
            f'[webpush]\nprivate_key = "{private}"\n\n# Browsers subscribe with this key: {public}'
        ),
    )
    return 0
