import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.backbone.migrations import (
    Changed,
    Misnamed,
    Newer,
    Room,
    Unmigratable,
    migrate,
    migrations,
    rooms,
    show,
)
from nova.ports.database import DatabaseUnavailable
from support.postgres import PACKAGE, new_database
from support.waiting import until

FIRST = """
create schema if not exists garden;
create table garden.plants (name text primary key);
"""
SECOND = "alter table garden.plants add column height int not null default 0;"


@pytest.fixture
async def empty(server_dsn: str) -> AsyncIterator[PostgresPool]:
    async with new_database(server_dsn) as dsn, open_pool(dsn, size=8) as pool:
        yield pool


@pytest.fixture
def garden(tmp_path: Path) -> Room:
    folder = tmp_path / "features" / "garden" / "schema"
    folder.mkdir(parents=True)
    (folder / "0001_plants.sql").write_text(FIRST)
    return Room("garden", folder)


async def test_files_are_applied_once_and_in_order(empty: PostgresPool, garden: Room) -> None:
    (garden.folder / "0002_height.sql").write_text(SECOND)
    applied = await migrate(empty, [garden])
    assert [str(each) for each in applied] == ["garden/0001_plants", "garden/0002_height"]
    await empty.run("insert into garden.plants values ('fern', 40)")
    assert await migrate(empty, [garden]) == []


async def test_what_is_pending_is_shown_and_not_applied(empty: PostgresPool, garden: Room) -> None:
    assert [each.applied_at for each in await show(empty, [garden])] == [None]
    assert await empty.value("select to_regclass('backbone.migrations') is null")
    await migrate(empty, [garden])
    (garden.folder / "0002_height.sql").write_text(SECOND)
    applied, pending = await show(empty, [garden])
    assert applied.applied_at
    assert pending.applied_at is None


async def test_a_file_changed_after_it_was_applied_is_refused_by_name(
    empty: PostgresPool, garden: Room
) -> None:
    await migrate(empty, [garden])
    (garden.folder / "0001_plants.sql").write_text(FIRST + "-- harmless\n")
    with pytest.raises(Changed, match=r"garden/0001_plants\.sql was changed.*new file"):
        await migrate(empty, [garden])


async def test_a_database_that_is_newer_than_the_files_is_refused(
    empty: PostgresPool, garden: Room
) -> None:
    (garden.folder / "0002_height.sql").write_text(SECOND)
    await migrate(empty, [garden])
    (garden.folder / "0002_height.sql").unlink()
    with pytest.raises(Newer, match="garden/0002"):
        await migrate(empty, [garden])


async def test_a_file_that_fails_leaves_nothing_behind(empty: PostgresPool, garden: Room) -> None:
    (garden.folder / "0002_half.sql").write_text(SECOND + "select 1 / 0;")
    with pytest.raises(Exception, match="division by zero"):
        await migrate(empty, [garden])
    (garden.folder / "0002_half.sql").write_text(SECOND)
    assert [each.number for each in await migrate(empty, [garden])] == [2]


async def test_processes_that_start_at_once_apply_each_file_once(
    empty: PostgresPool, garden: Room
) -> None:
    (garden.folder / "0002_height.sql").write_text(f"select pg_sleep(0.05); {SECOND}")
    dsn = empty._line.dsn

    async def process() -> list[int]:
        async with open_pool(dsn, size=2) as pool:
            return [each.number for each in await migrate(pool, [garden])]

    applied = await asyncio.gather(*(process() for _ in range(6)))
    assert sorted(number for numbers in applied for number in numbers) == [1, 2]


async def test_a_locked_table_delays_a_migration_without_queueing_others_behind_it(
    empty: PostgresPool, garden: Room
) -> None:
    await migrate(empty, [garden])
    (garden.folder / "0002_height.sql").write_text(SECOND)
    async with empty.begin() as reader:
        await reader.fetch("select * from garden.plants")
        migrating = asyncio.ensure_future(migrate(empty, [garden]))
        waits = "select count(*) from pg_stat_activity where wait_event = 'relation'"
        passes = "select count(*) = 0 from pg_stat_activity where wait_event = 'relation'"
        await until(lambda: empty.value(waits))
        await until(lambda: empty.value(passes))  # it gives up, so that others get through
        await empty.fetch("select * from garden.plants")
        assert not migrating.done()
    assert [each.number for each in await migrating] == [2]


async def test_patience_ends(empty: PostgresPool, garden: Room) -> None:
    await migrate(empty, [garden])
    (garden.folder / "0002_height.sql").write_text(SECOND)
    async with empty.begin() as reader:
        await reader.fetch("select * from garden.plants")
        with pytest.raises(DatabaseUnavailable):
            await migrate(empty, [garden], patience_s=0.01)


@pytest.mark.parametrize("name", ["1_short.sql", "0001_Plants.sql", "0001_again.sql"])
def test_a_misnamed_or_doubly_numbered_file_is_refused(garden: Room, name: str) -> None:
    (garden.folder / name).write_text("select 1")
    with pytest.raises(Misnamed, match="000"):
        migrations(garden)


def test_rooms_come_in_the_order_in_which_they_refer_to_each_other(tmp_path: Path) -> None:
    for name in ("features/zoo", "features/accounts", "features/birds", "web", "backbone"):
        (tmp_path / name / "schema").mkdir(parents=True)
    (tmp_path / "features" / "bare").mkdir()
    names = [room.name for room in rooms(tmp_path)]
    assert names == ["backbone", "web", "accounts", "birds", "zoo"]


async def test_every_migration_of_nova_applies_to_an_empty_database(empty: PostgresPool) -> None:
    applied = await migrate(empty, rooms(PACKAGE))
    assert len(applied) == sum(len(migrations(room)) for room in rooms(PACKAGE))
    assert issubclass(Newer, Unmigratable)
