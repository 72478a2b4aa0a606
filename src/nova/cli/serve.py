"""`nova serve` and `nova demo`: running it."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop

from nova import app, secrets
from nova.app import CannotStart
from nova.cli.arguments import Verbs
from nova.cli.options import CONFIG, port, say, settings
from nova.cli.options import add as add_options
from nova.settings import Settings
from nova.web import logging

MARK = "made-by-nova-demo"
"""An empty file in a data folder that the demo made."""

_KEPT = "Its data stays in {folder}, and the next start with it finds the same people."
_DELETED = "Its data is deleted then; 'nova demo --data FOLDER' keeps it for the next start."
GREETING = """\
The demo is running. Open this page in a browser:

    {address}/

Next: click Like, and watch Ben's bell, phone and mail. The page says what to try after that.
The console for operators is {address}/console; it asks for the key that this prints:

    cat {key}

Ctrl-C ends the demo. {end}"""


def add(verbs: Verbs) -> None:
    serve = verbs.add_parser("serve", help="run the server")
    demo = verbs.add_parser("demo", help="run with throwaway data, two users and a page to click")
    add_options(serve)
    demo.add_argument(
        "--data", help="folder to keep the demo's data in; without it, data is deleted"
    )
    for verb in (serve, demo):
        verb.add_argument("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1)")
        verb.add_argument(
            "--port", type=port, metavar="N", help="port to listen on (8000); 0 takes a free one"
        )
    serve.add_argument(
        "--workers", type=int, metavar="N", help="processes that serve the address (1)"
    )
    serve.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    serve.set_defaults(run=_serve)
    demo.set_defaults(run=_demo)


def _serve(args: argparse.Namespace) -> int:
    secrets.ensure(settings(args).settings.data)
    chosen = settings(args).settings

    def announce(address: str) -> None:
        say(f"Nova listens on {address}")

    if args.worker:
        listener, link, shared = args.worker
        _run(chosen, app.work(chosen, int(listener), int(link), Path(shared)))
    elif chosen.workers > 1:
        _run(chosen, app.supervise(chosen, _worker_command(args), announce=announce))
    else:
        _run(chosen, app.serve(chosen, announce=announce))
    return 0


def _worker_command(args: argparse.Namespace) -> list[str]:
    """Return the command that starts a worker with the same settings."""
    given = ((f"--{name}", getattr(args, name)) for name in ("data", "database", "host"))
    flags = [each for name, value in given if value is not None for each in (name, value)]
    config = ["--config", str(args.config)] if args.config != CONFIG else []
    return [sys.executable, "-m", "nova", "serve", *config, *flags, "--worker"]


def _demo(args: argparse.Namespace) -> int:
    say("Starting the demo …")
    with _folder(args.data) as folder:
        end = _KEPT.format(folder=folder) if args.data else _DELETED
        args.data = str(folder)
        args.config = secrets.ensure(folder)  # and not a nova.toml that lies about
        given = {"database": "embedded:", "deliveries.release_spread_s": 0.0, "workers": 1}
        chosen, origins = settings(args, **given)
        any_port = origins["http.port"] == "default"

        def announce(address: str) -> None:
            _, _, port = address.rpartition(":")
            if any_port and int(port) != chosen.http.port:
                say(f"Port {chosen.http.port} is taken, so the demo listens on port {port}.")
            say(GREETING.format(address=address, key=secrets.key_file(chosen.data), end=end))

        _run(chosen, app.serve(chosen, demo=True, any_port=any_port, announce=announce))
    say("The demo has ended.")
    return 0


@contextmanager
def _folder(named: str | None) -> Iterator[Path]:
    """Yield the demo's data folder: a named one is kept, another is deleted at the end."""
    if named is None:
        with tempfile.TemporaryDirectory(prefix="nova-demo-") as made:
            yield Path(made) / "data"
        return
    folder = Path(named)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise CannotStart(
            f"{folder} was not made by the demo, which gives its people's tokens to anybody. "
            "Name a new folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()
    yield folder


def _run(chosen: Settings, main: Coroutine[None, None, None]) -> None:
    logging.configure(form=chosen.log_format)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)
