"""Delete rows of the backbone's tables that name erased people, a few blocks at a time.

Readers of the log go by what they find after their cursor, so that a record less is no gap to them;
a client that recovers over a publication less is told to read everything anew. Only what every
consumer has heard is removed: `Barrier` tells when that is so.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from nova.kernel.errors import Unavailable
from nova.ports.database import Queries
from nova.ports.event_log import EventLog

BLOCKS = 128
"""Blocks (8 KB) of a table that one statement looks at."""

BLOCKS_OF = "select pg_relation_size($1::text::regclass) / 8192 + 1"

PUBLICATIONS = """
delete from backbone.publications p
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and exists (select from unnest($3::bytea[]) as w (word)
                where position(w.word in p.data) > 0 or position(w.word in p.info) > 0)
"""

INTAKE = """
delete from backbone.intake i
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and exists (select from unnest($3::text[], $4::text[]) as w (word, pattern)
                where case when strpos(i.id, w.word) > 0 then i.id ~ w.pattern end)
"""

# A channel's name may hold an id between any signs: `user:<id>`, `chat:<id>,<id>`.
CHANNELS = """
with gone as (
    delete from backbone.channels
     where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
       and regexp_split_to_array(channel, '[^[:alnum:]_.@-]+') && $3::text[]
    returning id, channel
), unkeyed as (
    delete from backbone.publication_keys k using gone g where k.channel = g.channel
)
delete from backbone.publications p using gone g where p.channel_id = g.id
"""

RETRIES = """
delete from backbone.retries r
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and (key = any($4::text[]) or exists (
        select from unnest($3::bytea[]) as w (word) where position(w.word in r.payload) > 0))
"""

LETTERS = """
delete from backbone.dead_letters d
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and (key = any($4::text[]) or exists (
        select from unnest($3::bytea[]) as w (word)
         where position(w.word in d.payload) > 0
            or strpos(d.error, convert_from(w.word, 'UTF8')) > 0))
"""

KEYS = "delete from backbone.publication_keys where key = any($1::text[])"

PRESENCE = """
delete from backbone.presence p
 where exists (select from unnest($1::bytea[]) as w (word) where position(w.word in p.info) > 0)
"""

# Who has not read them by now knows that it may have missed some.
SIGNALS = """
delete from backbone.signals s
 where at < now() - interval '2 s' and exists (
    select from unnest($1::bytea[]) as w (word)
     where strpos(s.payload, convert_from(w.word, 'UTF8')) > 0)
"""

# A statement for the next of Nova's tables that has a sample of a column that may name somebody.
SAMPLE = """
select c.oid::regclass::text as name, format('analyze (skip_locked) %s', c.oid::regclass)
       as statement
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where c.relkind in ('r', 'm', 'p') and c.oid::regclass::text > $1
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and exists (select from pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname)
 order by 1 limit 1
"""

# A table without a row keeps its last sample; PostgreSQL 18 and later can be told to drop it.
UNSAMPLE = """
select format('select pg_clear_attribute_stats(%L, %L, %L, %L)', s.schemaname, s.tablename,
              s.attname, s.inherited) as statement
  from pg_stats s
  join pg_class c on c.oid = format('%I.%I', s.schemaname, s.tablename)::regclass
 where c.oid = $1::text::regclass and c.reltuples = 0
   and to_regprocedure('pg_clear_attribute_stats(text,text,text,boolean)') is not null
"""


class Barrier:
    """Tells when every consumer has heard all that was written before a moment."""

    def __init__(
        self,
        log: EventLog,
        heard: Mapping[str, Sequence[str]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        """`heard` names the types of facts that each consumer hears.

        `settled` waits for what this process handles directly: it may have looked people up
        before its transaction has a number.
        """
        self._log = log
        self._heard = heard
        self._settled = settled

    async def now(self) -> str:
        """Return a mark that comes after everything that was written so far."""
        await self._settled()
        return await self._log.moment()

    async def passed(self, moment: str) -> bool:
        for consumer, types in self._heard.items():
            if not await self._log.is_heard(consumer, types, moment):
                return False
        return True


async def publications(db: Queries, words: Sequence[str], block: int) -> int | None:
    await db.run(PUBLICATIONS, block, block + BLOCKS, _bytes(words))
    return _next(block, await db.value(BLOCKS_OF, "backbone.publications"))


async def channels(db: Queries, references: Sequence[str], block: int) -> int | None:
    """Remove channels of theirs, with all that was published there."""
    await db.run(CHANNELS, block, block + BLOCKS, references)
    return _next(block, await db.value(BLOCKS_OF, "backbone.channels"))


async def intake(
    db: Queries, parts: Sequence[str], patterns: Sequence[str], block: int
) -> int | None:
    """Remove ids of events that have such a part, where its pattern matches, too."""
    await db.run(INTAKE, block, block + BLOCKS, parts, patterns)
    return _next(block, await db.value(BLOCKS_OF, "backbone.intake"))


async def retries(
    db: Queries, words: Sequence[str], references: Sequence[str], block: int
) -> int | None:
    """Remove records that wait for another attempt."""
    await db.run(RETRIES, block, block + BLOCKS, _bytes(words), references)
    return _next(block, await db.value(BLOCKS_OF, "backbone.retries"))


async def dead_letters(
    db: Queries, words: Sequence[str], references: Sequence[str], block: int
) -> int | None:
    """Remove records that wait for a replay."""
    await db.run(LETTERS, block, block + BLOCKS, _bytes(words), references)
    return _next(block, await db.value(BLOCKS_OF, "backbone.dead_letters"))


async def connections(db: Queries, words: Sequence[str], references: Sequence[str]) -> None:
    """Remove what lives for minutes: keys of publications, who is where, and signals."""
    await db.run(KEYS, references)
    await db.run(PRESENCE, _bytes(words))
    await db.run(SIGNALS, _bytes(words))


def _bytes(words: Sequence[str]) -> list[bytes]:
    return [word.encode() for word in words]


def _next(block: int, blocks: int) -> int | None:
    return block + BLOCKS if block + BLOCKS < blocks else None


async def sample(db: Queries, after: str) -> str | None:
    """Have the next table's columns sampled anew; return its name, or None after the last."""
    row = await db.row(SAMPLE, after)
    if row is None:
        return None
    with suppress(Unavailable):  # it took too long: PostgreSQL does it in its own time
        await db.run(row["statement"])
        for clearing in await db.fetch(UNSAMPLE, row["name"]):
            await db.fetch(clearing["statement"])
    found: str = row["name"]
    return found
