"""What stands between people, for other features: who follows whom, who is hidden from whom."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from uuid import UUID

from msgspec import Struct

from nova.features.graph.silences import Silences
from nova.kernel.clock import Clock
from nova.kernel.recent import Changes, Recent, hear
from nova.ports.database import Queries

SIGNAL = "followees"
EVERYBODY = "everybody"
"""A signal's payload after an import, instead of a follower's id."""

# Of each pair, what lies between the first, who looks, and the second, who is looked at.
SEEN = """
select w.viewer, w.other, o.private,
       exists (select from graph.follows f
                where f.follower = v.number and f.followee = o.number) as follows,
       exists (select from graph.ties t where t.person = o.number and t.other = v.number
                  and t.kind = 'close_friend') as close_friend,
       exists (select from graph.ties t where t.kind = 'block'
                  and ((t.person = o.number and t.other = v.number)
                    or (t.person = v.number and t.other = o.number))) as separated,
       exists (select from graph.ties t where t.kind = 'block'
                  and t.person = v.number and t.other = o.number) as blocks,
       exists (select from graph.ties t where t.person = v.number and t.other = o.number
                  and t.kind = 'mute' and (t.until is null or t.until > $3)) as muted
  from unnest($1::uuid[], $2::uuid[]) as w (viewer, other)
  join graph.people o on o.user_id = w.other
  left join graph.people v on v.user_id = w.viewer
"""

FOLLOWEES = """
select p.user_id from graph.people me
  join graph.follows f on f.follower = me.number
  join graph.people p on p.number = f.followee
 where me.user_id = $1 order by f.since desc, f.followee desc limit $2
"""

# Whom a block of either side, or a mute of the one who looks, hides.
APART = """
select o.user_id from graph.people v
  join lateral (
    select other as number from graph.ties
     where person = v.number
       and (kind = 'block' or (kind = 'mute' and (until is null or until > $2)))
     union
    select person from graph.ties where other = v.number and kind = 'block'
  ) t on true
  join graph.people o on o.number = t.number
 where v.user_id = $1 limit $3
"""

# Whom more than $2 follow is not told of by name.
FOLLOWERS = """
select a.user_id as author, a.followers > $2 as is_wide, array(
    select v.user_id from graph.follows f join graph.people v on v.number = f.follower
     where f.followee = a.number and a.followers <= $2) as followers
  from graph.people a where a.user_id = any($1::uuid[])
"""

# From the viewers' side: they are few, and an author may have a million followers.
AUDIENCE = """
select v.user_id as viewer, a.user_id as author
  from graph.people v cross join graph.people a
  join graph.follows f on f.follower = v.number and f.followee = a.number
 where v.user_id = any($2::uuid[]) and a.user_id = any($1::uuid[])
"""

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
        rows = await self._db.fetch(FOLLOWEES, user, MOST_FOLLOWED)
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
        rows = await self._db.fetch(SEEN, list(viewers), list(others), self._clock.now())
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
        rows = await self._db.fetch(APART, viewer, self._clock.now(), MOST_APART)
        if not rows:
            self._together.put(viewer, mark)
        return [row["user_id"] for row in rows]

    async def followers(
        self, authors: Sequence[UUID], most: int
    ) -> Mapping[UUID, Sequence[UUID] | None]:
        """Return who follows each author; None for one whom more than `most` follow."""
        rows = await self._db.fetch(FOLLOWERS, authors, most)
        return {row["author"]: None if row["is_wide"] else row["followers"] for row in rows}

    async def audience(
        self, authors: Sequence[UUID], viewers: Sequence[UUID]
    ) -> Sequence[tuple[UUID, UUID]]:
        """Return the pairs of those viewers and those authors whom they follow."""
        rows = await self._db.fetch(AUDIENCE, authors, viewers)
        return [(row["viewer"], row["author"]) for row in rows]
