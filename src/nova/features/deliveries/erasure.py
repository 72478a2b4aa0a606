"""Delete data of erased people from deliveries, digests and captured messages."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from nova.backbone.database import Database, Tx
from nova.features.deliveries import store_erasure, store_throttles
from nova.features.deliveries.digests import Digests, worded
from nova.features.deliveries.store_digests import ENTRIES
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries, Row

AT_ONCE = 2_000
"""Rows that one statement looks at."""
LEASED_S = 1.0
"""Before another look at deliveries that are under way: what they carry is on its way already."""


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
            store_erasure.ENTRIES_OF, _id(last), channel, AT_ONCE, erased.ids, _words(erased)
        )
        if not found:
            return None
        rows = [row for row in found if row["notification"] is not None]
        theirs = [row for row in rows if row["actor_id"] in erased.ids]
        async with self._db.transaction() as tx:
            await tx.run(
                store_erasure.TAKE_OUT,
                [row["notification"] for row in theirs],
                [row["channel"] for row in theirs],
            )
            for row in rows:
                if row["actor_id"] not in erased.ids:
                    await tx.run(
                        store_erasure.REWRITE_ENTRY,
                        row["notification"],
                        row["channel"],
                        *_rewritten(row, _TEXTS[:4], erased),
                    )
            if rows:
                await self._reword(tx, [row["digest"] for row in rows])
        return f"{found[0]['last']} {found[0]['last_channel']}"

    async def ledger(self, erased: Erased, place: str) -> str | None:
        """Remove deliveries to them, and of what they did; one under way is waited for."""
        found = await self._db.fetch(
            store_erasure.LEDGER, _id(place), AT_ONCE, erased.ids, _words(erased)
        )
        if not found:
            return None
        rows = [row for row in found if row["id"] is not None]
        theirs = [row for row in rows if _is_theirs(row, erased)]
        async with self._db.transaction() as tx:
            ids = [row["id"] for row in theirs]
            await tx.run(store_erasure.UNSUMMARISE, ids)
            await tx.run(store_erasure.UNKEEP, ids)
            gone = await tx.fetch(store_erasure.REMOVE, ids)
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
            for statement in store_throttles.ERASE:
                await self._db.run(statement, user)
        await self._db.run(store_erasure.OUTBOX, [*erased.words, *erased.addresses])
        await self._db.run(store_erasure.LANES, [*erased.words, *erased.addresses])
        return None

    async def _reword(self, tx: Tx, digests: Sequence[UUID]) -> None:
        """Give what is left of digests its own words; with nothing left, none is delivered."""
        rows = await tx.fetch(store_erasure.DIGESTS, digests)
        left = await tx.fetch(ENTRIES, digests)
        entries = {digest: list(some) for digest, some in groupby(left, lambda row: row["digest"])}
        titles = await self._digests.titles(entries)
        for digest in {row["notification"] for row in rows}:
            ids = [row["id"] for row in rows if row["notification"] == digest]
            await tx.run(store_erasure.UNKEEP, ids)
            if digest in entries:
                await tx.run(store_erasure.REWORD, ids, *worded(entries[digest], titles))
            else:
                await tx.run(store_erasure.REMOVE, ids)


def _is_theirs(row: Row, erased: Erased) -> bool:
    return row["actor_id"] in erased.ids or row["user_id"] in erased.ids


async def _rewrite(db: Queries, row: Row, erased: Erased) -> None:
    await db.run(store_erasure.REWRITE, row["id"], *_rewritten(row, _TEXTS, erased))


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
