"""Durable channels: positions, recovery and history, read from the truth."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from secrets import token_urlsafe

from nova.backbone.database import Database, Tx
from nova.backbone.maintenance_batches import in_portions
from nova.backbone.outbox import PostgresOutbox
from nova.kernel.batching import Batcher
from nova.ports.channels import (
    Outgoing,
    Page,
    Position,
    Publication,
    Retention,
    Unrecoverable,
)
from nova.ports.database import Queries, Row

# A channel's epoch must outlive the look that first showed it, or nobody could recover across the
# first publication: so a look makes the channel. Its commit waits for no disk: after a crash, the
# channel is missing only if nobody published to it meanwhile (a publication's commit writes all
# that comes before it), and then there is nothing to recover. In a subquery, the list is no reason
# for PostgreSQL to plan anew for each socket that connects.
LOOK = """
with known as (
    select channel, epoch, top from backbone.channels
     where channel = any((select $1::text[])::text[])
), begun as (
    insert into backbone.channels (channel, epoch, top)
    select channel, $2, 0 from (
        select unnest($1::text[]) as channel except select channel from known) new
     where set_config('synchronous_commit', 'off', true) is not null
        on conflict (channel) do nothing
    returning channel, epoch, top
)
select * from known union all select * from begun
"""

STANDING = """
select channel, epoch, top from backbone.channels where channel = any((select $1::text[])::text[])
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

# The same for several channels at once, in the order in which they are asked for.
STRETCHES = """
select w.place, c.epoch, c.top, p.number, p.data, p.info,
    (extract(epoch from p.at) * 1000)::bigint as at_ms
from unnest($1::text[], $2::bigint[], $3::int[], $4::float8[], $5::int[])
    with ordinality as w (channel, since, size, seconds, most, place)
cross join lateral (
    select id, epoch, top from backbone.channels where channel = w.channel offset 0
) c
left join lateral (
    select number, data, info, at from backbone.publications
    where channel_id = c.id and number > greatest(w.since, c.top - w.size)
        and at > now() - make_interval(secs => w.seconds)
    order by number limit w.most
) p on true
order by w.place, p.number
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

# A key that is five minutes old is free again. A pair that is not returned: somebody published with
# it. In one order, so that two batches with the same keys wait for each other in turn.
TAKE_KEYS = """
insert into backbone.publication_keys as k (channel, key)
select channel, key from unnest($1::text[], $2::text[]) as w (channel, key)
order by channel collate "C", key collate "C"
on conflict (channel, key) do update set at = now() where k.at < now() - interval '5 minutes'
returning channel, key
"""

KEPT_KEYS = """
select channel, key, epoch, number from backbone.publication_keys
where (channel, key) in (select * from unnest($1::text[], $2::text[]))
"""

KEEP_KEYS = """
update backbone.publication_keys k set epoch = w.epoch, number = w.number
from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as w (channel, key, epoch, number)
where k.channel = w.channel and k.key = w.key
"""

FORGET = """
delete from backbone.publications p
using (
    select channel_id, number from backbone.publications
    where channel_id = (select id from backbone.channels where channel = $1)
    order by number limit $2
) old
where p.channel_id = old.channel_id and p.number = old.number
"""


Pair = tuple[str, str]
"""A channel, and an idempotency key in it."""


TOGETHER = 16
"""Channels recovered with one statement: each may have thousands of publications to tell of."""

_Asked = tuple[str, Position, Retention, int]
_Found = tuple[Position, Sequence[Publication] | None]


class DurableChannels:
    """The Channels port over the truth."""

    def __init__(self, db: Database, outbox: PostgresOutbox) -> None:
        self._db = db
        self._outbox = outbox
        # Thousands connect at once, after an outage, each to a channel of its own.
        self._looks: Batcher[str, Position] = Batcher(self._look, lanes=2)
        self._recoveries: Batcher[_Asked, _Found] = Batcher(self._recover, most=TOGETHER, lanes=3)

    async def position(self, channel: str) -> Position:
        return await self._looks(channel)

    async def _look(self, channels: list[str]) -> Sequence[Position]:
        found = await self.positions(channels)
        return [found[channel] for channel in channels]

    async def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        missing, found = set(channels), dict[str, Position]()
        while missing:  # once more, if others made some of them meanwhile
            # Never in a transaction: all of that would wait for no disk.
            rows = await self._db.pool.fetch(LOOK, sorted(missing), token_urlsafe(6))
            found |= {row["channel"]: _position(row) for row in rows}
            missing -= found.keys()
        return found

    async def known(self, channels: Sequence[str]) -> dict[str, Position]:
        rows = await self._db.pool.fetch(STANDING, channels)
        return {row["channel"]: _position(row) for row in rows}

    async def recover(
        self, channel: str, since: Position, retention: Retention, limit: int
    ) -> tuple[Position, Sequence[Publication] | None]:
        return await self._recoveries((channel, since, retention, limit))

    async def _recover(self, asked: list[_Asked]) -> Sequence[_Found]:
        rows = await self._db.fetch(
            STRETCHES,
            [channel for channel, _, _, _ in asked],
            [since.offset for _, since, _, _ in asked],
            [retention.size for _, _, retention, _ in asked],
            [float(retention.seconds) for _, _, retention, _ in asked],
            [limit for _, _, _, limit in asked],
        )
        found: dict[int, list[Row]] = {}
        for row in rows:
            found.setdefault(row["place"] - 1, []).append(row)
        new = [each[0] for place, each in enumerate(asked) if place not in found]
        begun = await self.positions(new) if new else {}
        return [
            _stretch(
                since,
                _position(found[place][0]) if place in found else begun[channel],
                _publications(channel, found.get(place, ())),
            )
            for place, (channel, since, _, _) in enumerate(asked)
        ]

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
        return (await self.publish_many([Outgoing(channel, data, info, key)]))[0]

    async def publish_many(self, publications: Sequence[Outgoing]) -> list[Position]:
        pairs = [(each.channel, each.key) if each.key else None for each in publications]
        firsts: dict[Pair, int] = {}
        for index, pair in enumerate(pairs):
            if pair:
                firsts.setdefault(pair, index)
        async with self._db.transaction() as tx:
            kept = await _kept(tx, firsts) if firsts else {}
            new = [
                index
                for index, pair in enumerate(pairs)
                if pair is None or (pair not in kept and firsts[pair] == index)
            ]
            at = await self._place(tx, {index: publications[index] for index in new})
            if made := {pair: at[index] for pair, index in firsts.items() if pair not in kept}:
                await _keep(tx, made)
        return [
            kept[pair] if pair in kept else at[firsts[pair] if pair else index]
            for index, pair in enumerate(pairs)
        ]

    async def _place(self, tx: Tx, new: Mapping[int, Outgoing]) -> dict[int, Position]:
        """Publish with a transaction; return where each publication is."""
        if not new:
            return {}
        columns = [(each.channel, each.data, each.info) for each in new.values()]
        placed = await self._outbox.publish(tx, columns)
        tx.placed += placed
        positions = (Position(each.epoch, each.offset) for each in placed)
        return dict(zip(new, positions, strict=True))

    async def forget(self, channel: str) -> None:
        await in_portions(partial(self._db.run, FORGET, channel))


async def _kept(queries: Queries, pairs: Collection[Pair]) -> dict[Pair, Position]:
    """Take keys of channels, waiting for whoever is publishing with one; return what stands.

    That is, where the publications are that were made with those that were taken before.
    """
    channels, keys = map(list, zip(*pairs, strict=True))
    taken = {(row["channel"], row["key"]) for row in await queries.fetch(TAKE_KEYS, channels, keys)}
    others = [pair for pair in pairs if pair not in taken]
    if not others:
        return {}
    channels, keys = map(list, zip(*others, strict=True))
    rows = await queries.fetch(KEPT_KEYS, channels, keys)
    return {(row["channel"], row["key"]): Position(row["epoch"], row["number"]) for row in rows}


async def _keep(queries: Queries, made: Mapping[Pair, Position]) -> None:
    channels, keys = map(list, zip(*made, strict=True))
    epochs, offsets = map(list, zip(*((at.epoch, at.offset) for at in made.values()), strict=True))
    await queries.run(KEEP_KEYS, channels, keys, epochs, offsets)


def _stretch(since: Position, position: Position, missed: Sequence[Publication]) -> _Found:
    # Offsets are gapless, so a stretch is whole exactly when its length says so.
    of_channel = since.epoch in {"", position.epoch}
    whole = of_channel and len(missed) == position.offset - since.offset
    return position, missed if whole else None


def _position(row: Row) -> Position:
    return Position(row["epoch"], row["top"])


def publications_of(rows: Sequence[Row]) -> list[Publication]:
    """Return publications of several channels, one a row."""
    return [
        Publication(
            row["channel"], row["number"], row["data"], row["info"], row["at_ms"], row["epoch"]
        )
        for row in rows
    ]


def _publications(channel: str, rows: Sequence[Row]) -> list[Publication]:
    return [
        Publication(channel, row["number"], row["data"], row["info"], row["at_ms"], row["epoch"])
        for row in rows
        if row["number"] is not None
    ]
