"""Pull: a feed is put together when it is read, from rings in memory; nothing is written ahead."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from structlog import get_logger

from nova.features.posts import store_feeds as store
from nova.features.posts.events import AuthorForgotten, PostDeleted, PostPublished
from nova.features.posts.models import Candidate
from nova.features.posts.rings import EACH, Rings
from nova.features.posts.service import NEWEST
from nova.ports.database import Queries

AUTHORS_AT_ONCE = 5_000


class Pull:
    """Finds the newest posts of authors: in the rings, or else in the truth."""

    def __init__(self, db: Queries, most_authors: int) -> None:
        self.rings = Rings(most_authors)
        self._db = db
        self._most_authors = most_authors
        self._is_filled = False
        self._log = get_logger()

    async def newest(
        self, _user: UUID, authors: Sequence[UUID], before: UUID, most: int
    ) -> Sequence[Candidate]:
        found = self.rings.newest(authors, before, most) if self._is_filled else None
        return await store.older(self._db, authors, before, most) if found is None else found

    def published(self, author: UUID, post: UUID) -> None:
        if self._is_filled:
            self.rings.add(author, post)

    async def fill(self) -> None:
        """Read the newest posts of those who posted last."""
        await store.forget_all(self._db)  # nobody writes into them any more
        newest = author = NEWEST
        left, count = self._most_authors, AUTHORS_AT_ONCE
        while left > 0 and count == AUTHORS_AT_ONCE:
            rows = await self._db.fetch(store.AUTHORS, newest, author, min(left, AUTHORS_AT_ONCE))
            count = len(rows)
            left -= count
            if rows:
                newest, author = rows[-1]["newest"], rows[-1]["author"]
                await reload(self._db, self.rings, [row["author"] for row in rows])
        if left <= 0:
            self.rings.leave_out(newest)
        self._is_filled = True
        self._log.info("feed_rings_filled", authors=len(self.rings))

    async def hear(self, facts: Sequence[Any]) -> None:
        for fact in facts:
            if isinstance(fact, AuthorForgotten):
                self.rings.forget(fact.author)
        deleted = {fact.author for fact in facts if isinstance(fact, PostDeleted)}
        if deleted:
            await reload(self._db, self.rings, list(deleted))
        for fact in facts:
            if isinstance(fact, PostPublished):
                self.rings.add(fact.author, fact.post)


async def reload(db: Queries, rings: Rings, authors: Sequence[UUID]) -> None:
    """Read the rings of these authors anew."""
    for row in await db.fetch(store.NEWEST_OF, authors, EACH + 1):
        rings.fill(row["author"], row["posts"], whole=len(row["posts"]) <= EACH)
