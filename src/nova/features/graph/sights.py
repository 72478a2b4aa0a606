"""What stands between people, for other features: who follows whom, who is hidden from whom."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from uuid import UUID

from msgspec import Struct

from nova.features.graph import store_sights
from nova.features.graph.silences import Silences
from nova.kernel.clock import Clock
from nova.kernel.recent import Changes, Recent, hear
from nova.ports.database import Queries

SIGNAL = "followees"
EVERYBODY = "everybody"
"""A signal's payload after an import, instead of a follower's id."""


MOST_APART = 10_000
"""Of people whom somebody does not see, so many are taken out of counts."""
MOST_FOLLOWED = 20_000
"""Of whom somebody follows, so many make up what they see; the newest ones."""


class Sight(Struct, frozen=True, kw_only=True):
    """What lies between somebody who looks and somebody who is looked at."""

    follows: bool = False
    """The one who looks follows the other."""
    close_friend: bool = False
    """The other counts the one who looks among the close friends."""
    separated: bool = False
    """A block stands between them, of either side."""
    blocks: bool = False
    """The one who looks blocks the other."""
    muted: bool = False
    """The one who looks has muted the other."""
    private: bool = False
    """The other's account is private."""


STRANGER = Sight()


class Followees:
    """Whom people follow, remembered until a signal says that it changed."""

    def __init__(self, db: Queries, *, most: int = 500_000) -> None:
        """Up to `most` followees are remembered, whoever follows them; the oldest go first."""
        self._db = db
        self._most = most
        self._kept: dict[UUID, tuple[int, Sequence[UUID]]] = {}
        self._size = 0
        self._changes: Changes[UUID] = Changes(200_000)

    def forget(self, payload: str | None) -> None:
        """Look at a follower anew; anything but an id means everybody."""
        hear(self._changes, payload)

    async def of(self, user: UUID) -> Sequence[UUID]:
        kept = self._kept.get(user)
        if kept is not None and not self._changes.since(kept[0], user):
            return kept[1]
        mark = self._changes.mark()
        found = await self.read(user)
        self._keep(user, mark, found)
        return found

    async def read(self, user: UUID) -> Sequence[UUID]:
        """Return whom a user follows now, whatever is remembered."""
        rows = await self._db.fetch(store_sights.FOLLOWEES, user, MOST_FOLLOWED)
        return tuple(row["user_id"] for row in rows)

    def _keep(self, user: UUID, mark: int, found: Sequence[UUID]) -> None:
        self._drop([user])
        self._kept[user] = (mark, found)
        self._size += len(found) + 1
        if self._size > self._most:
            # An eighth at once: deleting a dict's first key over and over takes ever longer.
            self._drop(list(islice(self._kept, len(self._kept) // 8 + 1)))

    def _drop(self, users: Iterable[UUID]) -> None:
        for user in users:
            old = self._kept.pop(user, None)
            if old is not None:
                self._size -= len(old[1]) + 1


class Sights:
    """Answers other features' narrow questions; all but the followees from the truth itself."""

    def __init__(self, db: Queries, clock: Clock, followees: Followees, silences: Silences) -> None:
        self._db = db
        self._clock = clock
        self._together: Recent[UUID, int] = Recent(200_000)
        self._changes = silences.changes
        self.following = followees.of
        self.following_now = followees.read

    async def seen(self, pairs: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], Sight]:
        """Return for each pair what the first has to do with the second, whom they look at."""
        if not pairs:
            return {}
        viewers, others = zip(*pairs, strict=True)
        rows = await self._db.fetch(
            store_sights.SEEN, list(viewers), list(others), self._clock.now()
        )
        found = {
            (row["viewer"], row["other"]): Sight(
                follows=row["follows"],
                close_friend=row["close_friend"],
                separated=row["separated"],
                blocks=row["blocks"],
                muted=row["muted"],
                private=row["private"],
            )
            for row in rows
        }
        return {pair: found.get(pair, STRANGER) for pair in pairs}

    async def apart(self, viewer: UUID) -> Sequence[UUID]:
        """Return who is hidden from a viewer; that nobody is, is remembered."""
        seen = self._together.get(viewer)
        if seen is not None and not self._changes.since(seen, viewer):
            return ()
        mark = self._changes.mark()
        rows = await self._db.fetch(store_sights.APART, viewer, self._clock.now(), MOST_APART)
        if not rows:
            self._together.put(viewer, mark)
        return [row["user_id"] for row in rows]

    async def followers(
        self, authors: Sequence[UUID], most: int
    ) -> Mapping[UUID, Sequence[UUID] | None]:
        """Return who follows each author; None for one whom more than `most` follow."""
        rows = await self._db.fetch(store_sights.FOLLOWERS, authors, most)
        return {row["author"]: None if row["is_wide"] else row["followers"] for row in rows}

    async def audience(
        self, authors: Sequence[UUID], viewers: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        """Return the pairs of those viewers and those authors whom they follow."""
        rows = await self._db.fetch(store_sights.AUDIENCE, authors, viewers)
        return [(row["viewer"], row["author"]) for row in rows]
