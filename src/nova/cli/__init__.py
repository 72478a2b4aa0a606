"""The command line: `nova <verb>`."""

import argparse
import sys
from collections.abc import Sequence

from nova import __version__
from nova.app import CannotStart
from nova.cli import admin, bring, configure, measure, operate, serve, simulate
from nova.kernel.errors import Refused
from nova.settings import Misconfigured

EX_CONFIG = 78
"""Exit status for a configuration that cannot be used (sysexits.h)."""


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="nova", description="A self-hosted, real-time social backend over one event log."
    )
    top.add_argument("--version", action="version", version=f"nova {__version__}")
    verbs = top.add_subparsers(title="verbs", metavar="<verb>", required=True)
    for room in (serve, configure, operate, admin, bring, simulate, measure):
        room.add(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the process's exit status."""
    args = parser().parse_args(arguments)
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
    except KeyboardInterrupt:
        return 130
    return status


def _complain(text: str) -> None:
    sys.stderr.write(f"nova: {text}\n")
