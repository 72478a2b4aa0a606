"""Rewrite publications in a channel's stored history; offsets do not change."""

from collections.abc import Callable, Sequence

from nova.ports.database import Queries

# A channel keeps about a thousand. $2: any of these texts is in it.
HOLDING = """
select p.channel_id, p.number, p.data
  from backbone.channels c join backbone.publications p on p.channel_id = c.id
 where c.channel = $1
   and exists (select from unnest($2::bytea[]) as w (text) where position(w.text in p.data) > 0)
"""

REWRITE = """
update backbone.publications p set data = w.data
  from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as w (channel_id, number, data)
 where p.channel_id = w.channel_id and p.number = w.number
"""


async def rewrite(
    db: Queries, channel: str, texts: Sequence[str], new: Callable[[bytes], bytes]
) -> None:
    """Rewrite what a channel keeps that has any of these texts in it; offsets stay."""
    rows = await db.fetch(HOLDING, channel, [text.encode() for text in texts])
    data = [new(bytes(row["data"])) for row in rows]
    ids, numbers = [row["channel_id"] for row in rows], [row["number"] for row in rows]
    await db.run(REWRITE, ids, numbers, data)
