"""What the log costs: CPU per event of this process and of PostgreSQL.

    NOVA_TEST_DATABASE=postgresql://… python tests/bench/bench_log.py

PostgreSQL's CPU is read from /proc, so it must run on this machine.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from nova.adapters.postgres.pool import open_pool
from nova.backbone.database import Database, Tx
from nova.backbone.groups import Pace
from nova.backbone.outbox import PostgresOutbox
from nova.kernel.events import Heard
from nova.ports.database import Pool
from support.facts import Waved
from support.log import backbone
from support.postgres import migrated_template, new_database, running_server

BATCH, CHANNELS = 100, 1000
TICKS = os.sysconf("SC_CLK_TCK")
DATA = b'{"text":"' + b"x" * 200 + b'"}'


POSTMASTER = 0


def postgres_cpu() -> float:
    """Return the CPU seconds of the server's processes, ended ones included."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == POSTMASTER:
            total += sum(map(int, fields[11:13]))
        elif stat.parent.name == str(POSTMASTER):
            total += sum(map(int, fields[11:15]))
    return total / TICKS


async def find_postmaster(pool: Pool) -> None:
    global POSTMASTER  # noqa: PLW0603  # a script's only state
    backend = await pool.value("select pg_backend_pid()")
    POSTMASTER = parent(backend)


def parent(pid: int) -> int:
    stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    return int(stat.rpartition(")")[2].split()[1])


async def measure(name: str, run: Callable[[], Awaitable[int]], seconds: float = 2.0) -> None:
    """Print the cost of one event; `run` returns how many it handled."""
    for _ in range(10):
        await run()
    count, wall, own, theirs = 0, time.monotonic(), time.process_time(), postgres_cpu()
    while time.monotonic() - wall < seconds:
        count += await run()
    own, theirs = time.process_time() - own, postgres_cpu() - theirs
    wall = time.monotonic() - wall
    sys.stdout.write(
        f"{name:<34} {own / count * 1e6:7.1f} µs server {theirs / count * 1e6:7.1f} µs postgres"
        f" {count / wall:9.0f}/s\n"
    )


async def writing(db: Database) -> None:
    facts = [Waved(who=f"user {n} of some length, as ids are", n=n) for n in range(BATCH)]
    turn = 0

    async def append() -> int:
        async with db.transaction() as tx:
            await tx.emit(*facts)
        return BATCH

    async def publish() -> int:
        nonlocal turn
        turn += BATCH
        async with db.transaction() as tx:
            for n in range(BATCH):
                tx.publish(f"user:019376b2-6e4b-7e52-8a33-{(turn + n) % CHANNELS:012d}", DATA)
        return BATCH

    async def both() -> int:
        async with db.transaction() as tx:
            await tx.emit(*facts)
            for n in range(BATCH):
                tx.publish(f"user:019376b2-6e4b-7e52-8a33-{n:012d}", DATA)
        return BATCH

    async def nothing() -> int:
        async with db.transaction() as tx:
            await tx.run("select pg_current_xact_id()")
        return 1

    await measure("an empty transaction", nothing)
    await measure(f"append, {BATCH} a transaction", append)
    await measure(f"publish, {BATCH} a transaction", publish)
    await measure("append and publish", both)


async def reading(pool: Pool, db: Database, batch: int) -> None:
    total = 40_000
    for start in range(0, total, 1000):
        async with db.transaction() as tx:
            await tx.emit(*(Waved(who=f"user {n}", n=n) for n in range(start, start + 1000)))
    done = asyncio.Event()
    seen = 0

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        nonlocal seen
        seen += len(heard)
        if seen >= total:
            done.set()

    nova = backbone(pool, pace=Pace(batch=batch, most=batch))
    nova.group(f"readers of {batch}", {Waved: hear})
    async with nova.run():
        at, wall, own, theirs = seen, time.monotonic(), time.process_time(), postgres_cpu()
        await done.wait()
        count = seen - at
        own, theirs = time.process_time() - own, postgres_cpu() - theirs
        wall = time.monotonic() - wall
    await db.run("truncate backbone.event_log")
    sys.stdout.write(
        f"{f'read in batches of {batch}':<34} {own / count * 1e6:7.1f} µs server"
        f" {theirs / count * 1e6:7.1f} µs postgres {count / wall:9.0f}/s\n"
    )


async def main(folder: Path) -> None:
    with running_server(folder) as server:
        template = await migrated_template(server, folder)
        async with new_database(server, template) as dsn, open_pool(dsn) as pool:
            db = Database(pool, PostgresOutbox(), wrote=lambda _: None, published=lambda _: None)
            await find_postmaster(pool)
            await writing(db)
            await db.run("truncate backbone.event_log")
            for batch in (100, 300, 1000):
                await reading(pool, db, batch)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(folder)))
