"""Push: posts are written into the feeds of who reads, but for authors with too many followers."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from structlog import get_logger

from nova.backbone.database import Database, Tx
from nova.features.graph.events import EdgesImported, FollowApproved, Followed
from nova.features.posts import store_feeds as store
from nova.features.posts.events import AuthorForgotten, PostDeleted, PostPublished
from nova.features.posts.models import Candidate
from nova.features.posts.pull import AUTHORS_AT_ONCE, reload
from nova.features.posts.rings import Rings
from nova.features.posts.service import NEWEST
from nova.kernel.clock import Clock
from nova.kernel.events import Heard
from nova.kernel.ids import new_id

KEPT = 400
"""Posts of a feed, and a few more; what is older is pulled."""
TRIMMED = 1 / 32
"""Of the feeds that a batch writes to, this share is cut to size."""
IDLE = timedelta(days=14)
"""A feed that nobody reads for so long is forgotten, and built anew when somebody does."""
NOTED = timedelta(days=1)
"""That a feed is read is noted as often as this."""


class Followings(Protocol):
    """Who follows whom, as of now."""

    async def followers(
        self, authors: Sequence[UUID], most: int
    ) -> Mapping[UUID, Sequence[UUID] | None]:
        """Return who follows each author; None for one whom more than `most` follow."""

    async def following_now(self, user: UUID) -> Sequence[UUID]: ...


class Push:
    """Finds the newest posts of authors in a feed that was written ahead, and pulls the rest.

    A group of the log writes the entries, after the commit of what they tell: of a follow and a
    post that meet, whichever is heard last sees the other one. Until then a post is among those
    that are not pushed yet, where each page looks, too: one statement sees a post in either place.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        followings: Followings,
        *,
        most_followers: int,
        most_authors: int,
        kept: int = KEPT,
    ) -> None:
        self._db = db
        self._clock = clock
        self._followings = followings
        self._most_followers = most_followers
        self._kept = kept
        self.trimmed = TRIMMED
        self._rings = Rings(most_authors)
        """The newest posts of wide authors."""
        self._wide: set[UUID] = set()
        self._version = -1
        """Of the wide authors; a page tells when there are more."""
        self._log = get_logger()

    async def newest(
        self, user: UUID, authors: Sequence[UUID], before: UUID, most: int
    ) -> Sequence[Candidate]:
        since = self._clock.now() - NOTED
        home = await store.home(self._db, user, authors, before, most, since=since)
        if home is None or not home.is_built:
            await self._build(user)
            return await store.older(self._db, authors, before, most)
        if home.is_long_ago:
            await self._db.run(store.READ, user, self._clock.now())
        if home.version != self._version:
            await self.fill()
        found = {each.id: each for each in home.found}
        found |= {each.id: each for each in await self._pulled(authors, before, most)}
        newest = [found[id_] for id_ in sorted(found, reverse=True)[:most]]
        if home.knows(newest, most):
            return newest
        return await store.older(self._db, authors, before, most)

    async def _pulled(
        self, authors: Sequence[UUID], before: UUID, most: int
    ) -> Sequence[Candidate]:
        wide = [author for author in authors if author in self._wide]
        if not wide:
            return ()
        found = self._rings.newest(wide, before, most)
        return await store.older(self._db, wide, before, most) if found is None else found

    async def _build(self, user: UUID) -> None:
        """Write a feed for the first time; what comes meanwhile is written beside it."""
        made = await store.make(self._db, user, new_id(), self._clock.now())
        authors = [*await self._followings.following_now(user), user]
        found = await store.older(self._db, authors, NEWEST, self._kept + 1)
        async with self._db.transaction() as tx:
            await store.push(tx, [(user, each.id) for each in found])
            await store.trim(tx, [user], self._kept)
            await tx.run(store.BUILT, user, made)

    # -- in the memory of each process --------------------------------------------------------

    async def fill(self) -> None:
        """Read who is wide, and the newest posts of those who were not before."""
        version, wide = await store.wide(self._db)
        new = list(wide - self._wide)
        for start in range(0, len(new), AUTHORS_AT_ONCE):
            await reload(self._db, self._rings, new[start : start + AUTHORS_AT_ONCE])
        self._wide, self._version = wide, version
        self._log.info("feed_rings_filled", authors=len(self._rings))

    def published(self, author: UUID, post: UUID) -> None:
        if author in self._wide:
            self._rings.add(author, post)

    async def hear(self, facts: Sequence[Any]) -> None:
        deleted = {fact.author for fact in facts if isinstance(fact, PostDeleted)} & self._wide
        if deleted:
            await reload(self._db, self._rings, list(deleted))
        for fact in facts:
            if isinstance(fact, AuthorForgotten):
                self._rings.forget(fact.author)
            elif isinstance(fact, PostPublished):
                self.published(fact.author, fact.post)

    async def on_publishing(self, tx: Tx, author: UUID, post: UUID) -> None:
        """Note, in the transaction that publishes it, that a post is to be pushed."""
        await tx.run(store.AWAIT, post, author)

    # -- by the group that writes, in the transaction that moves its cursor -------------------

    async def on_published(self, tx: Tx, heard: Sequence[Heard[PostPublished]]) -> None:
        posts: dict[UUID, list[UUID]] = {}
        for each in heard:
            posts.setdefault(each.fact.author, []).append(each.fact.post)
        known = await store.are_wide(tx, posts)
        asked = [author for author in posts if author not in known]
        found = await self._followings.followers(asked, self._most_followers)
        wide = [author for author in asked if found.get(author, ()) is None]
        if wide:
            await tx.run(store.WIDEN, wide)
        rows = [
            (owner, post)
            for author in asked
            if (followers := found.get(author, ())) is not None
            for owner in (*followers, author)
            for post in posts[author]
        ]
        await store.push(tx, rows)
        await tx.run(store.PUSHED, [each.fact.post for each in heard])
        await store.trim(tx, {owner for owner, _ in rows}, self._kept, share=self.trimmed)

    async def on_followed(
        self, tx: Tx, heard: Sequence[Heard[Followed] | Heard[FollowApproved]]
    ) -> None:
        rows: Collection[tuple[UUID, UUID]] = {each.fact.pair for each in heard}
        await store.backfill(tx, rows, self._kept + 1)
        await store.trim(tx, {owner for owner, _ in rows}, self._kept)

    async def on_imported(self, tx: Tx, _heard: Sequence[Heard[EdgesImported]]) -> None:
        """Have every feed built anew: an import's follows are in no fact of their own."""
        await tx.run(store.RESET)

    async def forget_idle(self) -> None:
        await store.forget_homes(self._db, self._clock.now() - IDLE)
