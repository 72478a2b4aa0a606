"""How one person knows another: the index finds a way, and the truth says whether it stands."""

from collections.abc import Mapping, Sequence

from nova.features.graph import store_reads
from nova.ports.database import Queries
from nova.ports.graph import GraphWalks

MOST_HOPS = 6
MOST_FOUND = 100_000
"""People whom one step may find; a search that is wider looks at this many of them."""

DETOURS = 4
"""Ways that are asked for, around closed accounts, before the truth is searched."""
EVERYTHING = 0
"""Instead of a viewer's number: the host app's backend, to which no list is closed."""


class Ways:
    """Asks the index first; what that does not know is searched for in the truth."""

    def __init__(self, db: Queries, index: GraphWalks) -> None:
        self._db = db
        self._index = index

    async def shortest(
        self, start: int, end: int, around: Sequence[int], *, viewer: int = EVERYTHING
    ) -> Sequence[int] | None:
        """Return the people on a way of up to six hops, both ends included; or None.

        Every hop is a follow as of now, and in a list that the viewer may see. While the index
        catches up, which takes milliseconds, there may be a way that is shorter.
        """
        avoided = list(around)
        for _ in range(DETOURS):
            way = await self._index.path(start, end, around=avoided, hops=MOST_HOPS)
            if way is None or not await store_reads.leads(self._db, way):
                break
            closed = await self._closed(viewer, way[1:-1])
            if not closed:
                return way
            avoided += closed
        return await shortest(self._db, start, end, around, viewer=viewer)

    async def _closed(self, viewer: int, among: Sequence[int]) -> Sequence[int]:
        return await store_reads.closed(self._db, viewer, among) if viewer and among else ()


async def shortest(
    db: Queries, start: int, end: int, around: Sequence[int], *, viewer: int = EVERYTHING
) -> list[int] | None:
    """Return the people on a shortest way of up to six hops, both ends included; or None.

    It leads through nobody whose lists are closed to the viewer: they tell whom one follows.
    Each step goes on from the side that leads to fewer, so a hub's followers are only walked
    through when there is no other way.
    """
    ahead: dict[int, int] = {start: start}
    back: dict[int, int] = {end: end}
    edges = {True: [start], False: [end]}
    for _ in range(MOST_HOPS):
        if not edges[True] or not edges[False]:
            return None
        is_ahead = await _narrower(db, edges)
        mine, theirs = (ahead, back) if is_ahead else (back, ahead)
        found = await store_reads.step(
            db,
            edges[is_ahead],
            ahead=is_ahead,
            around=around,
            viewer=viewer,
            ends=(start, end),
            most=MOST_FOUND,
        )
        new = {number: via for number, via in found if number not in mine}
        mine |= new
        met = next((number for number in new if number in theirs), None)
        if met is not None:
            return [*_back_to(ahead, met)[::-1], *_back_to(back, met)[1:]]
        edges[is_ahead] = list(new)
    return None


async def _narrower(db: Queries, edges: Mapping[bool, Sequence[int]]) -> bool:
    """Return whether a step ahead is the smaller one."""
    ahead = await store_reads.width(db, edges[True], ahead=True)
    return ahead <= await store_reads.width(db, edges[False], ahead=False)


def _back_to(via: Mapping[int, int], number: int) -> list[int]:
    """Return the way from a person to where the search began."""
    way = [number]
    while via[way[-1]] != way[-1]:
        way.append(via[way[-1]])
    return way
