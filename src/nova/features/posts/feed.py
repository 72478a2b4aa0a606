"""The home feed: pulled together from rings when it is asked for, checked against the truth."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from structlog import get_logger

from nova.features.posts import rules, store
from nova.features.posts.events import AuthorForgotten, PostDeleted, PostPublished
from nova.features.posts.models import Candidate, Post, Written
from nova.features.posts.rings import EACH, Rings
from nova.features.posts.rules import Sight
from nova.features.posts.service import NEWEST
from nova.features.posts.views import Views, page
from nova.kernel.events import Fact, Heard
from nova.ports.database import Queries
from nova.web.cursors import Cursors
from nova.web.routes import Paged

AUTHORS_AT_ONCE = 5_000

AUTHORS = """
select author, newest from posts.authors
 where (newest, author) < ($1::uuid, $2::uuid) order by newest desc, author desc limit $3
"""

NEWEST_OF = """
select w.author, array(select p.id from posts.posts p where p.author = w.author
                        order by p.id desc limit $2) as posts
  from unnest($1::uuid[]) as w (author)
"""

# Only authors whose newest post is among the newest ones can be on the page.
OLDER = """
with heads as (
    select w.author, h.id from unnest($1::uuid[]) as w (author)
     cross join lateral (
        select p.id from posts.posts p where p.author = w.author and p.id < $2
         order by p.id desc limit 1) h
     order by h.id desc limit $3
)
select p.id, p.author from heads cross join lateral (
    select p.id, p.author from posts.posts p where p.author = heads.author and p.id < $2
     order by p.id desc limit $3) p
 order by p.id desc limit $3
"""

HEARS: Sequence[type[Fact]] = (PostPublished, PostDeleted, AuthorForgotten)


class Follows(Protocol):
    """Whom people follow, and what stands between them."""

    async def following(self, user: UUID, /) -> Sequence[UUID]:
        """Return whom a user follows; it may still name somebody who was left a moment ago."""

    async def seen(
        self, pairs: Sequence[tuple[UUID, UUID]]
    ) -> Mapping[tuple[UUID, UUID], Sight]: ...


class Feed:
    """Pages of the newest posts of whom a person follows, and the person's own.

    Pull: nothing is written when somebody posts. The rings only say where to look; whether a
    post is there, and for this person's eyes, the truth says each time.
    """

    def __init__(
        self,
        db: Queries,
        views: Views,
        follows: Follows,
        rings: Rings,
        cursors: Cursors[UUID],
        *,
        heard: Callable[[Sequence[PostPublished]], None] = lambda _: None,
        most_authors: int = 100_000,
    ) -> None:
        """`heard` gets what was published, by any process."""
        self.rings = rings
        self._db = db
        self._views = views
        self._follows = follows
        self._cursors = cursors
        self._heard = heard
        self._most_authors = most_authors
        self._is_filled = False
        self._log = get_logger()

    async def home(self, user: UUID, *, limit: int, cursor: str | None) -> Paged[Post]:
        """Return a page, newest first. Posts that arrive meanwhile shift nothing."""
        owner = f"{user} home"
        before = self._cursors.open(owner, cursor) if cursor else NEWEST
        authors = [*await self._follows.following(user), user]

        async def read(place: UUID, most: int) -> Sequence[Candidate]:
            found = self.rings.newest(authors, place, most) if self._is_filled else None
            return await self._older(authors, place, most) if found is None else found

        async def keep(some: Sequence[Candidate]) -> list[Written]:
            return await self._checked(user, some)

        found, more = await page(read, keep, before, limit)
        return Paged(
            await self._views.posts(found),
            None if more is None else self._cursors.seal(owner, more),
        )

    async def _older(self, authors: Sequence[UUID], before: UUID, most: int) -> list[Candidate]:
        rows = await self._db.fetch(OLDER, authors, before, most)
        return [Candidate(row["id"], row["author"]) for row in rows]

    async def _checked(self, user: UUID, some: Sequence[Candidate]) -> list[Written]:
        """Return those that are there, and belong in this person's feed."""
        if not some:
            return []
        others = {each.author for each in some} - {user}
        posts, seen = await asyncio.gather(
            store.many(self._db, [each.id for each in some], user),
            self._follows.seen([(user, other) for other in others]),
        )
        found = [posts[each.id] for each in some if each.id in posts]
        return [
            post
            for post in found
            if post.author == user or rules.in_feed(post.visibility, seen[user, post.author])
        ]

    # -- the rings --------------------------------------------------------------------------------

    def published(self, author: UUID, post: UUID) -> None:
        """Know of a post of this process at once; the log tells of those of all."""
        if self._is_filled:
            self.rings.add(author, post)

    async def fill(self) -> None:
        """Read the newest posts of those who posted last."""
        newest = author = NEWEST
        left, count = self._most_authors, AUTHORS_AT_ONCE
        while left > 0 and count == AUTHORS_AT_ONCE:
            rows = await self._db.fetch(AUTHORS, newest, author, min(left, AUTHORS_AT_ONCE))
            count = len(rows)
            left -= count
            if rows:
                newest, author = rows[-1]["newest"], rows[-1]["author"]
                await self._reload([row["author"] for row in rows])
        if left <= 0:
            self.rings.leave_out(newest)
        self._is_filled = True
        self._log.info("feed_rings_filled", authors=len(self.rings))

    async def hear(self, heard: Sequence[Heard[Any]]) -> None:
        facts = [each.fact for each in heard]
        for fact in facts:
            if isinstance(fact, AuthorForgotten):
                self.rings.forget(fact.author)
        deleted = {fact.author for fact in facts if isinstance(fact, PostDeleted)}
        if deleted:
            await self._reload(list(deleted))
        published = [fact for fact in facts if isinstance(fact, PostPublished)]
        for fact in published:
            self.rings.add(fact.author, fact.post)
        if published:
            self._heard(published)

    async def _reload(self, authors: Sequence[UUID]) -> None:
        for row in await self._db.fetch(NEWEST_OF, authors, EACH + 1):
            self.rings.fill(row["author"], row["posts"], whole=len(row["posts"]) <= EACH)
