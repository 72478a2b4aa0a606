"""The graph index while it answers, and the truth while it does not."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter

from nova.features.graph import paths, store_walks
from nova.ports.database import Queries
from nova.ports.graph import Candidate, GraphUnavailable, GraphWalks

T = TypeVar("T")

SPARE = 5
"""So many more suggestions are asked for, in case that some are followed by now."""


class Standby:
    """Implements ports.graph.GraphWalks."""

    def __init__(
        self,
        db: Queries,
        index: GraphWalks,
        registry: CollectorRegistry,
        *,
        is_whole: Callable[[], bool] = lambda: True,
        catches_up: bool = True,
    ) -> None:
        """An index is asked once `is_whole`.

        One that `catches_up` after it was away may be far behind: whom it suggests is looked up in
        the truth before it is told. (So are the ways that it finds, by who asks for them.)
        """
        self._db = db
        self._index = index
        self._is_whole = is_whole
        self._catches_up = catches_up
        self._fallbacks = Counter(
            "nova_graph_fallbacks",
            "Questions that the database answered, because the graph index could not.",
            registry=registry,
        )

    async def suggest(
        self, number: int, *, hidden: Collection[int], most: int
    ) -> Sequence[Candidate]:
        async def index() -> Sequence[Candidate]:
            if not self._catches_up:
                return await self._index.suggest(number, hidden=hidden, most=most)
            found = await self._index.suggest(number, hidden=hidden, most=most + SPARE)
            return (await self._still(number, found))[:most]

        return await self._first(
            index, lambda: store_walks.suggested(self._db, number, hidden, most)
        )

    async def mutuals(self, number: int, *, most: int) -> Sequence[int]:
        return await self._first(
            lambda: self._index.mutuals(number, most=most),
            lambda: store_walks.mutuals(self._db, number, most),
        )

    async def common(self, one: int, other: int, *, most: int) -> Sequence[int]:
        return await self._first(
            lambda: self._index.common(one, other, most=most),
            lambda: store_walks.common(self._db, one, other, most),
        )

    async def path(
        self, start: int, end: int, *, around: Collection[int], hops: int
    ) -> Sequence[int] | None:
        async def truth() -> Sequence[int] | None:
            way = await paths.shortest(self._db, start, end, list(around))
            return way if way is not None and len(way) <= hops + 1 else None

        return await self._first(
            lambda: self._index.path(start, end, around=around, hops=hops), truth
        )

    async def _first(
        self, index: Callable[[], Awaitable[T]], truth: Callable[[], Awaitable[T]]
    ) -> T:
        if self._is_whole():
            with suppress(GraphUnavailable):
                return await index()
        self._fallbacks.inc()
        return await truth()

    async def _still(self, number: int, found: Sequence[Candidate]) -> list[Candidate]:
        """Leave out who is followed by now, and reasons that no longer hold."""
        named = {each for one in found for each in (one.number, *one.by)}
        followed = await store_walks.followed(self._db, number, named)
        return [
            replace(one, by=[each for each in one.by if each in followed])
            for one in found
            if one.number not in followed
        ]
