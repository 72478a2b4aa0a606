"""What the verbs share: their common options, and loading the settings."""

import argparse
import os
import sys
from logging import WARNING
from pathlib import Path

from nova import secrets
from nova.settings import Loaded, Misconfigured, load
from nova.web import logging

CONFIG = Path("nova.toml")
"""Read if it is there; a file that was named must be."""
FLAGS = {
    "data": "data",
    "database": "database",
    "host": "http.host",
    "port": "http.port",
    "workers": "workers",
}
LAST_PORT = 65_535


def add(verb: argparse.ArgumentParser) -> None:
    """Add the options by which settings are given."""
    verb.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="settings file (nova.toml)"
    )
    verb.add_argument(
        "--data", metavar="FOLDER", help="folder of the database and the generated secrets"
    )
    verb.add_argument("--database", metavar="URL", help="'embedded:' or a postgresql:// address")


def add_json(verb: argparse.ArgumentParser) -> None:
    """Add `--json`, as every verb has it that prints a result."""
    verb.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def port(text: str) -> int:
    """Read the value of an option that is a port."""
    if not text.isascii() or not text.isdecimal() or int(text[:6]) > LAST_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {LAST_PORT}, not {text!r}")
    return int(text)


def settings(args: argparse.Namespace, **given: object) -> Loaded:
    """Load the settings, with the secrets that the first start generated."""
    flags = {
        dotted: value
        for name, dotted in FLAGS.items()
        if (value := getattr(args, name, None)) is not None
    } | given
    if args.config != CONFIG and not args.config.exists():
        raise Misconfigured([f"{args.config}: there is no such file; 'nova init' writes one"])
    data = load([args.config], os.environ, flags).settings.data
    loaded = load([data / secrets.FILE, args.config], os.environ, flags)
    logging.configure(level=WARNING, form=loaded.settings.log_format)
    return loaded


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """Write a line for people to the error output."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
