"""One PostgreSQL for a whole test run, and a fresh migrated database for whoever asks."""

import fcntl
import hashlib
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg

import nova
from nova.adapters.postgres.embedded import embedded
from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.backbone.migrations import Room, migrate, migrations, rooms
from support.waiting import SOON_S

PACKAGE = Path(nova.__file__).parent
KEEPER = Path(__file__).with_name("postgres_keeper.py")
# A crash of the machine ends the tests anyway.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def of_database(dsn: str, name: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


@contextmanager
def running_server(shared: Path) -> Iterator[str]:
    """Yield the address of the run's server; the last process to leave takes it down.

    `shared` is a folder that all processes of the run know. NOVA_TEST_DATABASE names a
    server to use instead; the user in it must be allowed to create databases.
    """
    if given := os.environ.get("NOVA_TEST_DATABASE"):
        yield given
        return
    with locked(shared / "postgres.lock"):
        interest = _interest(shared) or _started(shared)
    try:
        yield (shared / "postgres.dsn").read_text()
    finally:
        os.close(interest)


@asynccontextmanager
async def server_apart() -> AsyncIterator[str]:
    """Yield a migrated database on a server of its own, whose processes may be stopped.

    While a process of a server is stopped, nobody can create or drop a database there.
    """
    with tempfile.TemporaryDirectory(prefix="nova-tests-") as data:
        async with embedded(Path(data), settings=CARELESS) as server:
            async with open_pool(server.dsn, size=1) as pool:
                await migrate(pool, rooms(PACKAGE))
            yield server.dsn


@asynccontextmanager
async def patient_pool(dsn: str, **knobs: Any) -> AsyncIterator[PostgresPool]:
    """Yield a pool that calls no server hung, and refuses nobody, since the machine is busy.

    `knobs` are those of `open_pool`, where a test is about one of them.
    """
    patient = dict.fromkeys(("wait_s", "statement_timeout_s", "lock_timeout_s"), SOON_S)
    async with open_pool(dsn, **(patient | knobs)) as pool:
        pool.breaker._judges_from = math.inf
        yield pool


@asynccontextmanager
async def new_database(dsn: str, template: str = "template0") -> AsyncIterator[str]:
    """Yield the address of a new database, dropped afterwards with whoever is connected."""
    name = f"nova_test_{uuid4().hex}"
    await _administer(dsn, f'create database "{name}" template "{template}"')
    try:
        yield of_database(dsn, name)
    finally:
        await _administer(dsn, f'drop database "{name}" with (force)')


async def migrated_template(dsn: str, shared: Path) -> str:
    """Return the name of a database with every migration applied, made once per set of them."""
    found = rooms(PACKAGE)
    name = f"nova_template_{_digest(found)}"
    with locked(shared / "template.lock"):
        connection = await asyncpg.connect(dsn)
        try:
            known = await connection.fetchval("select 1 from pg_database where datname = $1", name)
        finally:
            await connection.close()
        if not known:
            await _make_template(dsn, name, found)
    return name


async def _make_template(dsn: str, name: str, found: Sequence[Room]) -> None:
    unfinished = f"{name}_{uuid4().hex[:8]}"
    await _administer(dsn, f'create database "{unfinished}" template template0')
    async with open_pool(of_database(dsn, unfinished), size=1) as pool:
        await migrate(pool, found)
    await _administer(dsn, f'alter database "{unfinished}" rename to "{name}"')


def _digest(found: Sequence[Room]) -> str:
    every = "".join(f"{each}{each.checksum}" for room in found for each in migrations(room))
    return hashlib.sha256(every.encode()).hexdigest()[:16]


async def _administer(dsn: str, sql: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _interest(shared: Path) -> int | None:
    """Open the pipe that the keeper reads: it goes on as long as anybody has it open."""
    try:
        return os.open(shared / "postgres.fifo", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # there is no pipe yet, or nobody reads it any more
        return None


def _started(shared: Path) -> int:
    fifo = shared / "postgres.fifo"
    if not fifo.exists():
        os.mkfifo(fifo)
    (shared / "postgres.dsn").unlink(missing_ok=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path])}
    keeper = subprocess.Popen(
        [sys.executable, KEEPER, shared], start_new_session=True, env=environment
    )
    deadline = time.monotonic() + SOON_S
    while keeper.poll() is None and time.monotonic() < deadline:
        if (interest := _interest(shared)) is not None:
            keeper.returncode = 0  # it outlives this process, on purpose
            return interest
        time.sleep(0.01)
    raise RuntimeError("the tests' PostgreSQL did not start")
