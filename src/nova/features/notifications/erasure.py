"""Delete data of erased people from inboxes and delivery traces."""

from collections.abc import Sequence
from uuid import UUID

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.features.notifications.inbox import Removal
from nova.features.notifications.recheck import Reviews
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries, Row

AT_ONCE = 2_000
"""Rows that one statement looks at."""
CHANGED_AT_ONCE = 100
"""Notifications that one transaction takes away: it holds the inboxes of as many people."""

# By id, since a row keeps its id when it is marked, and its place in the table not. $1: the last
# one looked at; $3: people; $4: words. The first row returned says how far it looked.
INBOX = """
with looked as materialized (
    select id, user_id, event_id, related_entity_id, title, body, metadata,
           actor_id = any($3::uuid[]) or subject_owner = any($3) or subject_within = any($3)
               or subject_item = any($3) as is_theirs
      from notifications.inbox where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s on s.is_theirs or exists (
    select from unnest($4::text[]) as w (word)
     where strpos(concat_ws(' ', s.event_id, s.related_entity_id, s.title, s.body, s.metadata),
                  w.word) > 0)
    or exists (select from unnest($5::text[]) as w (word)
                where strpos(concat_ws(' ', s.event_id, s.related_entity_id), w.word) > 0)
 order by s.id
"""

REWRITE = """
update notifications.inbox
   set event_id = $2, related_entity_id = $3, title = $4, body = $5, metadata = $6 where id = $1
"""

SUPPRESSED = """
with looked as materialized (
    select id, user_id, event_id, recipient from notifications.suppressed
     where id > $1 order by id limit $2
), gone as (
    delete from notifications.suppressed d using looked s
     where d.id = s.id and (s.user_id = any($3::uuid[]) or s.recipient = any($4::text[])
        or exists (select from unnest($5::text[], $6::text[]) as w (word, pattern)
                    where case when strpos(s.event_id, w.word) > 0
                               then s.event_id ~ w.pattern end))
)
select id from looked order by id desc limit 1
"""

# What joined groups, as INBOX: it may lead its group some day.
GATHERED = """
with looked as materialized (
    select id, event_id, related_entity_id, metadata from notifications.gathered
     where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s on exists (
    select from unnest($3::text[]) as w (word)
     where strpos(concat_ws(' ', s.event_id, s.related_entity_id, s.metadata), w.word) > 0)
"""

REWRITE_GATHERED = """
update notifications.gathered set event_id = $2, related_entity_id = $3, metadata = $4 where id = $1
"""

# $2: the last one looked at.
TOGETHER = """
select id from (
    select id from notifications.inbox where actor_id = any($1::uuid[]) and burst is not null
     union
    select into_id from notifications.gathered where actor_id = any($1::uuid[])) found
 where id > $2 order by id limit $3
"""

LEAVE = "delete from notifications.gathered where actor_id = any($1::uuid[])"

FORGET = "delete from notifications.suppressed where id = any($1::uuid[])"

_FIRST = UUID(int=0)


class Erasing:
    """The last traces of erased people among notifications."""

    def __init__(self, db: Database, removal: Removal, reviews: Reviews) -> None:
        self._db = db
        self._removal = removal
        self._reviews = reviews

    async def inbox(self, erased: Erased, place: str) -> str | None:
        """Take away what they did, from every inbox and device, and their ids from other texts.

        What others did with them goes on without them.
        """
        if not place:
            await self._leave(erased)
        found = await self._db.fetch(
            INBOX, _id(place), AT_ONCE, erased.ids, erased.words, erased.telling
        )
        if not found:
            return None
        rows = [row for row in found if row["id"] is not None]
        theirs = [row for row in rows if row["is_theirs"]]
        for start in range(0, len(theirs), CHANGED_AT_ONCE):
            await self._take_away(theirs[start : start + CHANGED_AT_ONCE])
        for row in rows:
            if not row["is_theirs"]:
                await _rewrite(self._db, row, erased)
        return str(found[0]["last"])

    async def _leave(self, erased: Erased) -> None:
        """Have what several people did together name those of them who are left."""
        last = _FIRST
        while rows := await self._db.fetch(TOGETHER, erased.ids, last, CHANGED_AT_ONCE):
            async with self._db.transaction() as tx:
                await self._reviews.review(tx, {row["id"]: set(erased.ids) for row in rows})
            last = rows[-1]["id"]

    async def gathered(self, erased: Erased, place: str) -> str | None:
        """Take their ids out of what joined groups."""
        words = [*erased.words, *erased.telling]
        found = await self._db.fetch(GATHERED, _id(place), AT_ONCE, words)
        for row in found:
            if row["id"] is not None:
                await self._db.run(
                    REWRITE_GATHERED,
                    row["id"],
                    erased.without_in_id(row["event_id"]),
                    _about(row, erased),
                    None if row["metadata"] is None else erased.without(row["metadata"]),
                )
        return str(found[0]["last"]) if found else None

    async def suppressed(self, erased: Erased, place: str) -> str | None:
        """Remove the story of what was not told to them, or names them in its event's id."""
        await self._db.run(LEAVE, erased.ids)
        references = [*map(str, erased.ids), *erased.names]
        last: UUID | None = await self._db.value(
            SUPPRESSED,
            _id(place),
            AT_ONCE,
            erased.ids,
            references,
            erased.telling,
            erased.patterns,
        )
        return None if last is None else str(last)

    async def forget(self, tx: Tx, records: Sequence[UUID]) -> None:
        """Remove the story of events whose records were removed from the log."""
        await tx.run(FORGET, records)

    async def _take_away(self, rows: Sequence[Row]) -> None:
        async with self._db.transaction() as tx:
            await self._removal.erase(tx, {row["id"]: row["user_id"] for row in rows})
            await intake.free(tx, [row["event_id"] for row in rows])


def _about(row: Row, erased: Erased) -> str | None:
    related = row["related_entity_id"]
    return None if related is None else erased.without_as_id(related)


async def _rewrite(db: Queries, row: Row, erased: Erased) -> None:
    await db.run(
        REWRITE,
        row["id"],
        erased.without_in_id(row["event_id"]),
        _about(row, erased),
        erased.without(row["title"]),
        erased.without(row["body"]),
        erased.without(row["metadata"]),
    )


def _id(place: str) -> UUID:
    return UUID(place) if place else _FIRST
