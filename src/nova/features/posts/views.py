"""How posts, comments and likes look to somebody: what they may see, and who is who in it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from msgspec import Raw

from nova.backbone.database import Tx
from nova.features.posts import mentions_and_hashtags, rules, store
from nova.features.posts.models import Comment, Fan, Liker, Post, Said, Written
from nova.features.posts.rules import NoSuchPost, Sight
from nova.ports.database import Queries
from nova.web.people import Person, Profile, person

NOBODY = BACKEND = UUID(int=0)
"""Stands where a statement asks who looks, and it is the host app's backend."""
ROUNDS = 4
"""How often a page reads on because much of what it read may not be seen."""

P_co = TypeVar("P_co", covariant=True)
P = TypeVar("P")


class People(Protocol):
    """Who is who; both look-ups take many at once and remember their answers."""

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those that exist, whichever id of theirs was given."""

    async def meant(self, mentions: Sequence[Sequence[str]]) -> list[UUID]:
        """Return who is meant by mentions, each given in its readings, the likeliest first."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...

    async def hold(self, tx: Tx, users: Collection[UUID]) -> Collection[UUID]:
        """Keep users from being erased before the commit; return which of them exist.

        To be asked before anything else is locked, as an erasure does.
        """


class Sights(Protocol):
    """What stands between people."""

    async def apart(self, viewer: UUID) -> Sequence[UUID]:
        """Return whom a block of either side, or the viewer's mute, hides from the viewer."""

    async def seen(self, pairs: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Sight]:
        """Return for each pair what the first has to do with the second, whom they look at."""


class Placed(Protocol[P_co]):
    """Something in a list that goes on after its place."""

    @property
    def place(self) -> P_co: ...


class ByPerson(Protocol):
    """Something that a person did."""

    @property
    def author(self) -> UUID: ...


A = TypeVar("A", bound=ByPerson)
R = TypeVar("R", bound=Placed[object])
S = TypeVar("S", bound=Placed[object])


async def page(
    read: Callable[[P, int], Awaitable[Sequence[R]]],
    keep: Callable[[Sequence[R]], Awaitable[list[S]]],
    start: P,
    limit: int,
) -> tuple[list[S], P] | tuple[list[S], None]:
    """Read on from a place until a page of what may be seen is full; return where it goes on.

    Short pages that go on happen where hardly anything may be seen.
    """
    place, found = start, list[S]()
    for _ in range(ROUNDS):
        some = await read(place, limit + 1)
        found += await keep(some)
        if len(found) > limit:
            last: P = found[limit - 1].place  # type: ignore[assignment]  # what it keeps is placed alike
            return found[:limit], last
        if len(some) <= limit:
            return found, None
        place = some[-1].place  # type: ignore[assignment]  # likewise
    return found, place


class Views:
    """Shows things to `viewer`; None is the host app's backend, which sees all."""

    def __init__(self, db: Queries, people: People, sights: Sights) -> None:
        self._db = db
        self._people = people
        self._sights = sights

    async def post(self, viewer: UUID | None, id_: UUID) -> Written:
        """Return a post that the viewer may see. Raises NoSuchPost."""
        found = (await store.many(self._db, [id_], viewer or BACKEND)).get(id_)
        if viewer is None or (found is not None and found.author == viewer):
            if found is None:
                raise NoSuchPost
            return found
        # Asked where there is no post, too: the time does not tell a hidden one from none.
        sight = await self.sight(viewer, NOBODY if found is None else found.author)
        if found is None or found.visibility not in rules.open_to(sight):
            raise NoSuchPost
        if not await self.people(viewer, [found.author]):
            raise NoSuchPost
        return found

    async def sight(self, viewer: UUID, other: UUID) -> Sight:
        pair = (viewer, other)
        return (await self._sights.seen([pair]))[pair]

    async def in_lists(
        self, viewer: UUID | None, some: Sequence[A], *, on_own: bool = False
    ) -> list[A]:
        """Leave out what people did whom a block or a mute hides, but on a post of one's own.

        There the author answers for what stands, and has to be able to take it away.
        """
        if viewer is None or on_own:
            return list(some)
        others = {each.author for each in some} - {viewer}
        seen = await self._sights.seen([(viewer, other) for other in others])
        hidden = {other for (_, other), sight in seen.items() if not rules.in_lists(sight)}
        return [each for each in some if each.author not in hidden]

    async def visible(self, viewer: UUID | None, some: Sequence[Written]) -> list[Written]:
        """Leave out posts that the viewer may not see, and those of people who are muted."""
        if viewer is None:
            return list(some)
        others = {each.author for each in some} - {viewer}
        seen = await self._sights.seen([(viewer, other) for other in others])
        return [
            each
            for each in some
            if each.author == viewer
            or (
                rules.in_lists(sight := seen[viewer, each.author])
                and each.visibility in rules.open_to(sight)
            )
        ]

    async def posts(self, viewer: UUID | None, some: Sequence[Written]) -> list[Post]:
        """Put posts into the shape in which they go out; whose author is gone is left out.

        They count what the viewer's lists of likes and comments show.
        """
        people = await self._shown(viewer, some)
        others = [each.id for each in some if each.author != viewer]
        hidden = await self.hidden(viewer, store.HIDDEN_OF_POSTS, others)
        return [
            Post(
                id=each.id,
                author=people[each.author],
                text=each.body,
                media=Raw(each.media.encode()),
                visibility=each.visibility,
                tags=each.tags,
                mentions=[people[one] for one in each.mentions if one in people],
                likes=each.likes - hidden.get(each.id, (0, 0))[0],
                comments=each.comments - hidden.get(each.id, (0, 0))[1],
                liked=each.liked,
                created_at=each.created_at,
                edited_at=each.edited_at,
            )
            for each in some
            if each.author in people
        ]

    async def comments(
        self, viewer: UUID | None, some: Sequence[Said], *, on_own: bool
    ) -> list[Comment]:
        """Put comments into the shape in which they go out; on one's own post all replies count."""
        people = await self._shown(viewer, some)
        ids = [] if on_own else [each.id for each in some]
        hidden = await self.hidden(viewer, store.HIDDEN_OF_COMMENTS, ids)
        return [
            Comment(
                id=each.id,
                post=each.post,
                parent=each.parent,
                author=people[each.author],
                text=each.body,
                mentions=[people[one] for one in each.mentions if one in people],
                replies=each.replies - hidden.get(each.id, (0, 0))[1],
                created_at=each.created_at,
                edited_at=each.edited_at,
            )
            for each in some
            if each.author in people
        ]

    async def likers(self, viewer: UUID | None, some: Sequence[Fan]) -> list[Liker]:
        people = await self.people(viewer, {each.author for each in some})
        return [
            Liker(person=people[each.author], at=each.at) for each in some if each.author in people
        ]

    async def hidden(
        self, viewer: UUID | None, statement: str, ids: Sequence[UUID]
    ) -> Mapping[UUID, tuple[int, int]]:
        """Return how many likes and comments of each the viewer's lists leave out, if any."""
        apart = await self._sights.apart(viewer) if viewer is not None and ids else ()
        return await store.hidden(self._db, statement, ids, apart) if apart else {}

    async def _shown(
        self, viewer: UUID | None, some: Sequence[Written | Said]
    ) -> dict[UUID, Person]:
        """Return the authors, and who is named but for those whom a block hides from the viewer."""
        authors = {each.author for each in some}
        named = set[UUID]().union(*(each.mentions for each in some)) - authors
        if viewer is not None and (others := named - {viewer}):
            seen = await self._sights.seen([(viewer, other) for other in others])
            named -= {other for (_, other), sight in seen.items() if sight.separated}
        return await self.people(viewer, authors | named)

    async def people(self, viewer: UUID | None, users: Collection[UUID]) -> dict[UUID, Person]:
        """Return those who are there: who is suspended is so for the backend alone."""
        profiles = await self._people.profiles(list(users))
        return {
            user: person(one)
            for user, one in profiles.items()
            if viewer is None or not one.suspended
        }

    async def named(self, text: str) -> list[UUID]:
        """Return the users that a text names."""
        mentions = mentions_and_hashtags.mentions(text)
        if not mentions:
            return []
        return list(dict.fromkeys(await self._people.meant(mentions)))
