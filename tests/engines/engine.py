"""What the engines have in common."""

import os
import pwd
import socket
import subprocess
from typing import NamedTuple

ENDING_S = 30.0


class Missing(Exception):
    """The engine cannot be run here; the message says what to install."""


class Engine(NamedTuple):
    """A running engine."""

    url: str
    version: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def runner(name: str) -> str | None:
    """Whom to run as, since most engines refuse to be root; None is who runs this."""
    if os.getuid() != 0:
        return None
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        raise Missing(f"there is no user {name!r}") from None


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that was asked to, by force if it does not."""
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
