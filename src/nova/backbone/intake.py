"""Facts from outside: each is accepted once, by the id that its sender gave it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from nova.kernel.events import Fact
from nova.ports.database import Queries

KNOWN = "select id, digest, record from backbone.intake where id = any($1::text[])"

ENTRY = "select id, record, at from backbone.intake where id = $1"

# $1 before when, $2 how many at most.
FORGET = """
delete from backbone.intake where ctid = any(array(
    select ctid from backbone.intake where at < $1 limit $2))
"""

RENAME = """
update backbone.intake i set record = w.record
  from unnest($1::text[], $2::uuid[]) as w (id, record) where i.id = w.id
"""

FREE = "delete from backbone.intake where id = any($1::text[])"


class Offer(Struct, frozen=True):
    """A fact that becomes a record of the log unless its sender's id is known."""

    id: str
    digest: bytes
    """Of what was sent: the same id with another digest is a conflict."""
    record: UUID
    """The id that the fact gets in the log."""
    fact: Fact


class Known(Struct, frozen=True):
    """What is remembered of an offer that was taken."""

    digest: bytes
    record: UUID


class Entry(Struct, frozen=True):
    """When an id was taken in, and as which record."""

    id: str
    record: UUID
    at: datetime


async def known(db: Queries, ids: Sequence[str]) -> Mapping[str, Known]:
    """Return what is remembered of these ids."""
    rows = await db.fetch(KNOWN, ids)
    return {row["id"]: Known(row["digest"], row["record"]) for row in rows}


async def entry(db: Queries, id_: str) -> Entry | None:
    row = await db.row(ENTRY, id_)
    return None if row is None else Entry(row["id"], row["record"], row["at"])


async def rename(db: Queries, records: Mapping[str, UUID]) -> None:
    """Have ids stand for other records than they did."""
    await db.run(RENAME, list(records), list(records.values()))


async def free(db: Queries, ids: Sequence[str]) -> None:
    """Let these ids be taken in once more."""
    await db.run(FREE, ids)
