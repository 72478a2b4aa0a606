"""The command line: `nova <verb>`."""

import argparse
import os
import sys
from collections.abc import Sequence
from logging import WARNING

from nova import __version__
from nova.app.starting import CannotStart
from nova.cli import admin, bring, configure, doctor, measure, operate, rebuild, serve, simulate
from nova.kernel.errors import Refused
from nova.settings import Misconfigured
from nova.web import logging

EX_USAGE = 2
"""Exit status for arguments that are not understood, as argparse has it."""


EX_CONFIG = 78
"""Exit status for a configuration that cannot be used (sysexits.h)."""


EX_PIPE = 141
"""Exit status of what SIGPIPE ended, as shells tell it."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="nova", description="A self-hosted, real-time social backend over one event log."
    )
    top.add_argument("--version", action="version", version=f"nova {__version__}")
    top.set_defaults(run=lambda _: _helped(top))
    verbs = top.add_subparsers(title="verbs", metavar="<verb>")
    for room in (serve, configure, doctor, operate, rebuild, admin, bring, simulate, measure):
        room.add(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the process's exit status."""
    args = parser().parse_args(arguments)
    logging.configure(level=WARNING)  # to standard error: machines may read what is printed
    try:
        status: int = args.run(args)
    except Misconfigured as wrong:
        for problem in wrong.problems:
            _complain(problem)
        return EX_CONFIG
    except CannotStart as wrong:
        _complain(str(wrong))
        return 1
    except Refused as refused:
        _complain(f"{refused.detail} {refused.hint or ''}".rstrip())
        return 1
    except OSError as wrong:
        return _failed(wrong)
    except KeyboardInterrupt:
        return 130
    return status


def _helped(top: argparse.ArgumentParser) -> int:
    """Show whoever names no verb what there is."""
    top.print_help(sys.stderr)
    return EX_USAGE


def _failed(wrong: OSError) -> int:
    if isinstance(wrong, BrokenPipeError):  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_PIPE
    if wrong.filename is None:
        raise wrong
    _complain(f"{wrong.filename}: {wrong.strerror}")
    return 1


def _complain(text: str) -> None:
    sys.stderr.write(f"nova: {text}\n")
