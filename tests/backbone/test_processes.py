"""Several processes share a consumer; one that is killed or stopped does no harm."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.cursor_commit import Fenced
from nova.backbone.database import Database, Tx
from nova.backbone.neighbours import Neighbours
from nova.backbone.ownership import Ownership
from nova.kernel.events import Heard, Partition, Position
from nova.ports.channels import Publication, Retention
from nova.ports.database import Pool
from support.facts import Waved
from support.log import backbone, note, notebook, noted, running
from support.waiting import until

TESTS = Path(__file__).parents[1]


@asynccontextmanager
async def reader(dsn: str, *, slow_s: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process that notes waves, but takes its time before it moves the cursor."""
    paths = [str(TESTS), *(path for path in sys.path if path)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.log_reader",
        dsn,
        str(slow_s),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        assert await _line(process) == "ready"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


PARTITIONS = [Partition("waves", n) for n in range(16)]


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout
    async with asyncio.timeout(300):
        return (await process.stdout.readline()).decode().strip()


async def _wave(db: Database, count: int) -> None:
    async with db.transaction() as tx:
        await tx.emit(*(Waved(who=f"user {n}", n=n) for n in range(count)))


async def test_a_process_killed_between_effects_and_cursor_leaves_them_to_happen_once(
    dsn: str, pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with reader(dsn, slow_s=60) as process:
        await _wave(db, 20)
        assert await _line(process) == "noted 20"
        process.kill()
        await process.wait()
        async with running(pool, {Waved: note}, lease_s=3600):
            await until(lambda: noted(db))
            assert [n for _, n in await noted(db)] == list(range(20))


async def test_what_a_stopped_owner_still_writes_is_refused(
    dsn: str, pool: Pool, db: Database
) -> None:
    await notebook(db)
    await _wave(db, 20)
    async with reader(dsn, slow_s=2) as process:
        assert await _line(process) == "noted 20"
        process.send_signal(signal.SIGSTOP)

        async def successor_done() -> bool:
            return len(await noted(db)) == 20

        async with running(pool, {Waved: note}, lease_s=1.0):
            await until(successor_done)
            process.send_signal(signal.SIGCONT)
            # It wakes in the middle of its transaction, and is told (in its log) that it is late.
            outcome = "not told"
            while "partitions_taken_over" not in outcome:
                outcome = await _line(process)
                assert outcome not in {"", "kept"}
            # The next wave shows that both of them go on.
            await _wave(db, 20)

            async def both_waves() -> bool:
                return len(await noted(db)) >= 40

            await until(both_waves)
    assert sorted(n for _, n in await noted(db)) == sorted([*range(20), *range(20)])


async def test_an_old_fence_moves_no_cursor_and_keeps_no_effect(pool: Pool, db: Database) -> None:
    await notebook(db)
    owners = []
    for _ in range(2):
        neighbours = Neighbours(pool, {"readers": ["tests"]}, lease_s=3600)
        await neighbours.beat()
        owner = Ownership(pool, neighbours, "readers", partitions=PARTITIONS, among=PARTITIONS)
        await owner.settle()
        owners.append((neighbours, owner))
        if len(owners) == 1:  # its lease runs out
            await db.run("update backbone.processes set expires = now() - interval '1 s'")
    (_, old), (_, new) = owners
    assert list(old.at) == list(new.at) == PARTITIONS
    to = dict.fromkeys(PARTITIONS, Position("7"))

    async def late(*said: bytes) -> None:
        async with db.transaction() as tx:
            await tx.run("insert into heard (who, n) values ('late', 1)")
            for each in said:
                tx.publish("stream:late", each)
            tx.cursors = old.commit(to)

    with pytest.raises(Fenced):
        await late()
    with pytest.raises(Fenced):
        await late(b"1")
    assert await noted(db) == []
    assert await db.value("select count(*) from backbone.channels") == 0
    async with db.transaction() as tx:
        tx.publish("stream:in-time", b"1")
        tx.cursors = new.commit(to)
    assert await db.value("select min(position) from backbone.cursors") == "7"


async def test_two_processes_share_the_partitions_and_each_fact_is_heard_once(
    dsn: str, pool: Pool, db: Database
) -> None:
    await notebook(db)
    heard_by: list[set[int]] = [set(), set()]

    def noting(which: int):  # type: ignore[no-untyped-def]  # noqa: ANN202  # a listener
        async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
            await note(tx, heard)
            heard_by[which].update(each.fact.n for each in heard)

        return hear

    async with (
        running(pool, {Waved: noting(0)}, lease_s=0.6),
        open_pool(dsn) as second_pool,
        running(second_pool, {Waved: noting(1)}, lease_s=0.6),
    ):

        async def shared() -> bool:
            rows = await db.fetch("select owner, count(*) as n from backbone.cursors group by 1")
            return [row["n"] for row in rows if row["owner"]] == [8, 8]

        await until(shared)
        await _wave(db, 200)

        async def all_heard() -> bool:
            return len(await noted(db)) >= 200

        await until(all_heard)
    assert sorted(n for _, n in await noted(db)) == list(range(200))
    assert min(map(len, heard_by)) > 50


async def test_a_process_that_leaves_hands_its_partitions_over_at_once(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with running(pool, {Waved: note}, lease_s=3600):
        await _wave(db, 1)
        await until(lambda: noted(db))
    async with running(pool, {Waved: note}, lease_s=3600):
        await _wave(db, 2)

        async def all_heard() -> bool:
            return len(await noted(db)) == 3

        await until(all_heard)


async def test_who_died_before_the_clock_jumped_back_is_dead(pool: Pool) -> None:
    """On another host, where its process id says nothing."""
    one, other = (Neighbours(pool, {"readers": ["tests"]}, lease_s=5.0) for _ in range(2))
    await other.beat()
    await pool.run("update backbone.processes set host = 'elsewhere'")
    await one.beat()
    assert one.others
    await pool.run("update backbone.processes set expires = expires + interval '1 hour'")
    await one.beat()
    assert not one.others


async def test_publications_reach_every_process_once(dsn: str, pool: Pool) -> None:
    seen: list[list[Publication]] = [[], []]
    async with open_pool(dsn) as second_pool:
        # Without a retention, housekeeping may prune what is looked for.
        kept = Retention(size=100, seconds=600)
        first, second = (
            backbone(each, retention_of=lambda _channel: kept) for each in (pool, second_pool)
        )
        first.on_publication(seen[0].extend)
        second.on_publication(seen[1].extend)
        for one in (first, second):
            for room in ("room:1", "room:2"):
                one.broadcasting.follow(room)
        async with first.run(), second.run():
            await until(lambda: first.broadcasting.is_settled and second.broadcasting.is_settled)
            for n in range(50):
                await (first if n % 2 else second).channels.publish("room:1", b"%d" % n)
            async with first.db.transaction() as tx:
                tx.publish("room:2", b"{}")

            async def all_seen() -> bool:
                return all(len(each) >= 51 for each in seen)

            await until(all_seen)
    for each in seen:
        assert sorted(p.offset for p in each if p.channel == "room:1") == list(range(1, 51))
        assert [p.data for p in each if p.channel == "room:2"] == [b"{}"]
    stored = {(p.channel, p.offset): p for p in seen[0]}
    assert all(stored[p.channel, p.offset] == p for p in seen[1])
