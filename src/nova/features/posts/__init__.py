"""Posts, comments, likes, and the home feed that is made of them."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database
from nova.feature import Channel, Feature, Group, Job, Projection, Role
from nova.features.graph.events import EdgesImported, FollowApproved, Followed
from nova.features.posts.api import Handlers
from nova.features.posts.comments import Comments
from nova.features.posts.erasure import Erasing
from nova.features.posts.events import FACTS, PostPublished
from nova.features.posts.feed import HEARS, Feed, Follows
from nova.features.posts.hashtag_backfill import OldTags
from nova.features.posts.likes import Likes
from nova.features.posts.live import CHANNEL, Audience, Live, Sockets
from nova.features.posts.pull import Pull
from nova.features.posts.push import KEPT, Followings, Push
from nova.features.posts.routes import routes
from nova.features.posts.service import Posts
from nova.features.posts.still_valid import subjects
from nova.features.posts.views import People, Views
from nova.kernel.clock import Clock
from nova.web.actors import User
from nova.web.cursors import Cursors

__all__ = ["House", "Knobs", "plug", "subjects"]


LIKE = tuple[datetime, UUID]


class Relations(Follows, Audience, Followings, Protocol):
    """Everything that posts ask about people and what stands between them."""

    async def following(self, user: UUID, /) -> Sequence[UUID]: ...

    async def apart(self, viewer: UUID) -> Sequence[UUID]: ...


class Knobs(Struct, frozen=True, kw_only=True):
    """What a deployment chooses about home feeds."""

    most_authors: int = 100_000
    """Whose newest posts are kept in memory."""
    push: bool = False
    most_followers: int = 1_000
    """The posts of authors with more are pulled, where others' are pushed."""
    kept: int = KEPT
    """Entries of a feed that posts are pushed into, about."""


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
        knobs: Knobs | None = None,
        sockets: Sockets | None = None,
    ) -> None:
        """Without `sockets`, nobody is told of new posts."""
        views = Views(db, people, relations)
        self.live = Live(relations, sockets)
        self.push = _push(db, clock, relations, knobs or Knobs())
        self.feed = Feed(
            db,
            views,
            relations,
            self.push or Pull(db, (knobs or Knobs()).most_authors),
            Cursors(cursor_secret, "feed", UUID),
            heard=self.live.hear,
        )
        self.posts = Posts(
            db,
            clock,
            views,
            Cursors(cursor_secret, "posts", UUID),
            publishing=self.push.on_publishing if self.push else None,
            published=self.feed.source.published,
        )
        self.comments = Comments(db, clock, people, views, Cursors(cursor_secret, "comments", UUID))
        self.likes = Likes(db, clock, people, views, Cursors(cursor_secret, "likes", LIKE))
        self.erasing = Erasing(db)
        self.people = people
        self.old_tags = OldTags(db)

    async def close(self) -> None:
        await self.live.close()


def plug(house: House) -> Feature:
    posts = house.posts
    handlers = Handlers(posts, house.comments, house.likes, house.feed, house.people)
    return Feature(
        name="posts",
        routes=routes(handlers),
        facts=FACTS,
        channels=(
            Channel(
                name=CHANNEL.removesuffix(":"),
                may_subscribe=_is_own,
                retention=None,
                of_users=True,
            ),
        ),
        schema=Path(__file__).with_name("schema"),
        groups=(_pushing(house.push),) if house.push else (),
        projections=(
            Projection(
                name="feed",
                hears=HEARS,
                fill=house.feed.source.fill,
                hear=house.feed.hear,
                role=Role.WEB,
            ),
        ),
        jobs=_jobs(house),
        lighten=house.erasing.lighten,
        erase=house.erasing.erase,
        scrubs=(house.erasing.unname,),
        export=posts.export,
        close=(house.close,),
    )


def _jobs(house: House) -> list[Job]:
    jobs = [Job("posts.old_tags", 3_600.0, house.old_tags.read)]
    if house.push:
        jobs.append(Job("posts.forget_idle_feeds", 3_600.0, house.push.forget_idle))
    return jobs


def _push(db: Database, clock: Clock, relations: Relations, knobs: Knobs) -> Push | None:
    if not knobs.push:
        return None
    return Push(
        db,
        clock,
        relations,
        most_followers=knobs.most_followers,
        most_authors=knobs.most_authors,
        kept=knobs.kept,
    )


def _pushing(push: Push) -> Group:
    return Group(
        name="posts",
        hears={
            PostPublished: push.on_published,
            Followed: push.on_followed,
            FollowApproved: push.on_followed,
            EdgesImported: push.on_imported,
        },
    )


async def _is_own(user: User, channel: str) -> bool:
    return channel == f"{CHANNEL}{user.id}"
