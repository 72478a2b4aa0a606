"""The home feed: found where its source says, and checked against the truth."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from nova.features.posts import rules, store
from nova.features.posts.events import AuthorForgotten, PostDeleted, PostPublished
from nova.features.posts.models import Candidate, Post, Written
from nova.features.posts.rules import Sight
from nova.features.posts.service import NEWEST
from nova.features.posts.views import Views, page
from nova.kernel.events import Fact, Heard
from nova.ports.database import Queries
from nova.web.cursors import Cursors
from nova.web.routes import Paged

HEARS: Sequence[type[Fact]] = (PostPublished, PostDeleted, AuthorForgotten)


class Follows(Protocol):
    """Whom people follow, and what stands between them."""

    async def following(self, user: UUID, /) -> Sequence[UUID]:
        """Return whom a user follows; it may still name somebody who was left a moment ago."""

    async def seen(
        self, pairs: Sequence[tuple[UUID, UUID]]
    ) -> Mapping[tuple[UUID, UUID], Sight]: ...


class Source(Protocol):
    """Where the posts of a page are found. It may name too many, and leaves out none."""

    async def newest(
        self, user: UUID, authors: Sequence[UUID], before: UUID, most: int, /
    ) -> Sequence[Candidate]:
        """Return the newest posts of these authors before one, for this user's feed."""

    def published(self, author: UUID, post: UUID) -> None:
        """Know of a post of this process at once; the log tells of those of all."""

    async def fill(self) -> None: ...

    async def hear(self, facts: Sequence[Any]) -> None: ...


class Feed:
    """Pages of the newest posts of whom a person follows, and the person's own.

    The source only says where to look; whether a post is there, and for this person's eyes, the
    truth says each time.
    """

    def __init__(
        self,
        db: Queries,
        views: Views,
        follows: Follows,
        source: Source,
        cursors: Cursors[UUID],
        *,
        heard: Callable[[Sequence[PostPublished]], None] = lambda _: None,
    ) -> None:
        """`heard` gets what was published, by any process."""
        self.source = source
        self._db = db
        self._views = views
        self._follows = follows
        self._cursors = cursors
        self._heard = heard

    async def home(self, user: UUID, *, limit: int, cursor: str | None) -> Paged[Post]:
        """Return a page, newest first. Posts that arrive meanwhile shift nothing."""
        owner = f"{user} home"
        before = self._cursors.open(owner, cursor) if cursor else NEWEST
        authors = [*await self._follows.following(user), user]

        async def read(place: UUID, most: int) -> Sequence[Candidate]:
            return await self.source.newest(user, authors, place, most)

        async def keep(some: Sequence[Candidate]) -> list[Written]:
            return await self._checked(user, some)

        found, more = await page(read, keep, before, limit)
        return Paged(
            await self._views.posts(user, found),
            None if more is None else self._cursors.seal(owner, more),
        )

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

    async def hear(self, heard: Sequence[Heard[Any]]) -> None:
        facts = [each.fact for each in heard]
        await self.source.hear(facts)
        published = [fact for fact in facts if isinstance(fact, PostPublished)]
        if published:
            self._heard(published)
