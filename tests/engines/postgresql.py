"""PostgreSQL as the distribution ships it."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engines.engine import Engine, Missing, end, free_port, runner

STARTING_S = 300.0
RUN_AS = "postgres"


@contextmanager
def postgresql(folder: Path) -> Iterator[Engine]:
    """Run the newest PostgreSQL of the distribution on a free port of the loopback address."""
    programs = _programs()
    user = runner(RUN_AS)
    folder.mkdir()
    if user is not None:
        shutil.chown(folder, user)
    port = free_port()
    subprocess.run(
        [programs / "initdb", "-D", folder, "-U", "nova", "--auth=trust", "-E", "UTF8", "-N"],
        user=user,
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )
    server = subprocess.Popen(
        [
            *(programs / "postgres", "-D", folder, "-p", str(port), "-k", folder),
            *("-h", "127.0.0.1", "-c", "max_connections=300", "-c", "shared_buffers=256MB"),
        ],
        user=user,
        stderr=(folder.parent / "postgresql.log").open("w"),
        cwd=folder,
    )
    try:
        _wait(programs, port)
        yield Engine(
            f"postgresql://nova@127.0.0.1:{port}/postgres",
            subprocess.check_output([programs / "postgres", "-V"], text=True).strip(),
        )
    finally:
        server.send_signal(signal.SIGINT)
        end(server)


def _programs() -> Path:
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4])
    )
    if not found:
        raise Missing("install the package postgresql")
    return found[-1].parent


def _wait(programs: Path, port: int) -> None:
    deadline = time.monotonic() + STARTING_S
    while subprocess.run(
        [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)], check=False
    ).returncode:
        if time.monotonic() > deadline:
            raise TimeoutError("PostgreSQL did not start; see its log")
        time.sleep(0.1)
