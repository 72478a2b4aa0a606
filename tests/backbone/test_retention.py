"""The log and the channels have bounds; jobs keep them, one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec import Struct

from nova.adapters.postgres.log_retention import LogRetention
from nova.adapters.postgres.pool import open_pool
from nova.backbone.database import Database
from nova.backbone.jobs import Worker
from nova.backbone.neighbours import Neighbours
from nova.backbone.retention import ChannelRetention
from nova.ports.channels import Retention
from nova.ports.database import DatabaseUnavailable, Pool, Row
from support.durable import durable_channels
from support.facts import Viewed, Waved
from support.log import backbone, note, notebook, noted, running
from support.waiting import until

DAYS = """
select relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'backbone.event_log'::regclass and relname <> 'event_log_default'
order by relname
"""

OLD_DAY = """
create table backbone.event_log_20200101 partition of backbone.event_log
for values from ('2020-01-01 00:00+00') to ('2020-01-02 00:00+00')
"""


def _log_retention(pool: Pool) -> LogRetention:
    return LogRetention(pool, keep=timedelta(days=7))


def _retention(pool: Pool) -> ChannelRetention:
    return ChannelRetention(
        pool,
        retention_of=lambda channel: None if channel == "gone" else Retention(3, 60),
    )


async def _days(db: Database) -> list[str]:
    return [row["relname"] for row in await db.fetch(DAYS)]


async def test_partitions_are_made_ahead_and_the_next_append_lands_in_todays(
    pool: Pool, db: Database
) -> None:
    for day in await _days(db):
        await db.run(f"drop table backbone.{day}")
    await _log_retention(pool).maintain()
    today = await db.value("select to_char(now() at time zone 'UTC', 'YYYYMMDD')")
    days = await _days(db)
    assert len(days) == 3
    assert days[0] == f"event_log_{today}"
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    assert await db.value("select count(*) from backbone.event_log_default") == 0


async def test_a_day_whose_rows_went_to_the_default_partition_does_not_stop_the_others(
    pool: Pool, db: Database
) -> None:
    for day in await _days(db):
        await db.run(f"drop table backbone.{day}")
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    await _log_retention(pool).maintain()
    assert len(await _days(db)) == 2
    await db.run("update backbone.event_log_default set at = now() - interval '8 days'")
    await _log_retention(pool).maintain()
    assert len(await _days(db)) == 3
    assert await db.value("select count(*) from backbone.event_log") == 0


async def test_old_partitions_are_dropped_unless_a_living_consumer_still_needs_them(
    pool: Pool, db: Database
) -> None:
    await notebook(db)
    await db.run(OLD_DAY)
    async with db.transaction() as tx:
        await tx.emit(Waved(who="ada"))
    await db.run("update backbone.event_log set at = '2020-01-01 12:00+00'")
    neighbours = Neighbours(pool, {"readers": ["tests"]}, lease_s=3600)
    await neighbours.beat()
    await _log_retention(pool).maintain()
    assert "event_log_20200101" in await _days(db)
    await neighbours.leave()
    async with running(pool, {Waved: note}):
        await until(lambda: noted(db))

        async def dropped() -> bool:
            await _log_retention(pool).maintain()
            return "event_log_20200101" not in await _days(db)

        await until(dropped)
    assert "event_log_20200101" not in await _days(db)


async def test_a_topic_that_a_consumer_no_longer_hears_keeps_nothing(
    pool: Pool, db: Database
) -> None:
    """And one that it hears does, though its cursors in another topic are past it."""
    await notebook(db)
    async with running(pool, {Waved: note, Viewed: note}):
        await until(lambda: db.value("select count(*) = 32 from backbone.cursors"))
    await db.run(OLD_DAY)
    async with db.transaction() as tx:
        await tx.emit(Viewed(who="ada"))
    await db.run("update backbone.event_log set at = '2020-01-01 12:00+00'")
    for topics, stays in ((["tests", "views"], True), (["tests"], False)):
        neighbours = Neighbours(pool, {"readers": topics}, lease_s=3600)
        await neighbours.beat()
        await _log_retention(pool).maintain()
        assert ("event_log_20200101" in await _days(db)) == stays
        await neighbours.leave()


async def test_a_log_in_use_is_left_alone_without_queueing_others_behind(
    dsn: str, pool: Pool, db: Database
) -> None:
    """As while somebody takes a dump, whose locks last for as long."""
    await db.run(OLD_DAY)
    async with open_pool(dsn, lock_timeout_s=0.5) as impatient, pool.begin() as dump:
        await dump.fetch("select from backbone.event_log limit 1")
        dropping = asyncio.ensure_future(_log_retention(impatient).maintain())
        waits = "select count(*) from pg_stat_activity where wait_event = 'relation'"
        await until(lambda: db.value(waits))
        assert await impatient.value("select count(*) from backbone.event_log") == 0
        with pytest.raises(DatabaseUnavailable, match="lock"):
            await dropping
    await _log_retention(pool).maintain()
    assert "event_log_20200101" not in await _days(db)


async def test_history_is_cut_to_what_its_channel_keeps(pool: Pool, db: Database) -> None:
    channels = durable_channels(pool)
    for name in ("busy", "old", "gone"):
        for n in range(5):
            await channels.publish(name, b"%d" % n)
    await db.run(
        "update backbone.publications p set at = now() - interval '61 s' from backbone.channels c"
        " where c.id = p.channel_id and c.channel = 'old' and p.number < 5"
    )
    await _retention(pool).prune()
    rows = await db.fetch(
        "select channel, array_agg(number order by number) as left from backbone.publications p"
        " join backbone.channels c on c.id = p.channel_id group by 1 order by 1"
    )
    assert [(row["channel"], row["left"]) for row in rows] == [("busy", [3, 4, 5]), ("old", [5])]
    assert (await channels.position("gone")).offset == 5


async def _in_an_hour(db: Database) -> None:
    await db.run("update backbone.channels set due = now()")


async def _channels(db: Database) -> list[str]:
    return [
        row["channel"] for row in await db.fetch("select channel from backbone.channels order by 1")
    ]


async def test_a_channel_whose_publications_are_all_too_old_is_forgotten(
    pool: Pool, db: Database
) -> None:
    channels = durable_channels(pool)
    for name in ("old", "busy"):
        await channels.publish(name, b"1")
    last = await channels.position("old")
    await db.run(
        "update backbone.publications p set at = now() - interval '61 s' from backbone.channels c"
        " where c.id = p.channel_id and c.channel = 'old'"
    )
    await _retention(pool).prune()
    assert await db.value("select count(*) from backbone.publications") == 1
    assert await channels.position("old") == last
    await _in_an_hour(db)
    await _retention(pool).prune()
    assert await _channels(db) == ["busy"]
    # It comes back as another one: who knew the old one is not told that nothing was missed.
    again = await channels.publish("old", b"2")
    assert (again.offset, again.epoch != last.epoch) == (1, True)
    assert (await channels.recover("old", last, Retention(3, 60), 10))[1] is None


async def test_a_channel_that_is_published_to_while_it_is_forgotten_stays(
    pool: Pool, db: Database
) -> None:
    channels = durable_channels(pool)
    before = await channels.position("busy")
    await _retention(pool).prune()
    await _in_an_hour(db)
    async with db.transaction() as tx:
        await tx.run("update backbone.channels set top = top where channel = 'busy'")
        tx.publish("busy", b"1")
        await _retention(pool).prune()  # which waits for nobody
    assert await _channels(db) == ["busy"]
    _, missed = await channels.recover("busy", before, Retention(3, 60), 10)
    assert missed is not None
    assert [each.data for each in missed] == [b"1"]


async def test_a_channel_that_nobody_ever_published_to_is_forgotten_a_day_later(
    pool: Pool, db: Database
) -> None:
    await durable_channels(pool).position("seen")
    await _retention(pool).prune()
    assert await db.value("select due > now() + interval '23 h' from backbone.channels")
    await _in_an_hour(db)
    await _retention(pool).prune()
    assert await _channels(db) == []


class Counting:
    """A pool that notes how many rows each statement touched, and which ones ran."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.rows: list[int] = []

    async def fetch(self, sql: str, /, *args: Any) -> Sequence[Row]:
        rows = await self._pool.fetch(sql, *args)
        self.rows.append(len(rows))
        return rows

    async def run(self, sql: str, /, *args: Any) -> int:
        self.rows.append(await self._pool.run(sql, *args))
        return self.rows[-1]


async def test_a_backlog_is_pruned_in_portions(pool: Pool, db: Database) -> None:
    async with db.transaction() as tx:
        for n in range(5_000):
            tx.publish("busy", b"%d" % n)
        for n in range(700):
            tx.publish(f"room:{n}", b"1")
    counting = Counting(pool)
    await _retention(cast("Pool", counting)).prune()
    assert max(counting.rows) <= 1_000
    assert await db.value("select count(*) from backbone.publications") == 703


async def test_what_is_not_due_costs_a_run_nothing(pool: Pool, db: Database) -> None:
    async with db.transaction() as tx:
        for n in range(700):
            tx.publish(f"busy:{n}", b"1")
    keeping = ChannelRetention(pool, retention_of=lambda _channel: Retention(100, 60))
    await keeping.prune()
    counting = Counting(pool)
    await ChannelRetention(
        cast("Pool", counting),
        retention_of=lambda _channel: Retention(100, 60),
    ).prune()
    assert sum(counting.rows) == 0
    # One that grew long meanwhile is due by itself.
    async with db.transaction() as tx:
        for n in range(200):
            tx.publish("busy:7", b"%d" % n)
    await keeping.prune()
    sizes = (
        "select max(n) from (select count(*) n from backbone.publications group by channel_id) s"
    )
    assert await db.value(sizes) == 100


class Chore(Struct):
    """A job of a test."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


async def test_a_job_runs_in_one_of_two_processes_and_not_again_before_its_time(
    pool: Pool,
) -> None:
    runs: list[int] = []

    async def run() -> None:
        runs.append(1)
        await asyncio.sleep(0.05)

    async def ran() -> bool:
        return bool(runs)

    both = [backbone(pool), backbone(pool)]
    for nova in both:
        nova.jobs.append(Chore("tidy", 3600, run))
    async with both[0].run(), both[1].run():
        await until(ran)
        await asyncio.sleep(0.2)
    assert len(runs) == 1


async def test_a_job_cut_off_by_the_death_of_its_process_is_taken_up_by_another(
    pool: Pool, db: Database
) -> None:
    runs: list[str] = []
    dead, alive = (Neighbours(pool, {}, lease_s=3600) for _ in range(2))
    await dead.beat()
    await alive.beat()

    async def hang() -> None:
        runs.append("dead")
        await asyncio.Event().wait()

    async def finish() -> None:
        runs.append("alive")

    cut = asyncio.create_task(Worker(Chore("tidy", 1, hang), pool, dead).turn())

    async def taken() -> object:
        return await db.value("select owner from backbone.leases")

    await until(taken)
    other = Worker(Chore("tidy", 1, finish), pool, alive)
    waiting = asyncio.create_task(other.turn())
    await asyncio.sleep(0.1)
    assert runs == ["dead"]
    waiting.cancel()
    # The process dies: nothing of it runs any more, and its lease is still open.
    await db.run("delete from backbone.processes where id = $1", dead.id)
    await other.turn()
    assert runs == ["dead", "alive"]
    cut.cancel()
    await asyncio.gather(cut, waiting, return_exceptions=True)
    assert await db.value("select due > now() from backbone.leases")


JUMP_BACK = """
update backbone.leases set due = due + interval '1 hour', expires = expires + interval '1 hour'
"""


@pytest.mark.parametrize("owned", [False, True])
async def test_a_job_goes_on_after_the_clock_jumped_back(pool: Pool, *, owned: bool) -> None:
    runs: list[int] = []

    async def tidy() -> None:
        runs.append(1)

    neighbours = Neighbours(pool, {}, lease_s=5.0)
    await neighbours.beat()
    worker = Worker(Chore("tidy", 1.0, tidy), pool, neighbours)
    await worker.turn()
    await pool.run(JUMP_BACK)
    if owned:  # by a living process, which had it when the clock jumped
        await pool.run("update backbone.leases set owner = $1", neighbours.id)
    await worker.turn()
    assert len(runs) == 2


async def test_a_job_that_fails_is_counted_and_the_task_goes_on(pool: Pool) -> None:
    runs: list[int] = []

    async def fail() -> None:
        runs.append(1)
        raise LookupError

    async def ran_twice() -> bool:
        return len(runs) >= 2

    nova = backbone(pool)
    nova.jobs.append(Chore("tidy", 0.01, fail))
    async with nova.run():
        await until(ran_twice)
