"""Delete data of erased people from deliveries, digests and captured messages."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from nova.backbone.database import Database, Tx
from nova.features.deliveries import throttles
from nova.features.deliveries.digests import ENTRIES, Digests, worded
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries, Row

AT_ONCE = 2_000
"""Rows that one statement looks at."""
LEASED_S = 1.0
"""Before another look at deliveries that are under way: what they carry is on its way already."""

# $1, $2: the last one looked at.
ENTRIES_OF = """
with looked as materialized (
    select notification, channel, digest, actor_id, about, title, body, url
      from deliveries.entries where (notification, channel) > ($1::uuid, $2::text)
     order by notification, channel limit $3
)
select last.notification as last, last.channel as last_channel, s.*
  from (select notification, channel from looked order by notification desc, channel desc limit 1)
       last
  left join looked s on s.actor_id = any($4::uuid[]) or exists (
    select from unnest($5::text[]) as w (word)
     where strpos(concat_ws(' ', s.about, s.title, s.body, s.url), w.word) > 0)
"""

TAKE_OUT = """
delete from deliveries.entries e using unnest($1::uuid[], $2::text[]) as w (notification, channel)
 where e.notification = w.notification and e.channel = w.channel
"""

REWRITE_ENTRY = """
update deliveries.entries set about = $3, title = $4, body = $5, url = $6
 where notification = $1 and channel = $2
"""

DIGESTS = """
select id, notification from deliveries.deliveries
 where kind = 'digest' and notification = any($1::uuid[])
   for update
"""

REWORD = "update deliveries.deliveries set title = $2, body = $3 where id = any($1::uuid[])"

# By id, since a row keeps its id when its state changes, and its place in the table not.
LEDGER = """
with looked as materialized (
    select id, user_id, actor_id, about, title, body, url, data, summary_title, summary_body,
           coalesce(leased_until > clock_timestamp(), false) as under_way
      from deliveries.deliveries where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s
    on s.actor_id = any($3::uuid[]) or s.user_id = any($3::uuid[]) or exists (
    select from unnest($4::text[]) as w (word)
     where strpos(concat_ws(' ', s.about, s.title, s.body, s.url, s.data, s.summary_title,
                            s.summary_body), w.word) > 0)
 order by s.id
"""

# Who spoke for some of these shows their titles no longer.
UNSUMMARISE = """
update deliveries.deliveries d set summary_title = null, summary_body = null
 where d.summary_title is not null and d.id in (
    select into_id from deliveries.deliveries where id = any($1::uuid[]))
"""

UNKEEP = "delete from deliveries.outbox where id = any($1::uuid[])"

REMOVE = """
delete from deliveries.deliveries
 where id = any($1::uuid[]) and (leased_until is null or leased_until <= clock_timestamp())
returning id
"""

REWRITE = """
update deliveries.deliveries
   set about = $2, title = $3, body = $4, url = $5, data = $6, summary_title = $7,
       summary_body = $8
 where id = $1
"""

# What the sink kept whose delivery is gone, or whose words are those of erased people.
OUTBOX = """
delete from deliveries.outbox o
 where exists (select from unnest($1::text[]) as w (word) where strpos(o.parcel, w.word) > 0)
    or not exists (select from deliveries.deliveries d where d.id = o.id)
"""

# A provider's words may hold an address.
LANES = """
update deliveries.lanes set why = null
 where exists (select from unnest($1::text[]) as w (word) where strpos(why, w.word) > 0)
"""

_FIRST = UUID(int=0)
_TEXTS = ("about", "title", "body", "url", "data", "summary_title", "summary_body")


class Erasing:
    """The last traces of erased people among deliveries; what they caused was recalled before."""

    def __init__(self, db: Database, digests: Digests) -> None:
        self._db = db
        self._digests = digests

    async def digests(self, erased: Erased, place: str) -> str | None:
        """Take their lines out of digests, those included that wait or went out."""
        last, _, channel = place.partition(" ")
        found = await self._db.fetch(
            ENTRIES_OF, _id(last), channel, AT_ONCE, erased.ids, _words(erased)
        )
        if not found:
            return None
        rows = [row for row in found if row["notification"] is not None]
        theirs = [row for row in rows if row["actor_id"] in erased.ids]
        async with self._db.transaction() as tx:
            await tx.run(
                TAKE_OUT,
                [row["notification"] for row in theirs],
                [row["channel"] for row in theirs],
            )
            for row in rows:
                if row["actor_id"] not in erased.ids:
                    await tx.run(
                        REWRITE_ENTRY,
                        row["notification"],
                        row["channel"],
                        *_rewritten(row, _TEXTS[:4], erased),
                    )
            if rows:
                await self._reword(tx, [row["digest"] for row in rows])
        return f"{found[0]['last']} {found[0]['last_channel']}"

    async def ledger(self, erased: Erased, place: str) -> str | None:
        """Remove deliveries to them, and of what they did; one under way is waited for."""
        found = await self._db.fetch(LEDGER, _id(place), AT_ONCE, erased.ids, _words(erased))
        if not found:
            return None
        rows = [row for row in found if row["id"] is not None]
        theirs = [row for row in rows if _is_theirs(row, erased)]
        async with self._db.transaction() as tx:
            ids = [row["id"] for row in theirs]
            await tx.run(UNSUMMARISE, ids)
            await tx.run(UNKEEP, ids)
            gone = await tx.fetch(REMOVE, ids)
        for row in rows:
            if not _is_theirs(row, erased):
                await _rewrite(self._db, row, erased)
        if len(gone) < len(theirs):
            await asyncio.sleep(LEASED_S)
            return place
        return str(found[0]["last"])

    async def outbox(self, erased: Erased, _place: str) -> str | None:
        """Remove what the sink kept of them, which is bounded, and how far ahead they were."""
        for user in erased.ids:
            for statement in throttles.ERASE:
                await self._db.run(statement, user)
        await self._db.run(OUTBOX, [*erased.words, *erased.addresses])
        await self._db.run(LANES, [*erased.words, *erased.addresses])
        return None

    async def _reword(self, tx: Tx, digests: Sequence[UUID]) -> None:
        """Give what is left of digests its own words; with nothing left, none is delivered."""
        rows = await tx.fetch(DIGESTS, digests)
        left = await tx.fetch(ENTRIES, digests)
        entries = {digest: list(some) for digest, some in groupby(left, lambda row: row["digest"])}
        titles = await self._digests.titles(entries)
        for digest in {row["notification"] for row in rows}:
            ids = [row["id"] for row in rows if row["notification"] == digest]
            await tx.run(UNKEEP, ids)
            if digest in entries:
                await tx.run(REWORD, ids, *worded(entries[digest], titles))
            else:
                await tx.run(REMOVE, ids)


def _is_theirs(row: Row, erased: Erased) -> bool:
    return row["actor_id"] in erased.ids or row["user_id"] in erased.ids


async def _rewrite(db: Queries, row: Row, erased: Erased) -> None:
    await db.run(REWRITE, row["id"], *_rewritten(row, _TEXTS, erased))


def _rewritten(row: Row, names: Sequence[str], erased: Erased) -> list[str | None]:
    return [
        None
        if row[name] is None
        else erased.without_as_id(row[name])
        if name == "about"
        else erased.without(row[name])
        for name in names
    ]


def _words(erased: Erased) -> list[str]:
    """Return the words of texts, and those that `about` may be."""
    return [*erased.words, *erased.telling]


def _id(place: str) -> UUID:
    return UUID(place) if place else _FIRST
