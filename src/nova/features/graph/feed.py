"""Keeps the index in step with the truth: filled once, then brought up to date by the log."""

import asyncio
import sys
from array import array
from collections.abc import Sequence
from typing import Any

from structlog import get_logger

from nova.features.graph import events, store_feed
from nova.features.graph.events import EdgesImported, PersonForgotten, RebuildAsked
from nova.kernel.events import Fact, Heard
from nova.ports.database import Queries
from nova.ports.graph import Edge, GraphFull, GraphIndex

PEOPLE_AT_ONCE = 2_000
_HEADER, _ELEMENT = 20, 2  # PostgreSQL's binary arrays: bytes; 32-bit words (length, value)


HEARS: Sequence[type[Fact]] = (
    events.Followed,
    events.Unfollowed,
    events.FollowApproved,
    EdgesImported,
    PersonForgotten,
    RebuildAsked,
)


async def size(db: Queries) -> tuple[int, int]:
    """Return how many people and follows an index has to hold."""
    row = await db.row(store_feed.SIZE)
    return (row["people"], row["follows"]) if row else (0, 0)


class Feed:
    """Fills the index from the truth, and follows the log from before that."""

    def __init__(self, db: Queries, index: GraphIndex) -> None:
        self._db = db
        self._index = index
        self.is_full = False
        self._log = get_logger()

    async def fill(self) -> None:
        """Read every edge, a stretch of people at a time."""
        try:
            await self._fill()
        except GraphFull as full:
            self.leave(full)

    async def _fill(self) -> None:
        start, last = asyncio.get_running_loop().time(), await self._db.value(store_feed.LAST)
        for first in range(0, last, PEOPLE_AT_ONCE):
            for row in await self._db.fetch(store_feed.EDGES, first, first + PEOPLE_AT_ONCE):
                followees = row["followees"]
                await self._index.fill(
                    row["number"], _numbers(followees) if followees else b"", row["followers"]
                )
        await self._index.apply(())  # whatever it put off
        took = asyncio.get_running_loop().time() - start
        self._log.info("graph_index_filled", people=last, seconds=round(took, 2))

    async def hear(self, heard: Sequence[Heard[Any]]) -> None:
        """Bring the index up to date with what these facts are about."""
        if self.is_full:
            return
        facts = [each.fact for each in heard]
        try:
            if edges := await self.now(facts):
                await self._index.apply(edges)
            for fact in facts:
                if isinstance(fact, PersonForgotten):
                    await self._index.forget(fact.number)
        except GraphFull as full:
            self.leave(full)
            return
        if any(isinstance(fact, EdgesImported | RebuildAsked) for fact in facts):
            await self.fill()

    def leave(self, full: GraphFull) -> None:
        """Feed an index no more that has reached its bound."""
        self.is_full = True
        self._log.warning("graph_index_full", reason=full.detail)

    async def now(self, facts: Sequence[Fact]) -> list[Edge]:
        """Return how it stands between those whom facts are about."""
        pairs = [fact.pair for fact in facts if hasattr(fact, "pair")]
        if not pairs:
            return []
        rows = await self._db.fetch(
            store_feed.NOW, *(list(column) for column in zip(*pairs, strict=True))
        )
        return [Edge(row["follower"], row["followee"], row["follows"]) for row in rows]


def _numbers(binary: bytes) -> bytes:
    """Return the numbers of an int4[] in PostgreSQL's binary format, in the machine's order."""
    words = array("I")
    words.frombytes(binary[_HEADER:])
    if sys.byteorder == "little":
        words.byteswap()
    return words[1::_ELEMENT].tobytes()
