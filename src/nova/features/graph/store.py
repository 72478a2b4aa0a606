"""Every statement that changes what people have with each other."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from nova.backbone.maintenance_batches import in_portions
from nova.features.graph.models import Bond, Node, Tie
from nova.ports.database import Queries, Row

Pair = tuple[int, int]

# In the order of numbers: whoever needs several people takes them in this order.
LOCK = """
select number, user_id, private, followers, following from graph.people
 where user_id = any($1::uuid[]) order by number for update
"""

# In the order of ids, so that two processes with the same people wait for each other in turn.
ENTER = """
insert into graph.people (user_id)
select user_id from unnest($1::uuid[]) as new (user_id) order by user_id
    on conflict (user_id) do nothing
"""

FIND = """
select number, user_id, private, followers, following from graph.people
 where user_id = any($1::uuid[])
"""

BONDS = """
select w.person, w.other, f.follower is not null as follows, t.kinds, t.until
  from unnest($1::int[], $2::int[]) as w (person, other)
  left join graph.follows f on f.follower = w.person and f.followee = w.other
  left join lateral (
    select array_agg(kind) as kinds, max(until) as until from graph.ties
     where person = w.person and other = w.other and (until is null or until > $3)
  ) t on true
"""

ADD_FOLLOWS = """
insert into graph.follows (follower, followee, since)
select follower, followee, $3 from unnest($1::int[], $2::int[]) as new (follower, followee)
"""

REMOVE_FOLLOWS = """
delete from graph.follows f using unnest($1::int[], $2::int[]) as old (follower, followee)
 where f.follower = old.follower and f.followee = old.followee
"""

COUNT = """
update graph.people p set followers = p.followers + d.followers,
                          following = p.following + d.following
  from unnest($1::int[], $2::bigint[], $3::bigint[]) as d (number, followers, following)
 where p.number = d.number
"""

ADD_TIES = """
insert into graph.ties as t (person, other, kind, since, until)
select person, other, kind, $5, until
  from unnest($1::int[], $2::int[], $3::text[], $4::timestamptz[])
    as new (person, other, kind, until)
    on conflict (person, other, kind) do update set since = excluded.since, until = excluded.until
"""

REMOVE_TIES = """
delete from graph.ties t using unnest($1::int[], $2::int[], $3::text[]) as old (person, other, kind)
 where t.person = old.person and t.other = old.other and t.kind = old.kind
"""

SET_PRIVATE = "update graph.people set private = $2 where number = $1 and private <> $2"

EXPIRED = """
delete from graph.ties where ctid = any(array(
    select ctid from graph.ties where until <= $1 limit $2))
"""

SOME_FOLLOWERS = "select follower from graph.follows where followee = $1 limit $2"

LOCK_NUMBERS = """
select number from graph.people where number = any($1::int[]) order by number for update
"""

LOSE = """
delete from graph.follows where followee = $1 and follower = any($2::int[]) returning follower
"""

# Everybody whose counts an erasure changes, locked before they change. Joined with `or` in place
# of the union, the neighbours would be looked for among everybody.
LOCK_NEIGHBOURS = """
select number from graph.people where number in (
    select $1
     union select follower from graph.follows where followee = $1
     union select followee from graph.follows where follower = $1)
 order by number for update
"""

ERASE = (
    """
update graph.people p set following = following - 1
  from graph.follows f where f.followee = $1 and f.follower = p.number
""",
    """
update graph.people p set followers = followers - 1
  from graph.follows f where f.follower = $1 and f.followee = p.number
""",
    "delete from graph.follows where follower = $1",
    "delete from graph.follows where followee = $1",
    "delete from graph.ties where person = $1",
    "delete from graph.ties where other = $1",
    "delete from graph.people where number = $1",
)


async def lock(db: Queries, users: Collection[UUID]) -> dict[UUID, Node]:
    """Lock people until the commit, entering those who had nothing to do with anybody yet.

    Raises Dangling when one of them is no user.
    """
    wanted = list(users)
    rows = await db.fetch(LOCK, wanted)
    if len(rows) < len(wanted):
        await db.run(ENTER, wanted)
        rows = await db.fetch(LOCK, wanted)
    return {row["user_id"]: _node(row) for row in rows}


async def find(db: Queries, users: Sequence[UUID]) -> dict[UUID, Node]:
    return {row["user_id"]: _node(row) for row in await db.fetch(FIND, users)}


async def bonds(db: Queries, pairs: Sequence[Pair], at: datetime) -> dict[Pair, Bond]:
    """Return what the first of each pair has with the second at that time."""
    rows = await db.fetch(BONDS, *_columns(pairs, 2), at)
    return {
        (row["person"], row["other"]): Bond(
            row["follows"], frozenset(map(Tie, row["kinds"] or ())), row["until"]
        )
        for row in rows
    }


async def write(
    db: Queries, old: Mapping[Pair, Bond], new: Mapping[Pair, Bond], at: datetime
) -> None:
    """Make the rows, and the counts, what the new bonds say."""
    changed = [pair for pair, bond in new.items() if bond != old[pair]]
    added = [pair for pair in changed if new[pair].follows and not old[pair].follows]
    gone = [pair for pair in changed if old[pair].follows and not new[pair].follows]
    if added:
        await db.run(ADD_FOLLOWS, *_columns(added, 2), at)
    if gone:
        await db.run(REMOVE_FOLLOWS, *_columns(gone, 2))
    if added or gone:
        await db.run(COUNT, *_columns(_deltas(added, gone), 3))
    tied = [
        (*pair, tie, new[pair].until if tie is Tie.MUTE else None)
        for pair in changed
        for tie in new[pair].ties
        if tie not in old[pair].ties or (tie is Tie.MUTE and new[pair].until != old[pair].until)
    ]
    untied = [(*pair, tie) for pair in changed for tie in old[pair].ties - new[pair].ties]
    if tied:
        await db.run(ADD_TIES, *_columns(tied, 4), at)
    if untied:
        await db.run(REMOVE_TIES, *_columns(untied, 3))


async def set_private(db: Queries, number: int, *, private: bool) -> bool:
    """Return whether that was a change."""
    return await db.run(SET_PRIVATE, number, private) > 0


async def expire(db: Queries, at: datetime) -> int:
    return await in_portions(partial(db.run, EXPIRED, at))


async def lose_followers(db: Queries, number: int, most: int) -> int:
    """Take some followers away from a person, and return how many."""
    some = [row["follower"] for row in await db.fetch(SOME_FOLLOWERS, number, most)]
    await db.fetch(LOCK_NUMBERS, [*some, number])
    gone = [(row["follower"], number) for row in await db.fetch(LOSE, number, some)]
    if gone:
        await db.run(COUNT, *_columns(_deltas([], gone), 3))
    return len(some)


async def erase(db: Queries, number: int) -> None:
    await db.fetch(LOCK_NEIGHBOURS, number)
    for statement in ERASE:
        await db.run(statement, number)


def _deltas(added: Sequence[Pair], gone: Sequence[Pair]) -> list[tuple[int, int, int]]:
    """Return (person, more followers, more following)."""
    counts: dict[int, list[int]] = {}
    for pairs, by in ((added, 1), (gone, -1)):
        for follower, followee in pairs:
            counts.setdefault(followee, [0, 0])[0] += by
            counts.setdefault(follower, [0, 0])[1] += by
    return [(number, *both) for number, both in counts.items()]  # type: ignore[misc]  # two each


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


def _node(row: Row) -> Node:
    return Node(row["number"], row["user_id"], row["private"], row["followers"], row["following"])
