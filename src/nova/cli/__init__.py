"""The command line: `nova <verb>`."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from logging import WARNING

from nova import __version__
from nova.app.starting import CannotStart
from nova.cli import (
    admin,
    bring,
    completion,
    configure,
    doctor,
    measure,
    operate,
    output,
    rebuild,
    serve,
    simulate,
)
from nova.cli.arguments import Misused, Parser
from nova.cli.options import say, warn
from nova.kernel.errors import Refused
from nova.settings import Misconfigured
from nova.web import logging

EX_OK = 0
EX_REFUSED = 1
EX_USAGE = 2
"""As argparse has it."""
EX_CONFIG = 78
"""As sysexits.h has it."""
EX_INTERRUPTED = 130
EX_PIPE = 141
"""As shells report the signals SIGINT and SIGPIPE."""

EXITS: Mapping[int, str] = {
    EX_OK: "done; of a check: everything is well",
    EX_REFUSED: "refused or failed, or a check found something wrong; the reason is printed",
    EX_USAGE: "the command line was not understood",
    EX_CONFIG: "the settings are wrong; every error is printed",
    EX_INTERRUPTED: "interrupted by Ctrl-C",
    EX_PIPE: "the program that read the output ended first",
}
"""What each exit status means."""

SUBCOMMANDS = (
    serve,
    configure,
    doctor,
    operate,
    rebuild,
    admin,
    bring,
    simulate,
    measure,
    completion,
)


def parser() -> Parser:
    exits = "\n".join(f"  {status:<4} {meaning}" for status, meaning in EXITS.items())
    top = Parser(
        prog="nova",
        description="A self-hosted, real-time social backend over one event log.",
        epilog=f"exit status:\n{exits}\n\n'nova <verb> --help' shows the options of a verb.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"nova {__version__}")
    top.set_defaults(run=lambda _: _helped(top), parser=top)
    verbs = top.add_subparsers(title="verbs", metavar="<verb>")
    for subcommand in SUBCOMMANDS:
        subcommand.add(verbs)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return the process's exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        return _run(given)
    except Misused as wrong:
        return _refused(given, EX_USAGE, "usage", str(wrong), f"Run '{wrong.verb} --help'.")
    except (CannotStart, Refused) as wrong:
        code = wrong.code if isinstance(wrong, Refused) else "cannot_start"
        return _refused(given, EX_REFUSED, code, str(wrong), getattr(wrong, "hint", None))
    except Misconfigured as wrong:
        return _misconfigured(given, wrong)
    except OSError as wrong:
        return _failed(given, wrong)
    except KeyboardInterrupt:
        return EX_INTERRUPTED


def _run(given: Sequence[str]) -> int:
    args = parser().parse_args(given)
    logging.configure(level=WARNING)  # to standard error: machines may read what is printed
    status: int = args.run(args)
    return status


def _helped(top: Parser) -> int:
    """Show whoever names no verb what there is."""
    top.print_help(sys.stderr)
    return EX_USAGE


def _misconfigured(given: Sequence[str], wrong: Misconfigured) -> int:
    if "--json" in given:
        say(output.refusal("misconfigured", str(wrong), None, problems=wrong.problems))
    for problem in wrong.problems:
        warn(f"nova: {problem}")
    return EX_CONFIG


def _failed(given: Sequence[str], wrong: OSError) -> int:
    if isinstance(wrong, BrokenPipeError):  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EX_PIPE
    if wrong.filename is None:
        raise wrong
    return _refused(given, EX_REFUSED, "os_error", f"{wrong.filename}: {wrong.strerror}")


def _refused(
    given: Sequence[str], status: int, code: str, detail: str, hint: str | None = None
) -> int:
    """Tell people why on the error output, and programs that want JSON on the output."""
    if "--json" in given:
        say(output.refusal(code, detail, hint))
    warn(f"nova: {detail} {hint or ''}".rstrip())
    return status
