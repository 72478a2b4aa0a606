"""The handlers of the graph: parse and answer; nothing is decided here."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from nova.features.graph.lists import Lists
from nova.features.graph.models import (
    Act,
    Connection,
    Connections,
    Follows,
    Mute,
    Path,
    Privacy,
    Relation,
    Suggestions,
    Tie,
)
from nova.features.graph.service import Graph
from nova.features.graph.suggestions import Suggester
from nova.kernel.errors import NoSuchUser
from nova.web.actors import ServerKey, User
from nova.web.routes import Call, Paged


class Page(Struct, frozen=True, kw_only=True):
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Most(Struct, frozen=True):
    """How many."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 20


Handler = Callable[[Call[Any, Any]], Awaitable[Any]]


class Handlers:
    """Answers requests."""

    def __init__(self, graph: Graph, lists: Lists, suggester: Suggester) -> None:
        self._graph = graph
        self._lists = lists
        self._suggester = suggester

    def does(self, act: Act) -> Handler:
        """Return the handler by which `{user}` does something about `{other}`."""

        async def handler(call: Call[Any, Any]) -> Relation:
            return await self._graph.change(act, _user(call), _other(call))

        return handler

    async def mute(self, call: Call[Mute, Any]) -> Relation:
        other = _other(call)
        return await self._graph.change(Act.MUTE, _user(call), other, call.body.until)

    async def relation(self, call: Call[Any, Any]) -> Relation:
        by_server = isinstance(call.actor, ServerKey)
        return await self._graph.relation(_user(call), _other(call), by_server=by_server)

    async def connections(self, call: Call[Any, Any]) -> Connections:
        return await self._graph.connections(_user(call), _viewer(call))

    async def privacy(self, call: Call[Privacy, Any]) -> Connections:
        return await self._graph.set_private(_user(call), private=call.body.private)

    async def followers(self, call: Call[Any, Page]) -> Paged[Connection]:
        return await self._follows(Follows.FOLLOWERS, call)

    async def following(self, call: Call[Any, Page]) -> Paged[Connection]:
        return await self._follows(Follows.FOLLOWING, call)

    async def mutuals(self, call: Call[Any, Page]) -> Paged[Connection]:
        return await self._follows(Follows.MUTUALS, call)

    async def common(self, call: Call[Any, Page]) -> Paged[Connection]:
        page = call.query
        return await self._lists.common(
            _user(call),
            _other(call),
            _viewer(call),
            limit=page.limit,
            cursor=page.cursor,
        )

    async def requests(self, call: Call[Any, Page]) -> Paged[Connection]:
        page = call.query
        return await self._lists.requests(_user(call), limit=page.limit, cursor=page.cursor)

    def ties(self, tie: Tie) -> Handler:
        """Return the handler that lists those with whom `{user}` has a tie."""

        async def handler(call: Call[Any, Page]) -> Paged[Connection]:
            page = call.query
            return await self._lists.ties(_user(call), tie, limit=page.limit, cursor=page.cursor)

        return handler

    async def path(self, call: Call[Any, Any]) -> Path:
        return await self._lists.path(_user(call), _other(call), _viewer(call))

    async def suggestions(self, call: Call[Any, Most]) -> Suggestions:
        return Suggestions(await self._suggester.suggest(_user(call), call.query.limit))

    async def dismiss(self, call: Call[Any, Any]) -> None:
        await self._graph.change(Act.DISMISS, _user(call), _other(call))

    async def _follows(self, which: Follows, call: Call[Any, Page]) -> Paged[Connection]:
        page = call.query
        return await self._lists.follows(
            which, _user(call), _viewer(call), limit=page.limit, cursor=page.cursor
        )


def _user(call: Call[Any, Any]) -> UUID:
    if call.user is None:
        raise NoSuchUser
    return call.user


def _other(call: Call[Any, Any]) -> UUID:
    if call.other is None:
        raise NoSuchUser
    return call.other


def _viewer(call: Call[Any, Any]) -> UUID | None:
    return call.actor.id if isinstance(call.actor, User) else None
