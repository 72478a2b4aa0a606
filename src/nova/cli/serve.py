"""`nova serve` and `nova demo`: running it."""

import argparse
import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path

import uvloop

from nova import app, secrets
from nova.cli.options import Verbs, say, settings
from nova.cli.options import add as add_options
from nova.web import logging


def add(verbs: Verbs) -> None:
    serve = verbs.add_parser("serve", help="run the server")
    demo = verbs.add_parser("demo", help="run with throwaway data, two users and a page to click")
    add_options(serve)
    for verb in (serve, demo):
        verb.add_argument("--host", help="address to listen on")
        verb.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    serve.set_defaults(run=_serve)
    demo.set_defaults(run=_demo)


def _serve(args: argparse.Namespace) -> int:
    secrets.ensure(settings(args).settings.data)
    chosen = settings(args).settings
    _run(app.serve(chosen, announce=lambda address: say(f"Nova listens on {address}")))
    return 0


def _demo(args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="nova-demo-") as folder:
        args.data = str(Path(folder) / "data")
        args.config = secrets.ensure(Path(args.data))  # and not a nova.toml that lies about
        chosen, origins = settings(args, **{"deliveries.release_spread_s": 0.0})
        any_port = origins["http.port"] == "default"

        def announce(address: str) -> None:
            say(f"Open {address}/ in a browser; Ctrl-C ends it.")
            say(f"The console is at {address}/console; sign in with the key that this prints:")
            say(f"    cat {secrets.key_file(chosen.data)}")

        _run(app.serve(chosen, demo=True, any_port=any_port, announce=announce))
    return 0


def _run(main: Coroutine[None, None, None]) -> None:
    logging.configure()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
