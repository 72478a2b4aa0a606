"""Durable channels: positions, recovery and history, read from the truth."""

from collections.abc import Sequence
from datetime import timedelta
from secrets import token_urlsafe

from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.ports.channels import Page, Position, Publication, Retention, Unrecoverable
from nova.ports.database import Queries, Row

# In a subquery, the list is no reason for PostgreSQL to plan anew for each socket that connects.
POSITIONS = """
select channel, epoch, top from backbone.channels
where channel = any((select $1::text[])::text[])
"""

# A channel's epoch must outlive the look that first showed it, or nobody could recover across
# the first publication: so a look makes the channel.
BEGIN = """
insert into backbone.channels (channel, epoch, top)
select channel, $2, 0 from unnest($1::text[]) as w (channel)
on conflict (channel) do nothing
"""

# One statement, hence one snapshot: nothing above the top that it returns, nothing missing below.
STRETCH = """
select c.epoch, c.top, p.number, p.data, p.info,
    (extract(epoch from p.at) * 1000)::bigint as at_ms
from backbone.channels c left join lateral (
    select number, data, info, at from backbone.publications
    where channel_id = c.id and number > greatest($2, c.top - $3)
        and at > now() - $4::interval
    order by number limit $5
) p on true
where c.channel = $1
order by p.number
"""

BACKWARDS = """
select c.epoch, c.top, p.number, p.data, p.info,
    (extract(epoch from p.at) * 1000)::bigint as at_ms
from backbone.channels c left join lateral (
    select number, data, info, at from backbone.publications
    where channel_id = c.id and number > c.top - $3 and number < coalesce($2, c.top + 1)
        and at > now() - $4::interval
    order by number desc limit $5
) p on true
where c.channel = $1
order by p.number desc
"""

# A key that is five minutes old is free again. No row: somebody published with it.
TAKE_KEY = """
insert into backbone.publication_keys as k (channel, key) values ($1, $2)
on conflict (channel, key) do update set at = now() where k.at < now() - interval '5 minutes'
returning 1
"""

KEPT_KEY = "select epoch, number from backbone.publication_keys where channel = $1 and key = $2"

KEEP_KEY = """
update backbone.publication_keys set epoch = $3, number = $4 where channel = $1 and key = $2
"""


class DurableChannels:
    """The Channels port over the truth."""

    def __init__(self, db: Database, outbox: PostgresOutbox) -> None:
        self._db = db
        self._outbox = outbox

    async def position(self, channel: str) -> Position:
        return (await self.positions([channel]))[channel]

    async def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        found = await self._positions(channels)
        missing = sorted(set(channels) - found.keys())
        if missing:
            await self._db.run(BEGIN, missing, token_urlsafe(6))
            found |= await self._positions(missing)
        return found

    async def recover(
        self, channel: str, since: Position, retention: Retention, limit: int
    ) -> tuple[Position, Sequence[Publication] | None]:
        rows = await self._db.fetch(
            STRETCH,
            channel,
            since.offset,
            retention.size,
            timedelta(seconds=retention.seconds),
            limit,
        )
        if not rows:
            return await self.position(channel), None
        position = _position(rows[0])
        missed = _publications(channel, rows)
        # Offsets are gapless, so a stretch is whole exactly when its length says so.
        whole = since.epoch == position.epoch and len(missed) == position.offset - since.offset
        return position, missed if whole else None

    async def history(
        self,
        channel: str,
        retention: Retention,
        *,
        limit: int,
        since: Position | None = None,
        reverse: bool = False,
    ) -> Page:
        start = since.offset if since else None if reverse else 0
        rows = await self._db.fetch(
            BACKWARDS if reverse else STRETCH,
            channel,
            start,
            retention.size,
            timedelta(seconds=retention.seconds),
            limit,
        )
        position = _position(rows[0]) if rows else await self.position(channel)
        if since and since.epoch and since.epoch != position.epoch:
            raise Unrecoverable
        return Page(position, _publications(channel, rows))

    async def publish(
        self, channel: str, data: bytes, *, info: bytes | None = None, key: str | None = None
    ) -> Position:
        async with self._db.transaction() as tx:
            if key and (kept := await _kept(tx, channel, key)):
                return kept
            publication, position = await self._outbox.placed(tx, (channel, data, info))
            tx.placed.append(publication)
            if key:
                await tx.run(KEEP_KEY, channel, key, position.epoch, position.offset)
        return position

    async def _positions(self, channels: Sequence[str]) -> dict[str, Position]:
        rows = await self._db.fetch(POSITIONS, list(channels))
        return {row["channel"]: _position(row) for row in rows}


async def _kept(queries: Queries, channel: str, key: str) -> Position | None:
    """Take the key, waiting for whoever is publishing with it; or return what it stands for."""
    if await queries.value(TAKE_KEY, channel, key):
        return None
    row = await queries.row(KEPT_KEY, channel, key)
    return Position(row["epoch"], row["number"]) if row else None


def _position(row: Row) -> Position:
    return Position(row["epoch"], row["top"])


def _publications(channel: str, rows: Sequence[Row]) -> list[Publication]:
    return [
        Publication(channel, row["number"], row["data"], row["info"], row["at_ms"], row["epoch"])
        for row in rows
        if row["number"] is not None
    ]
