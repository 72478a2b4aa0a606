"""Lists of people, and the ways between them, for whoever may see them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from nova.backbone.database import Database
from nova.features.graph import rules, store, store_reads
from nova.features.graph.models import Connection, Follows, Node, Path, Tie
from nova.features.graph.paths import DETOURS, Ways
from nova.features.graph.service import People
from nova.features.graph.store_reads import Listed, Place
from nova.kernel.clock import Clock
from nova.kernel.errors import NoSuchUser, NotFound
from nova.web.cursors import Cursors
from nova.web.people import Person
from nova.web.routes import Paged

NEWEST = Place(datetime(9999, 1, 1, tzinfo=UTC), 2**31 - 1)
NOBODY = 0


class NoPath(NotFound):
    """There is no path of up to six steps between these people."""

    code = "no_path"


class Lists:
    """Answers with pages, newest first. `viewer` None is the host app's backend: it sees all."""

    def __init__(
        self, db: Database, clock: Clock, people: People, cursors: Cursors[Place], ways: Ways
    ) -> None:
        self._db = db
        self._ways = ways
        self._clock = clock
        self._people = people
        self._cursors = cursors

    async def follows(
        self, which: Follows, user: UUID, viewer: UUID | None, *, limit: int, cursor: str | None
    ) -> Paged[Connection]:
        statement = store_reads.FOLLOWS[which]
        owner = f"{user} {viewer} {statement}"
        place = self._cursors.open(owner, cursor) if cursor else NEWEST
        nodes = await self._seen([user], viewer)
        if user not in nodes:
            return Paged([])
        found = await store_reads.follows(
            self._db,
            statement,
            nodes[user].number,
            place,
            viewer=_number(nodes, viewer),
            most=limit + 1,
        )
        return await self._page(owner, found, limit, all_=viewer is None)

    async def common(
        self, one: UUID, other: UUID, viewer: UUID | None, *, limit: int, cursor: str | None
    ) -> Paged[Connection]:
        """List those whom both follow."""
        owner = f"{one} {other} {viewer}"
        place = self._cursors.open(owner, cursor) if cursor else NEWEST
        nodes = await self._seen([one, other], viewer)
        if one not in nodes or other not in nodes:
            return Paged([])
        found = await store_reads.common(
            self._db,
            nodes[one].number,
            nodes[other].number,
            place,
            viewer=_number(nodes, viewer),
            most=limit + 1,
        )
        return await self._page(owner, found, limit, all_=viewer is None)

    async def ties(
        self, user: UUID, tie: Tie, *, limit: int, cursor: str | None
    ) -> Paged[Connection]:
        """List those with whom a person has a tie: for the person alone.

        Who blocks the person is only among those whom the person blocks, too.
        """
        owner = f"{user} {tie}"
        place = self._cursors.open(owner, cursor) if cursor else NEWEST
        node = (await store.find(self._db, [user])).get(user)
        if node is None:
            return Paged([])
        at = self._clock.now()
        found = await store_reads.ties(self._db, node.number, tie, place, at=at, most=limit + 1)
        return await self._page(owner, found, limit)

    async def requests(self, user: UUID, *, limit: int, cursor: str | None) -> Paged[Connection]:
        """List those who wait to be let in."""
        owner = f"{user} asked"
        place = self._cursors.open(owner, cursor) if cursor else NEWEST
        node = (await store.find(self._db, [user])).get(user)
        if node is None:
            return Paged([])
        found = await store_reads.requests(self._db, node.number, place, most=limit + 1)
        return await self._page(owner, found, limit)

    async def path(self, one: UUID, other: UUID, viewer: UUID | None) -> Path:
        """Return the shortest way from one to the other.

        It leads past nobody whom a block separates, and, for a viewer, through nobody whose
        lists are closed to them.
        """
        nodes = await store.find(self._db, [one, other])
        if one == other:
            raise rules.Yourself
        if one not in nodes or other not in nodes:
            raise NoPath
        start, end = nodes[one].number, nodes[other].number
        around = await store_reads.separated(self._db, start)
        if end in around and viewer is not None:
            raise NoSuchUser
        for _ in range(DETOURS):
            way = await self._ways.shortest(start, end, around, viewer=_number(nodes, viewer))
            if way is None:
                break
            users = await store_reads.users(self._db, way)
            people = await self.people([users[each] for each in way if each in users])
            there = {person.id for person in people}
            gone = [number for number in way if users.get(number) not in there]
            if not gone:
                return Path(len(way) - 1, people)
            around = [*around, *gone]
        raise NoPath

    async def people(self, users: Sequence[UUID], *, all_: bool = False) -> list[Person]:
        """Return those who are there; who is suspended only shows up where `all_` are asked for."""
        profiles = await self._people.profiles(users)
        return [
            Person(id=user, external_id=one.external_id, name=one.name, avatar_url=one.avatar_url)
            for user in users
            if (one := profiles.get(user)) is not None and (all_ or not one.suspended)
        ]

    async def _seen(self, users: Sequence[UUID], viewer: UUID | None) -> Mapping[UUID, Node]:
        """Return the people of a list, unless the viewer may not see theirs."""
        asked = [*users, viewer] if viewer is not None else [*users]
        nodes = await store.find(self._db, asked)
        others = [nodes[user] for user in users if user in nodes and user != viewer]
        if viewer is None or not others:
            return nodes
        if viewer not in nodes:
            if any(each.private for each in others):
                raise NoSuchUser
            return nodes
        mine = nodes[viewer].number
        pairs = [p for each in others for p in ((mine, each.number), (each.number, mine))]
        bonds = await store.bonds(self._db, pairs, self._clock.now())
        for each in others:
            there, back = bonds[mine, each.number], bonds[each.number, mine]
            is_open = there.follows or Tie.CLOSE_FRIEND in back.ties or not each.private
            if not is_open or Tie.BLOCK in there.ties | back.ties:
                raise NoSuchUser
        return nodes

    async def _page(
        self, owner: str, found: list[Listed], limit: int, *, all_: bool = False
    ) -> Paged[Connection]:
        shown, more = found[:limit], len(found) > limit
        people = await self.people([each.user for each in shown], all_=all_)
        known = {each.id: each for each in people}
        page = [
            Connection(person=known[each.user], since=each.since, until=each.until)
            for each in shown
            if each.user in known
        ]
        last = shown[-1] if more else None
        return Paged(
            page, self._cursors.seal(owner, Place(last.since, last.number)) if last else None
        )


def _number(nodes: Mapping[UUID, Node], viewer: UUID | None) -> int:
    node = nodes.get(viewer) if viewer is not None else None
    return NOBODY if node is None else node.number
