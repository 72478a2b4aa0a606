"""Delete data of erased people from inboxes and delivery traces."""

from collections.abc import Sequence
from uuid import UUID

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.features.notifications import store_erasure
from nova.features.notifications.inbox import Removal
from nova.features.notifications.recheck import Reviews
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries, Row

AT_ONCE = 2_000
"""Rows that one statement looks at."""
CHANGED_AT_ONCE = 100
"""Notifications that one transaction takes away: it holds the inboxes of as many people."""


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
            store_erasure.INBOX, _id(place), AT_ONCE, erased.ids, erased.words, erased.telling
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
        while rows := await self._db.fetch(
            store_erasure.TOGETHER, erased.ids, last, CHANGED_AT_ONCE
        ):
            async with self._db.transaction() as tx:
                await self._reviews.review(tx, {row["id"]: set(erased.ids) for row in rows})
            last = rows[-1]["id"]

    async def gathered(self, erased: Erased, place: str) -> str | None:
        """Take their ids out of what joined groups."""
        words = [*erased.words, *erased.telling]
        found = await self._db.fetch(store_erasure.GATHERED, _id(place), AT_ONCE, words)
        for row in found:
            if row["id"] is not None:
                await self._db.run(
                    store_erasure.REWRITE_GATHERED,
                    row["id"],
                    erased.without_in_id(row["event_id"]),
                    _about(row, erased),
                    None if row["metadata"] is None else erased.without(row["metadata"]),
                )
        return str(found[0]["last"]) if found else None

    async def suppressed(self, erased: Erased, place: str) -> str | None:
        """Remove the story of what was not told to them, or names them in its event's id."""
        await self._db.run(store_erasure.LEAVE, erased.ids)
        references = [*map(str, erased.ids), *erased.names]
        last: UUID | None = await self._db.value(
            store_erasure.SUPPRESSED,
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
        await tx.run(store_erasure.FORGET, records)

    async def _take_away(self, rows: Sequence[Row]) -> None:
        async with self._db.transaction() as tx:
            await self._removal.erase(tx, {row["id"]: row["user_id"] for row in rows})
            await intake.free(tx, [row["event_id"] for row in rows])


def _about(row: Row, erased: Erased) -> str | None:
    related = row["related_entity_id"]
    return None if related is None else erased.without_as_id(related)


async def _rewrite(db: Queries, row: Row, erased: Erased) -> None:
    await db.run(
        store_erasure.REWRITE,
        row["id"],
        erased.without_in_id(row["event_id"]),
        _about(row, erased),
        erased.without(row["title"]),
        erased.without(row["body"]),
        erased.without(row["metadata"]),
    )


def _id(place: str) -> UUID:
    return UUID(place) if place else _FIRST
