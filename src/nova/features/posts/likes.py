"""Likes: many at once in one transaction, so that a popular post is no bottleneck."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database
from nova.features.posts import rules
from nova.features.posts import store_responses as store
from nova.features.posts.events import Liked, Unliked
from nova.features.posts.models import Fan, Liker, Liking
from nova.features.posts.rules import NoSuchPost
from nova.features.posts.store import HIDDEN_OF_POSTS
from nova.features.posts.store_responses import Pair
from nova.features.posts.views import People, Views, page
from nova.kernel.batching import Batcher
from nova.kernel.clock import Clock
from nova.kernel.errors import NoSuchUser
from nova.web.cursors import Cursors
from nova.web.routes import Paged

NEWEST = (datetime(9999, 1, 1, tzinfo=UTC), UUID(int=2**128 - 1))


class _Wish(Struct, frozen=True):
    """What a person wants about a post."""

    post: UUID
    person: UUID
    likes: bool

    @property
    def pair(self) -> Pair:
        return self.post, self.person


class Likes:
    """Who likes what. Liking twice changes nothing, and is told once."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        people: People,
        views: Views,
        cursors: Cursors[tuple[datetime, UUID]],
    ) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._views = views
        self._cursors = cursors
        # Full: callers get 503. Two lanes: one transaction is prepared while one commits.
        self._wishes: Batcher[_Wish, Liking] = Batcher(self._grant, most=200, queue=5_000, lanes=2)

    async def set(self, person: UUID, post: UUID, *, likes: bool) -> Liking:
        """Like a post, or no longer; durable on return, with how many like it then.

        A like is taken back from a post, too, that is not for the person any more: the answer is
        the same as about a post that is not there.
        """
        if likes:
            await self._views.post(person, post)
        granted = await self._wishes(_Wish(post, person, likes))
        if not likes:
            await self._views.post(person, post)
        hidden = await self._views.hidden(person, HIDDEN_OF_POSTS, [post])
        return Liking(granted.liked, granted.likes - hidden.get(post, (0, 0))[0])

    async def of_post(
        self, viewer: UUID | None, post: UUID, *, limit: int, cursor: str | None
    ) -> Paged[Liker]:
        """Return a page of who likes a post, the newest first."""
        owner = f"{viewer} {post}"
        start = self._cursors.open(owner, cursor) if cursor else NEWEST
        about = await self._views.post(viewer, post)

        async def read(place: tuple[datetime, UUID], most: int) -> list[Fan]:
            return await store.likers(self._db, post, place, most)

        async def keep(some: Sequence[Fan]) -> list[Fan]:
            return await self._views.in_lists(viewer, some, on_own=about.author == viewer)

        found, more = await page(read, keep, start, limit)
        return Paged(
            await self._views.likers(viewer, found),
            None if more is None else self._cursors.seal(owner, more),
        )

    async def _grant(self, wishes: list[_Wish]) -> list[Liking | Exception]:
        """Grant wishes that came together; who is no user any more spoils only their own."""
        async with self._db.transaction() as tx:
            there = await self._people.hold(tx, {each.person for each in wishes})
            posts = await store.lock(tx, {each.post for each in wishes})
            last = {
                each.pair: each.likes
                for each in wishes
                if each.person in there and each.post in posts
            }
            before = await store.liked(tx, last)
            new = {pair for pair, likes in last.items() if likes} - before
            old = {pair for pair, likes in last.items() if not likes} & before
            await store.like(tx, new, old, self._clock.now())
            for post, person in new:
                author, text = posts[post]
                about = rules.excerpt(text)
                await tx.emit(Liked(post=post, author=author, person=person, excerpt=about))
            for post, person in old:
                await tx.emit(Unliked(post=post, author=posts[post][0], person=person))
            counts = await store.likes(tx, posts)
        return [
            NoSuchUser()
            if each.person not in there
            else NoSuchPost()
            if each.post not in counts
            else Liking(last[each.pair], counts[each.post])
            for each in wishes
        ]
