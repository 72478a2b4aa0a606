"""The handlers of posts and feeds: parse and answer; nothing is decided here."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from nova.features.posts import rules
from nova.features.posts.comments import Comments
from nova.features.posts.feed import Feed
from nova.features.posts.likes import Likes
from nova.features.posts.models import (
    Comment,
    CommentEdit,
    Edit,
    Liker,
    Liking,
    NewComment,
    NewPost,
    Post,
)
from nova.features.posts.rules import NoSuchComment, NoSuchPost, NotYours, WhoActs
from nova.features.posts.service import Posts
from nova.features.posts.views import People
from nova.kernel.errors import NoSuchUser, Unauthenticated
from nova.kernel.text import Name
from nova.web.access import ME
from nova.web.actors import ServerKey, User
from nova.web.routes import Call, Paged

Limit = Annotated[int, Meta(ge=1, le=100)]
Cursor = Annotated[str, Meta(max_length=512)]


class Whose(Struct, frozen=True, kw_only=True):
    """Who acts or looks; only a server key may say so."""

    user: Name | None = None
    """Who acts or looks, by either id; for server keys."""


class Page(Struct, frozen=True, kw_only=True):
    """Which part of a list, and who looks."""

    user: Name | None = None
    """Who looks, by either id; for server keys."""
    limit: Limit = 20
    cursor: Cursor | None = None


class Newest(Struct, frozen=True, kw_only=True):
    """Which part of the list of all posts."""

    limit: Limit = 20
    cursor: Cursor | None = None


class Handlers:
    """Answers requests."""

    def __init__(
        self, posts: Posts, comments: Comments, likes: Likes, feed: Feed, people: People
    ) -> None:
        self._posts = posts
        self._comments = comments
        self._likes = likes
        self._feed = feed
        self._people = people

    async def publish(self, call: Call[NewPost, Whose]) -> Post:
        return await self._posts.publish(await self._person(call), call.body)

    async def post(self, call: Call[Any, Whose]) -> Post:
        return await self._posts.one(await self._viewer(call), call.id_of("id", NoSuchPost))

    async def edit(self, call: Call[Edit, Whose]) -> Post:
        return await self._posts.edit(
            await self._viewer(call), call.id_of("id", NoSuchPost), call.body
        )

    async def delete(self, call: Call[Any, Whose]) -> None:
        await self._posts.delete(await self._viewer(call), call.id_of("id", NoSuchPost))

    async def newest(self, call: Call[Any, Newest]) -> Paged[Post]:
        return await self._posts.newest(limit=call.query.limit, cursor=call.query.cursor)

    async def of_author(self, call: Call[Any, Page]) -> Paged[Post]:
        if call.user is None:
            raise NoSuchUser
        return await self._posts.of_author(
            await self._viewer(call),
            call.user,
            limit=call.query.limit,
            cursor=call.query.cursor,
        )

    async def of_tag(self, call: Call[Any, Page]) -> Paged[Post]:
        tag, query = rules.tag(call.path["tag"]), call.query
        return await self._posts.of_tag(
            await self._viewer(call), tag, limit=query.limit, cursor=query.cursor
        )

    async def like(self, call: Call[Any, Whose]) -> Liking:
        return await self._likes.set(
            await self._person(call), call.id_of("id", NoSuchPost), likes=True
        )

    async def unlike(self, call: Call[Any, Whose]) -> Liking:
        return await self._likes.set(
            await self._person(call), call.id_of("id", NoSuchPost), likes=False
        )

    async def likers(self, call: Call[Any, Page]) -> Paged[Liker]:
        viewer, query = await self._viewer(call), call.query
        return await self._likes.of_post(
            viewer, call.id_of("id", NoSuchPost), limit=query.limit, cursor=query.cursor
        )

    async def comment(self, call: Call[NewComment, Whose]) -> Comment:
        return await self._comments.add(
            await self._person(call), call.id_of("id", NoSuchPost), call.body
        )

    async def comments(self, call: Call[Any, Page]) -> Paged[Comment]:
        viewer, query = await self._viewer(call), call.query
        return await self._comments.of_post(
            viewer, call.id_of("id", NoSuchPost), limit=query.limit, cursor=query.cursor
        )

    async def one_comment(self, call: Call[Any, Whose]) -> Comment:
        return await self._comments.one(await self._viewer(call), call.id_of("id", NoSuchComment))

    async def replies(self, call: Call[Any, Page]) -> Paged[Comment]:
        viewer, query = await self._viewer(call), call.query
        return await self._comments.replies(
            viewer, call.id_of("id", NoSuchComment), limit=query.limit, cursor=query.cursor
        )

    async def edit_comment(self, call: Call[CommentEdit, Whose]) -> Comment:
        return await self._comments.edit(
            await self._viewer(call), call.id_of("id", NoSuchComment), call.body
        )

    async def delete_comment(self, call: Call[Any, Whose]) -> None:
        await self._comments.delete(await self._viewer(call), call.id_of("id", NoSuchComment))

    async def home(self, call: Call[Any, Page]) -> Paged[Post]:
        user = await self._person(call)
        return await self._feed.home(user, limit=call.query.limit, cursor=call.query.cursor)

    async def _viewer(self, call: Call[Any, Any]) -> UUID | None:
        """Return who looks; None for the host app's backend."""
        match call.actor:
            case User(id=own, subject=subject):
                if call.query.user in (None, ME, str(own), subject or ME):
                    return own
                raise NotYours
            case ServerKey():
                if call.query.user is None:
                    return None
                found = await self._people.resolve([call.query.user])
                if call.query.user not in found:
                    raise NoSuchUser
                return found[call.query.user]
        raise Unauthenticated

    async def _person(self, call: Call[Any, Any]) -> UUID:
        """Return who acts: a person, always."""
        found = await self._viewer(call)
        if found is None:
            raise WhoActs
        return found
