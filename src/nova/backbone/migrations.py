"""Migrations: numbered plain SQL per room, applied once, in order, by one process at a time."""

import asyncio
import hashlib
import random
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from nova.ports.database import DatabaseUnavailable, Pool, Queries

FIRST = ("backbone", "web", "accounts")  # others may refer to their tables
PATIENCE_S = 60.0  # in which locks that others hold are waited for
PAUSE_S = 0.2

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_LOCK = 7_221_845_960_310_277  # any number that nobody else takes advisory locks on

PREPARE = """
create schema if not exists backbone;
create table if not exists backbone.migrations (
    room text not null,
    number int not null,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now(),
    primary key (room, number)
);
"""
PREPARED = "select to_regclass('backbone.migrations') is not null"
RIGHTS = """
select current_user as role, current_database() as name,
    has_database_privilege(current_database(), 'create') as may_create
"""
APPLIED = "select room, number, name, checksum, applied_at from backbone.migrations"
RECORD = """
insert into backbone.migrations (room, number, name, checksum) values ($1, $2, $3, $4)
"""
# A statement that waits for a lock stops everybody behind it: give up before they do
# (`postgres.lock_timeout_s`), and try again.
IMPATIENT = "set local lock_timeout = '100ms'; set local statement_timeout = 0"
ONE_AT_A_TIME = "select pg_advisory_xact_lock($1)"


class Unmigratable(Exception):
    """The database and the files do not fit together."""


class Misnamed(Unmigratable):
    """A file of a `schema` folder is not a numbered migration, or its number is taken."""


class Changed(Unmigratable):
    """A file was changed after it was applied."""


class Newer(Unmigratable):
    """The database has a migration that this version of Nova does not know."""


class NotOwner(Unmigratable):
    """The database's user may not make what is missing in it."""


class Room(Struct, frozen=True):
    """A room and the folder of its migrations."""

    name: str
    folder: Path


class Migration(Struct, frozen=True):
    """One file; `applied_at` is None while it is pending."""

    room: str
    number: int
    name: str
    sql: str
    checksum: str
    applied_at: datetime | None = None

    def __str__(self) -> str:
        return f"{self.room}/{self.number:04}_{self.name}"


def rooms(package_root: Path) -> list[Room]:
    """Return the rooms that have a `schema` folder, those first that others refer to."""
    folders = [
        *(package_root / name / "schema" for name in ("backbone", "web")),
        *sorted(package_root.glob("features/*/schema")),
    ]
    found = [Room(each.parent.name, each) for each in folders if each.is_dir()]
    order = {name: place for place, name in enumerate(FIRST)}
    return sorted(found, key=lambda room: (order.get(room.name, len(FIRST)), room.name))


def migrations(room: Room) -> list[Migration]:
    """Return a room's files in their order. Raises Misnamed."""
    found: dict[int, Migration] = {}
    for path in sorted(room.folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise Misnamed(f"{path}: migrations are named 0001_what_it_does.sql")
        number, sql = int(match[1]), path.read_text("utf-8")
        if number in found:
            raise Misnamed(f"{path}: the number {number:04} is taken by {found[number]}")
        checksum = hashlib.sha256(sql.encode()).hexdigest()
        found[number] = Migration(room.name, number, match[2], sql, checksum)
    return list(found.values())


async def show(pool: Pool, rooms: Sequence[Room]) -> list[Migration]:
    """Return every migration, applied or pending. Raises Unmigratable."""
    return await _compared(pool, rooms)


async def migrate(
    pool: Pool, rooms: Sequence[Room], *, patience_s: float = PATIENCE_S
) -> list[Migration]:
    """Apply what is pending, each file in a transaction of its own; return what was applied.

    Several processes may do this at once. Raises Unmigratable, and DatabaseUnavailable
    when a lock could not be had for `patience_s`. Open the pool with a long statement
    timeout: its client side holds here too.
    """
    if not await pool.value(PREPARED):
        await _check_rights(pool)
        await _patiently(pool, None, patience_s)
    pending = [each for each in await _compared(pool, rooms) if each.applied_at is None]
    return [each for each in pending if await _patiently(pool, each, patience_s)]


async def _check_rights(pool: Pool) -> None:
    row = await pool.row(RIGHTS)
    if row is not None and not row["may_create"]:
        raise NotOwner(
            f"The user {row['role']} may not create schemas in the database {row['name']}. Make it "
            f'the owner: alter database "{row["name"]}" owner to "{row["role"]}".'
        )


async def _compared(queries: Queries, rooms: Sequence[Room]) -> list[Migration]:
    applied: dict[tuple[str, int], Mapping[str, object]] = {}
    if await queries.value(PREPARED):
        applied = {(row["room"], row["number"]): row for row in await queries.fetch(APPLIED)}
    result = []
    for each in (file for room in rooms for file in migrations(room)):
        row = applied.pop((each.room, each.number), None)
        if row is None:
            result.append(each)
            continue
        _check_unchanged(each, row)
        at = row["applied_at"]
        result.append(
            Migration(each.room, each.number, each.name, each.sql, each.checksum, at)  # type: ignore[arg-type]  # a timestamptz
        )
    if applied:
        unknown = ", ".join(f"{room}/{number:04}" for room, number in sorted(applied))
        raise Newer(
            f"The database has migrations that this version of Nova does not know: {unknown}. "
            "Start the newer version that applied them, or restore a backup from before it."
        )
    return result


def _check_unchanged(file: Migration, row: Mapping[str, object]) -> None:
    if row["checksum"] != file.checksum:
        raise Changed(
            f"{file}.sql was changed after it was applied at {row['applied_at']}. Restore the "
            f"file as it was (SHA-256 {row['checksum']}) and put the change into a new file "
            "with the next number."
        )


async def _patiently(pool: Pool, migration: Migration | None, patience_s: float) -> bool:
    """Apply one file, trying again while locks are held; False when another process did it."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while True:
        try:
            async with pool.begin() as queries:
                return await _apply(queries, migration)
        except DatabaseUnavailable:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(PAUSE_S * random.uniform(0.5, 1.5))  # noqa: S311  # jitter


async def _apply(queries: Queries, migration: Migration | None) -> bool:
    """Apply one file in this transaction; None prepares the table of migrations."""
    await queries.run(IMPATIENT)
    await queries.value(ONE_AT_A_TIME, _LOCK)
    if migration is None:
        await queries.run(PREPARE)
        return True
    for row in await queries.fetch(APPLIED):
        if (row["room"], row["number"]) == (migration.room, migration.number):
            _check_unchanged(migration, row)
            return False
    await queries.run(migration.sql)
    await queries.run(RECORD, migration.room, migration.number, migration.name, migration.checksum)
    return True
