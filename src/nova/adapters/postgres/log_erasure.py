"""Delete records of the log that name erased people, a few blocks at a time."""

from collections.abc import Sequence

from nova.ports.database import Queries
from nova.ports.event_log import Forgotten

BLOCKS = 128
"""Blocks (8 KB) of each partition of the table that one statement looks at."""

NOW = "select pg_snapshot_xmax(pg_current_snapshot())::text"

# Whether a consumer has still to hear something that was written before transaction $3. Its stored
# cursor may lag behind what it only skipped, so its own types are looked for.
UNHEARD = """
with stored as materialized (
    select topic, partition, backbone.xact_of(position) as xact,
        backbone.number_of(position) as number
    from backbone.cursors where consumer = $1 and topic <> ''
)
select pg_snapshot_xmin(pg_current_snapshot()) < $3::text::xid8 or exists (
    select from backbone.event_log l
      join stored c on c.topic = l.topic and c.partition = l.partition
     where l.xact >= (select min(xact) from stored)
       and l.xact < $3::text::xid8 and (l.xact, l.position) > (c.xact, c.number)
       and l.type = any($2::text[]) and l.heard_by is distinct from $1
     limit 1)
"""

BLOCKS_OF_LOG = """
select coalesce(max(pg_relation_size(relid)), 0) / 8192 + 1
  from pg_partition_tree('backbone.event_log') where isleaf
"""

# $1, $2: the blocks, of every partition at once; $3: words; $4: keys; $5: before which transaction.
LOG = """
delete from backbone.event_log l
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and xact < $5::text::xid8
   and (key = any($4::text[]) or exists (
        select from unnest($3::bytea[]) as w (word) where position(w.word in l.payload) > 0))
returning id, case when type = 'EventAccepted'
                   then convert_from(payload, 'UTF8')::json ->> 'id' end as event
"""

FREE = "delete from backbone.intake where id = any($1::text[])"


async def moment(db: Queries) -> str:
    """Return the moment that it is, as the number of a transaction."""
    found: str = await db.value(NOW)
    return found


async def is_heard(db: Queries, consumer: str, types: Sequence[str], before: str) -> bool:
    return not await db.value(UNHEARD, consumer, types, before)


async def erase(
    db: Queries, words: Sequence[str], keys: Sequence[str], *, before: str, block: int
) -> Forgotten:
    """Remove records of some blocks."""
    rows = await db.fetch(
        LOG, block, block + BLOCKS, [word.encode() for word in words], keys, before
    )
    events = [row["event"] for row in rows if row["event"] is not None]
    if events:
        await db.run(FREE, events)
    following = block + BLOCKS
    is_more = following < await db.value(BLOCKS_OF_LOG)
    return Forgotten([row["id"] for row in rows], events, following if is_more else None)
