"""Posts, comments, likes, and the home feed that is made of them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from nova.backbone.database import Database
from nova.feature import Channel, Feature
from nova.features.posts.api import Handlers
from nova.features.posts.comments import Comments
from nova.features.posts.events import FACTS
from nova.features.posts.feed import HEARS, Feed, Follows
from nova.features.posts.likes import Likes
from nova.features.posts.live import CHANNEL, Audience, Live
from nova.features.posts.rings import Rings
from nova.features.posts.routes import routes
from nova.features.posts.service import Posts
from nova.features.posts.standing import Standing
from nova.features.posts.views import People, Views
from nova.kernel.clock import Clock
from nova.web.actors import User
from nova.web.cursors import Cursors

__all__ = ["HEARS", "House", "Standing", "plug"]


LIKE = tuple[datetime, UUID]


class Relations(Follows, Audience, Protocol):
    """Everything that posts ask about people and what stands between them."""

    async def following(self, user: UUID, /) -> Sequence[UUID]: ...


class House:
    """The feature's parts, put together; `close()` ends what runs in the background."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        people: People,
        relations: Relations,
        *,
        cursor_secret: bytes,
        most_authors: int = 100_000,
    ) -> None:
        """The rings of the feed keep the newest posts of about `most_authors`."""
        views = Views(db, people, relations)
        self.live = Live(relations)
        self.feed = Feed(
            db,
            views,
            relations,
            Rings(most_authors),
            Cursors(cursor_secret, "feed", UUID),
            heard=self.live.hear,
            most_authors=most_authors,
        )
        self.posts = Posts(
            db, clock, views, Cursors(cursor_secret, "posts", UUID), published=self.feed.published
        )
        self.comments = Comments(db, clock, views, Cursors(cursor_secret, "comments", UUID))
        self.likes = Likes(db, clock, views, Cursors(cursor_secret, "likes", LIKE))
        self.people = people

    async def close(self) -> None:
        await self.live.close()


def plug(house: House) -> Feature:
    posts = house.posts
    handlers = Handlers(posts, house.comments, house.likes, house.feed, house.people)
    return Feature(
        name="posts",
        routes=routes(handlers),
        facts=FACTS,
        channels=(Channel(name=CHANNEL.removesuffix(":"), may_subscribe=_is_own, retention=None),),
        schema=Path(__file__).with_name("schema"),
        erase=posts.erase,
        export=posts.export,
    )


async def _is_own(user: User, channel: str) -> bool:
    return channel == f"{CHANNEL}{user.id}"
