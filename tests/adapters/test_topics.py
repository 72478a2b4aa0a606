"""Topics are lanes of their own: what is in one costs the readers of another nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from nova.adapters.postgres.event_log import LAST, READ, PostgresLogReader
from nova.backbone.database import Database, Tx
from nova.backbone.groups import Pace
from nova.kernel.events import BEGINNING, Heard, Position
from nova.ports.database import Pool, Queries
from nova.ports.event_log import Vector
from support.facts import Left, Viewed, Waved
from support.log import backbone, note, notebook, noted, running
from support.waiting import until

FLOOD = """
insert into backbone.event_log (topic, key, partition, id, type, payload)
select 'views', n::text, n % 16, gen_random_uuid(), 'Viewed', '{"who": "ada"}'
from generate_series(1, $1) as w (n)
"""
VISITED = """
explain (analyze, buffers, costs off, timing off, summary off, format json)
"""


async def wave(db: Database, *numbers: int) -> None:
    async with db.transaction() as tx:
        await tx.emit(*(Waved(who=f"user {n}", n=n) for n in numbers))


def pages(plan: bytes) -> int:
    """Return how many pages a statement looked at."""
    root = msgspec.json.decode(plan)[0]["Plan"]
    return int(root["Shared Hit Blocks"]) + int(root["Shared Read Blocks"])


async def looked_at(db: Queries, topics: Sequence[str]) -> int:
    last = (str(LAST.xact), LAST.number)
    types = ["Waved", "Viewed"]
    which = (list(range(16)), types, topics, 1_000, "readers")
    found = 0
    for _ in range(2):  # the first one also looks at the catalogue
        found = pages(await db.value(VISITED + READ, "0", 0, *last, *which))
    return found


async def test_a_flood_on_one_topic_is_not_looked_at_by_readers_of_another(
    pool: Pool, db: Database
) -> None:
    await wave(db, 1, 2, 3)
    quiet = await looked_at(pool, ["tests"])
    await pool.run(FLOOD, 30_000)
    await wave(db, 4)
    assert await looked_at(pool, ["tests"]) <= quiet + 10
    assert await looked_at(pool, ["views"]) < 300  # of its own: as much as it takes
    await pool.run("analyze backbone.event_log")
    assert await looked_at(pool, ["tests"]) <= quiet + 10


async def test_a_consumer_hears_one_topic_while_its_backlog_in_another_is_stuck(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    await pool.run(FLOOD, 5_000)
    go_on = asyncio.Event()
    viewed = 0

    async def view(tx: Tx, heard: Sequence[Heard[Viewed]]) -> None:
        nonlocal viewed
        await go_on.wait()
        viewed += len(heard)

    async with running(pool, {Waved: note, Viewed: view}) as nova:
        await wave(nova.db, 1, 2)
        await until(lambda: noted(db))
        go_on.set()
        await until(lambda: viewed == 5_000)
    assert sorted(n for _, n in await noted(db)) == [1, 2]


async def read_all(reader: PostgresLogReader, at: Vector, most: int) -> list[tuple[str, Position]]:
    found: list[tuple[str, Position]] = []
    while True:
        batch = await reader.read(at, most)
        found += [(each.topic, each.position) for each in batch.records]
        at = {**at, **batch.to}
        if batch.is_last:
            return found


async def test_a_reader_of_several_topics_passes_over_nothing_wherever_a_read_ends(
    pool: Pool, db: Database
) -> None:
    log = backbone(pool).log
    for n in range(20):
        async with db.transaction() as tx:
            await tx.emit(*(Waved(who="ada") for _ in range(n % 3)), Viewed(who="ada", n=n))
    at = {each: BEGINNING for topic in ("tests", "views") for each in log.partitions(topic)}
    kinds = [Waved, Viewed]
    for most in (1, 2, 7, 1_000):
        reader = log.reader(kinds)
        assert isinstance(reader, PostgresLogReader)
        found = await read_all(reader, at, most)
        assert len(found) == len(set(found)) == 39
        assert sum(topic == "tests" for topic, _ in found) == 19


async def test_facts_that_no_process_told_of_are_found_by_a_look_at_all_topics(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with running(pool, {Waved: note, Viewed: ignore}) as nova:
        await until(lambda: all(group.has_heard_all for group in nova._groups))
        await wave(db, 1)  # by another process, whose NOTIFY is lost
        await until(lambda: noted(db))


async def ignore(tx: Tx, heard: Sequence[Heard[Any]]) -> None: ...


class Counting:
    """A pool that counts the statements by which the log and its retries are read."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)

    async def fetch(self, sql: str, /, *args: Any) -> Any:
        self.reads += sql == READ
        return await self._pool.fetch(sql, *args)


async def later(now: Callable[[], Awaitable[int]], than: int) -> bool:
    return await now() > than


async def test_idle_readers_ask_nothing_however_many_they_are(pool: Pool, db: Database) -> None:
    counting: Any = Counting(pool)
    nova = backbone(counting, pace=Pace(wait_s=3600, readers=2), lease_s=0.6)
    for consumer in range(5):
        nova.group(f"consumer {consumer}", dict.fromkeys((Waved, Left, Viewed), ignore))

    async def beats() -> int:
        return int(
            await db.value("select extract(epoch from max(expires)) * 1000 from backbone.processes")
        )

    async with nova.run():
        await until(lambda: all(group.has_heard_all for group in nova._groups))
        before = counting.reads
        beat = await beats()
        await until(lambda: later(beats, beat + 1_500))  # which wakes nobody either
    assert counting.reads == before
