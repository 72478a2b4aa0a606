"""What the verbs share: finding the settings, and printing."""

import argparse
import os
import sys
from pathlib import Path
from typing import TypeAlias

from nova import secrets
from nova.settings import Loaded, Misconfigured, load

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001  # argparse has no public name for it

CONFIG = Path("nova.toml")
"""Read if it is there; a file that was named must be."""
FLAGS = {"data": "data", "database": "database", "host": "http.host", "port": "http.port"}


def add(verb: argparse.ArgumentParser) -> None:
    """Add the flags by which settings are given."""
    verb.add_argument("--config", type=Path, default=CONFIG, help="settings file (nova.toml)")
    verb.add_argument("--data", help="folder of the database and the generated secrets")
    verb.add_argument("--database", help="'embedded:' or a postgresql:// address")


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
    return load([data / secrets.FILE, args.config], os.environ, flags)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
