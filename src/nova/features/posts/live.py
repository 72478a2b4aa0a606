"""Word of new posts for those who have their feed open: ephemeral, and never many at once."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

import msgspec
from structlog import get_logger

from nova.features.posts.events import PostPublished
from nova.features.posts.models import NewPosts, Visibility
from nova.features.posts.rules import Sight, in_feed
from nova.kernel.errors import Unavailable
from nova.kernel.ids import parse_id
from nova.ports.channels import Publication

CHANNEL = "feed:"
EVERY_S = 0.25
"""Between two words to the same person."""
MOST = 1_000
"""Posts that wait to be told of; above it the oldest are not: who looks sees them all the same."""
VIEWERS_AT_ONCE = 1_000
AUTHORS_AT_ONCE = 50

_encode = msgspec.json.Encoder().encode
Pair = tuple[UUID, UUID]


class Audience(Protocol):
    """Who follows whom, among those who are there."""

    async def audience(self, authors: Sequence[UUID], viewers: Sequence[UUID]) -> Sequence[Pair]:
        """Return the pairs of those viewers and those authors whom they follow."""

    async def seen(self, pairs: Sequence[Pair]) -> Mapping[Pair, Sight]: ...


class Sockets(Protocol):
    """The open sockets of this process."""

    def subscribed(self, family: str) -> Sequence[str]:
        """Return the channels of a family that somebody follows here."""

    def deliver(self, publications: Sequence[Publication]) -> None: ...


class Live:
    """Tells who has the feed open that it has new posts, at most every quarter of a second."""

    def __init__(self, audience: Audience, sockets: Sockets | None = None) -> None:
        """Without `sockets`, nobody is told."""
        self.sockets = sockets
        self._audience = audience
        self._waiting: dict[UUID, PostPublished] = {}
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    def hear(self, published: Sequence[PostPublished]) -> None:
        if self.sockets is None:
            return
        self._waiting |= {fact.post: fact for fact in published}
        for post in list(self._waiting)[: max(0, len(self._waiting) - MOST)]:
            del self._waiting[post]
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._tell_on())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tell_on(self) -> None:
        try:
            while self._waiting:
                posts, self._waiting = list(self._waiting.values()), {}
                try:
                    await self._tell(posts)
                except Unavailable:
                    self._log.warning("new_posts_not_told", count=len(posts))
                await asyncio.sleep(EVERY_S)
        finally:
            self._task = None

    async def _tell(self, posts: Sequence[PostPublished]) -> None:
        sockets = self.sockets
        channels = sockets.subscribed(CHANNEL.removesuffix(":")) if sockets else ()
        viewers = [user for each in channels if (user := parse_id(each.removeprefix(CHANNEL)))]
        by_author: dict[UUID, list[PostPublished]] = {}
        for fact in posts:
            by_author.setdefault(fact.author, []).append(fact)
        for start in range(0, len(viewers), VIEWERS_AT_ONCE):
            some = viewers[start : start + VIEWERS_AT_ONCE]
            new = await self._new(by_author, some)
            if sockets is not None:
                sockets.deliver([_publication(viewer, ids) for viewer, ids in new.items()])

    async def _new(
        self, by_author: dict[UUID, list[PostPublished]], viewers: Sequence[UUID]
    ) -> dict[UUID, list[UUID]]:
        """Return what is new for each of these viewers who has something new."""
        pairs: list[Pair] = []
        authors = list(by_author)
        for start in range(0, len(authors), AUTHORS_AT_ONCE):
            some = authors[start : start + AUTHORS_AT_ONCE]
            pairs += await self._audience.audience(some, viewers)
        seen = await self._audience.seen(pairs)
        new: dict[UUID, list[UUID]] = {
            viewer: [fact.post for fact in by_author[viewer]]
            for viewer in viewers
            if viewer in by_author
        }
        for (viewer, author), sight in seen.items():
            for fact in by_author[author]:
                if in_feed(Visibility(fact.visibility), sight):
                    new.setdefault(viewer, []).append(fact.post)
        return new


def _publication(viewer: UUID, posts: Sequence[UUID]) -> Publication:
    told = NewPosts(count=len(posts), newest=max(posts))
    return Publication(f"{CHANNEL}{viewer}", 0, _encode(told))
