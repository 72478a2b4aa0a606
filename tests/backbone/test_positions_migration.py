"""A database of the time before positions were opaque is migrated, and its consumers go on."""

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest

from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.backbone.database import Database
from nova.backbone.migrations import Room, migrate, rooms
from nova.backbone.outbox import partition_of
from support.facts import Waved
from support.log import note, notebook, noted, running
from support.postgres import PACKAGE, new_database
from support.waiting import until

APPEND = """
insert into backbone.event_log (topic, key, partition, id, type, payload)
values ('tests', $1, $2, $3, 'Waved', $4) returning xact::text, position
"""
CURSORS = """
insert into backbone.cursors (consumer, partition, xact, position, fence)
select 'readers', n, $1::text::xid8, $2, 7 from generate_series(0, 15) as w (n)
"""
FAILED = """
insert into backbone.{table} (consumer, {own}, id,
    position, xact, at, partition, topic, key, type, trace, payload)
select 'readers', {values}, id, position, xact, at, partition, topic, key, type, trace, payload
from backbone.event_log where id = $1
"""
RETRY = FAILED.format(table="retries", own="attempt, due", values="2, now()")
LETTER = FAILED.format(table="dead_letters", own="error, attempts", values="'old bug', 5")


@pytest.fixture
async def old(server_dsn: str, tmp_path: Path) -> AsyncIterator[PostgresPool]:
    """A database as it was before that migration."""
    shutil.copytree(PACKAGE / "backbone" / "schema", tmp_path / "schema")
    for path in (tmp_path / "schema").glob("*.sql"):
        if path.name >= "0010":
            path.unlink()
    async with new_database(server_dsn) as dsn, open_pool(dsn, size=8) as pool:
        await migrate(pool, [Room("backbone", tmp_path / "schema")])
        yield pool


async def wave(pool: PostgresPool, n: int) -> tuple[UUID, str, int]:
    fact = Waved(who=f"user {n}", n=n)
    id_ = uuid4()
    row = await pool.row(APPEND, fact.key, partition_of(fact.key), id_, msgspec.json.encode(fact))
    assert row is not None
    return id_, row["xact"], row["position"]


async def test_consumers_go_on_where_they_stood_with_retries_and_dead_letters(
    old: PostgresPool,
) -> None:
    heard_before: Sequence[tuple[UUID, str, int]] = [await wave(old, n) for n in range(10)]
    (retried, _, _), (dead, _, _), (_, xact, position) = (heard_before[n] for n in (3, 4, 9))
    await old.run(CURSORS, xact, position)
    await old.run(RETRY, retried)
    await old.run(LETTER, dead)
    for n in range(10, 20):
        await wave(old, n)
    await migrate(old, rooms(PACKAGE))
    await notebook(old)
    async with running(old, {Waved: note}) as nova:
        await until(lambda: _has(nova.db, 11))
        assert await nova.dead_letters.replay() == 1
        await wave(old, 20)
        await until(lambda: _has(nova.db, 13))
    assert sorted(n for _, n in await noted(old)) == [3, 4, *range(10, 21)]


async def _has(db: Database, count: int) -> bool:
    return len(await noted(db)) >= count
