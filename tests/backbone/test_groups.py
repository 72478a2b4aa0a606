"""Consumers hear every fact, and their effects happen exactly once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from nova.adapters.postgres.pool import open_pool
from nova.backbone.database import Database, Tx
from nova.backbone.groups import Pace
from nova.kernel.events import Heard
from nova.ports.database import DatabaseUnavailable, Pool, Queries
from support.facts import Left, Waved
from support.log import QUICK, backbone, note, notebook, noted, running
from support.waiting import until


class Naive:
    """Reads the log as one would first think of: whatever has a higher position than the last."""

    def __init__(self, db: Database) -> None:
        self.seen = 0
        self._db = db
        self._last = 0
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        async with self._looking:
            rows = await self._db.fetch(
                "select position from backbone.event_log where position > $1 order by position",
                self._last,
            )
            self.seen += len(rows)
            self._last = rows[-1]["position"] if rows else self._last


async def test_sixteen_writers_at_once_lose_nothing(dsn: str, db: Database) -> None:
    await notebook(db)
    naive = Naive(db)
    async with open_pool(dsn, size=20) as pool, running(pool, {Waved: note}) as nova:

        async def write(writer: int) -> None:
            for n in range(40):
                async with nova.db.transaction() as tx:
                    await tx.run("select pg_current_xact_id()")
                    await tx.emit(Waved(who=f"writer {writer}", n=n))
                    # Positions are taken here; commits follow in another order.
                    await nova.db._outbox.append(tx, [Waved(who=f"early {writer}", n=n)])
                    await asyncio.sleep(0.0005 * ((writer * n) % 5))
                await naive.look()

        async def all_heard() -> bool:
            return len(await noted(db)) >= 16 * 40 * 2

        await asyncio.gather(*(write(writer) for writer in range(16)))
        await until(all_heard)
    await naive.look()
    heard = await noted(db)
    assert len(heard) == len(set(heard)) == 16 * 40 * 2
    for writer in range(16):
        assert [n for who, n in heard if who == f"writer {writer}"] == list(range(40))
    assert naive.seen < len(heard)  # so there was something to lose


async def test_a_listener_gets_runs_in_order_and_effects_commit_with_the_cursor(
    pool: Pool, db: Database
) -> None:
    runs: list[list[str]] = []

    async def hear(tx: Tx, heard: Sequence[Heard[Waved | Left]]) -> None:
        runs.append([type(each.fact).__name__ for each in heard])

    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"), Waved(who="ben"), Left(who="ada"), Waved(who="cem"))
    async with running(pool, {Waved: hear, Left: hear}) as nova:
        await until(lambda: _total(nova.statistics()[0].events == 4))
    assert runs == [["Waved", "Waved"], ["Left"], ["Waved"]]


async def test_while_several_come_at_a_time_more_collect_for_the_next_look(
    pool: Pool, db: Database
) -> None:
    runs: list[int] = []

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        runs.append(len(heard))

    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"), Waved(who="ben"))
    async with running(pool, {Waved: hear}, pace=Pace(rest_s=1.0)) as nova:
        await until(lambda: _total(sum(runs) == 2))
        for who in ("cem", "dan", "eve"):
            async with nova.db.transaction() as tx:
                await tx.emit(Waved(who=who))
        await until(lambda: _total(sum(runs) == 5))
    assert runs == [2, 3]


async def _total(condition: bool) -> bool:  # makes it awaitable
    return condition


async def test_one_bad_record_is_retried_then_buried_and_its_neighbours_flow_on(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    attempts: list[int] = []

    async def choke(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        await note(tx, heard)
        if any(each.fact.n == 13 for each in heard):
            if len(heard) == 1:
                attempts.append(heard[0].attempt)
            raise LookupError("thirteen\0")

    async with db.transaction() as tx:
        await tx.emit(*(Waved(who="ada", n=n) for n in range(30)))
    async with running(pool, {Waved: choke}) as nova:
        await until(nova.dead_letters.list)
        letter = (await nova.dead_letters.list())[0]
        numbers = nova.statistics()[0]
    assert [n for _, n in await noted(db)] == [n for n in range(30) if n != 13]
    assert attempts == [1, 2, 3, 4, 5]
    assert (letter.consumer, letter.type, letter.key, letter.attempts) == (
        "readers",
        "Waved",
        "ada",
        5,
    )
    assert letter.error.startswith("LookupError: ")
    assert "in choke" in letter.error
    assert (numbers.events, numbers.dead_letters) == (29, 1)
    assert await db.value("select count(*) from backbone.retries") == 0


async def test_a_record_that_fails_once_is_handled_at_its_second_attempt(
    pool: Pool, db: Database
) -> None:
    await notebook(db)

    async def stumble(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        if heard[0].attempt == 1:
            raise LookupError
        await note(tx, heard)

    async with running(pool, {Waved: stumble}) as nova:
        async with nova.db.transaction() as tx:
            await tx.emit(Waved(who="ada"))
        await until(lambda: noted(db))
        assert await nova.dead_letters.list() == []
    assert await noted(db) == [("ada", 0)]


async def test_dead_letters_come_back_when_they_are_replayed(pool: Pool, db: Database) -> None:
    await notebook(db)
    mended = False

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        if not mended:
            raise LookupError
        await note(tx, heard)

    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada", n=1), Waved(who="ben", n=2), Waved(who="cem", n=3))
    async with running(pool, {Waved: hear}) as nova:
        await until(lambda: _buried(nova.dead_letters, 3))
        mended = True
        first = (await nova.dead_letters.list(limit=1))[0]
        assert await nova.dead_letters.replay(numbers=[first.number]) == 1
        await until(lambda: noted(db))
        assert [who for who, _ in await noted(db)] == [first.key]
        assert await nova.dead_letters.replay(consumer="others") == 0
        assert await nova.dead_letters.replay(consumer="readers") == 2
        await until(lambda: _many(db, 3))
        assert await nova.dead_letters.list() == []


async def _buried(dead_letters: object, count: int) -> bool:
    return len(await dead_letters.list()) == count  # type: ignore[attr-defined]


async def _many(db: Database, count: int) -> bool:
    return len(await noted(db)) == count


async def test_an_unreadable_payload_goes_straight_to_the_dead_letters(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"), Waved(who="ben"), Waved(who="cem"))
    await db.run("update backbone.event_log set payload = '{' where key = 'ben'")
    async with running(pool, {Waved: note}) as nova:
        await until(nova.dead_letters.list)
        letters = await nova.dead_letters.list()
        assert nova.statistics()[0].failures == 0
    assert [(letter.key, letter.attempts) for letter in letters] == [("ben", 1)]
    assert [who for who, _ in await noted(db)] == ["ada", "cem"]


async def test_a_database_that_is_away_is_not_the_records_fault(pool: Pool, db: Database) -> None:
    await notebook(db)
    away = [True] * 7

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        if away and away.pop():
            raise DatabaseUnavailable
        await note(tx, heard)

    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    async with running(pool, {Waved: hear}) as nova:
        await until(lambda: noted(db))
        assert await nova.dead_letters.list() == []
        assert nova.statistics()[0].failures == 0
    assert await noted(db) == [("ada", 0)]


async def test_rows_held_back_by_an_older_transaction_come_soon_after_it_ends(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    patient = Pace(wait_s=3600)
    async with running(pool, {Waved: note}, pace=patient) as nova:
        async with pool.begin() as older:
            await older.run("select pg_current_xact_id()")
            async with nova.db.transaction() as tx:
                await tx.emit(Waved(who="ada"))
            await asyncio.sleep(0.1)
            assert await noted(db) == []
        await until(lambda: noted(db))


async def test_two_consumers_each_hear_everything_and_resume_where_they_stopped(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    for n in range(3):
        nova = backbone(pool)
        nova.group("first", {Waved: note})
        nova.group("second", {Waved: note})
        async with nova.run():
            async with nova.db.transaction() as tx:
                await tx.emit(Waved(who="ada", n=n))
            await until(lambda n=n: _many(db, 2 * (n + 1)))  # type: ignore[misc]
    assert sorted(n for _, n in await noted(db)) == [0, 0, 1, 1, 2, 2]


async def test_a_backlog_is_read_in_growing_batches(pool: Pool, db: Database) -> None:
    sizes: list[int] = []

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        sizes.append(len(heard))

    async with db.transaction() as tx:
        await tx.emit(*(Waved(who=str(n)) for n in range(100)))
    pace = Pace(batch=10, most=40, wait_s=0.05)
    async with running(pool, {Waved: hear}, pace=pace):
        await until(lambda: _total(sum(sizes) == 100))
    assert sizes == [10, 20, 40, 30]


async def test_statistics_say_how_far_behind_a_consumer_is(pool: Pool, db: Database) -> None:
    go_on = asyncio.Event()

    async def hear(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        await go_on.wait()

    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"), Waved(who="ben"))
    await db.run("update backbone.event_log set at = at - interval '1 minute'")
    async with running(pool, {Waved: hear}) as nova:
        await until(lambda: _total(nova.statistics()[0].lag_s > 60))
        go_on.set()
        await until(lambda: _total(nova.statistics()[0].lag_s == 0))
        numbers = nova.statistics()[0]
    assert (numbers.events, numbers.batches, numbers.last_batch_size) == (2, 1, 2)
    assert numbers.last_batch_at is not None


@pytest.mark.parametrize("batch", [1, 100])
async def test_facts_that_listeners_emit_are_heard_in_turn(
    pool: Pool, db: Database, batch: int
) -> None:
    await notebook(db)

    async def answer(tx: Tx, heard: Sequence[Heard[Left]]) -> None:
        await tx.emit(*(Waved(who=each.fact.who) for each in heard))

    pace = Pace(batch=batch, wait_s=QUICK.wait_s)
    async with running(pool, {Left: answer, Waved: note}, pace=pace) as nova:
        async with nova.db.transaction() as tx:
            await tx.emit(Left(who="ada"), Left(who="ben"))
        await until(lambda: _many(db, 2))
    assert await noted(db) == [("ada", 0), ("ben", 0)]


class LosesReplies:
    """A pool that commits, and then says that nobody knows, as often as `times` tells."""

    def __init__(self, pool: Pool, times: int) -> None:
        self._pool = pool
        self.times = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._pool, name)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Queries]:
        async with self._pool.begin() as queries:
            yield queries
        if self.times:
            self.times -= 1
            raise DatabaseUnavailable


async def test_a_lost_commit_reply_does_nothing_twice(pool: Pool, db: Database) -> None:
    await notebook(db)
    async with db.transaction() as tx:
        await tx.emit(*(Waved(who="ada", n=n) for n in range(40)))
    forgetful = LosesReplies(pool, 3)
    pace = Pace(batch=10, most=10, wait_s=QUICK.wait_s)
    async with running(cast("Pool", forgetful), {Waved: note}, pace=pace):
        await until(lambda: _many(db, 40))
        await until(lambda: _total(forgetful.times == 0))
    assert [n for _, n in await noted(db)] == list(range(40))


async def test_a_log_restored_into_another_cluster_goes_on_where_it_stopped(
    pool: Pool, db: Database
) -> None:
    await notebook(db)

    async def wave(n: int) -> None:
        async with db.transaction() as tx:
            await tx.emit(Waved(who=f"user {n}", n=n))

    await wave(0)
    async with running(pool, {Waved: note}):
        await until(lambda: _many(db, 1))
    await wave(1)
    await wave(2)
    await db.run(  # as if from a much older cluster
        "update backbone.cursors set position = (backbone.xact_of(position)::text::bigint"
        " + 1000000000) || '/' || backbone.number_of(position)"
    )
    for table in ("event_log", "publications"):
        await db.run(
            f"update backbone.{table}"  # noqa: S608  # a name from the line above
            " set xact = (xact::text::bigint + 1000000000)::text::xid8"
        )
    async with running(pool, {Waved: note}):
        await until(lambda: _many(db, 3))
        await wave(3)
    async with running(pool, {Waved: note}):
        await until(lambda: _many(db, 4))
    assert [n for _, n in await noted(db)] == [0, 1, 2, 3]
