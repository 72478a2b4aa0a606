"""Records that failed alone: retried with growing delays, then kept as dead letters."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from traceback import format_exception

import msgspec
from msgspec import Struct

from nova.backbone.database import Database
from nova.backbone.maintenance_batches import in_portions
from nova.kernel.events import Position, Record
from nova.ports.database import Queries

_ERROR_CHARACTERS = 4000
_LONGEST_DELAY_S = 3600.0

SET_ASIDE = """
insert into backbone.retries (consumer, id, attempt, due,
    position, at, partition, topic, key, type, trace, payload)
values ($1, $2, $3, now() + $4::interval, $5, $6, $7, $8, $9, $10, $11, $12)
on conflict (consumer, id) do nothing
"""

DUE = """
select attempt, id, position, at, partition, topic, key, type, trace, payload
from backbone.retries where consumer = $1 and type = any($2::text[]) and due <= now()
order by due limit 1 for update skip locked
"""

# $1: consumers; $2: the types that each of them hears, with spaces between.
NEXT_DUE = """
select w.consumer, extract(epoch from r.due - now())::float8 as seconds
from unnest($1::text[], $2::text[]) as w (consumer, types) cross join lateral (
    select due from backbone.retries
    where consumer = w.consumer and type = any(string_to_array(w.types, ' '))
    order by due limit 1
) r
"""

DONE = "delete from backbone.retries where consumer = $1 and id = $2"

BURY = """
insert into backbone.dead_letters (consumer, error, attempts, id,
    position, at, partition, topic, key, type, trace, payload)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
"""

LIST = """
select number, died, consumer, error, attempts, id, topic, key, type, at
from backbone.dead_letters
where ($1::text is null or consumer = $1) and ($2::text is null or type = $2)
    and ($3::bigint[] is null or number = any($3))
order by number limit $4
"""

OF_FACT = """
select error from backbone.dead_letters
where type = $1 and position($2::bytea in payload) > 0
order by number desc limit 1
"""

NOW = "select now()"

# $4: what died later, perhaps after this very replay, is left; $5: how many at most.
REPLAY = """
with replayed as (
    delete from backbone.dead_letters where number = any(array(
        select number from backbone.dead_letters
         where ($1::text is null or consumer = $1) and ($2::text is null or type = $2)
           and ($3::bigint[] is null or number = any($3)) and died <= $4
         order by number limit $5 for update skip locked))
    returning *
), again as (
    insert into backbone.retries (consumer, id, attempt, due,
        position, at, partition, topic, key, type, trace, payload)
    select consumer, id, 1, now(), position, at, partition, topic, key, type, trace, payload
    from replayed
    on conflict (consumer, id) do nothing
)
select count(*) from replayed
"""


class DeadLetter(Struct, frozen=True):
    """A record that a consumer gave up on."""

    number: int
    """Names the dead letter when it is replayed."""
    died: datetime
    """When it was given up."""
    consumer: str
    """The consumer group that could not handle it."""
    error: str
    """What went wrong."""
    attempts: int
    """How often it was tried."""
    id: str
    """The record's id in the log."""
    topic: str
    """Its topic in the log."""
    key: str
    """Its key: records of one key are in order."""
    type: str
    """The type of fact."""
    at: datetime
    """When it was written to the log."""


class DeadLetters:
    """What operators do with dead letters."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def list(
        self,
        *,
        consumer: str | None = None,
        type: str | None = None,  # noqa: A002  # the column's name
        numbers: Sequence[int] | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        rows = await self._db.fetch(LIST, consumer, type, numbers, limit)
        return [DeadLetter(**{**row, "id": str(row["id"])}) for row in rows]

    async def of_fact(self, kind: str, field: str, value: str) -> str | None:
        """Return the error of the newest letter whose fact has this value there, or None."""
        pair = msgspec.json.encode({field: value})[1:-1]
        found: str | None = await self._db.value(OF_FACT, kind, pair)
        return found

    async def replay(
        self,
        *,
        consumer: str | None = None,
        type: str | None = None,  # noqa: A002  # the column's name
        numbers: Sequence[int] | None = None,
    ) -> int:
        """Hand them to their consumers again, as first attempts; return how many."""
        asked = (consumer, type, numbers, await self._db.value(NOW))
        return await in_portions(partial(self._db.value, REPLAY, *asked))


async def set_aside(queries: Queries, consumer: str, failed: Record, delay_s: float) -> None:
    """Keep a record for its next attempt."""
    await queries.run(
        SET_ASIDE, consumer, failed.id, failed.attempt + 1, delay(delay_s), *_columns(failed)
    )


async def bury(queries: Queries, consumer: str, failed: Record, error: str) -> None:
    """Make a record a dead letter."""
    await queries.run(BURY, consumer, error, failed.attempt, failed.id, *_columns(failed))


async def due(queries: Queries, consumer: str, types: Sequence[str]) -> Record | None:
    """Lock and return a record of these types whose next attempt is due, if there is one."""
    row = await queries.row(DUE, consumer, types)
    return Record(**{**row, "position": Position(row["position"])}) if row else None


def told(wrong: BaseException) -> str:
    """Tell an error as a dead letter keeps it: what it was, and the end of its traceback."""
    text = "".join(format_exception(wrong)).replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"{type(wrong).__name__}: {text[-_ERROR_CHARACTERS:]}"


def delay(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, _LONGEST_DELAY_S))


def _columns(record: Record) -> tuple[object, ...]:
    return (
        record.position,
        record.at,
        record.partition,
        record.topic,
        record.key,
        record.type,
        record.trace,
        record.payload,
    )
