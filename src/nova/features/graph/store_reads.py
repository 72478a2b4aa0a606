"""Every statement that lists people and finds ways between them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from nova.features.graph.models import Follows, Tie
from nova.ports.database import Queries, Row

# In every list: whom a block stands between and the viewer ($4; 0 is nobody) is not there for them.
FOLLOWING = """
select p.user_id, f.followee as number, f.since, null::timestamptz as until
  from graph.follows f join graph.people p on p.number = f.followee
 where f.follower = $1 and (f.since, f.followee) < ($2::timestamptz, $3::int)
   and not exists (select from graph.ties b where b.kind = 'block'
        and ((b.person = f.followee and b.other = $4) or (b.person = $4 and b.other = f.followee)))
 order by f.since desc, f.followee desc limit $5
"""

FOLLOWERS = """
select p.user_id, f.follower as number, f.since, null::timestamptz as until
  from graph.follows f join graph.people p on p.number = f.follower
 where f.followee = $1 and (f.since, f.follower) < ($2::timestamptz, $3::int)
   and not exists (select from graph.ties b where b.kind = 'block'
        and ((b.person = f.follower and b.other = $4) or (b.person = $4 and b.other = f.follower)))
 order by f.since desc, f.follower desc limit $5
"""

MUTUALS = """
select p.user_id, f.followee as number, f.since, null::timestamptz as until
  from graph.follows f
  join graph.follows r on r.follower = f.followee and r.followee = f.follower
  join graph.people p on p.number = f.followee
 where f.follower = $1 and (f.since, f.followee) < ($2::timestamptz, $3::int)
   and not exists (select from graph.ties b where b.kind = 'block'
        and ((b.person = f.followee and b.other = $4) or (b.person = $4 and b.other = f.followee)))
 order by f.since desc, f.followee desc limit $5
"""

FOLLOWS: Mapping[Follows, str] = {
    Follows.FOLLOWERS: FOLLOWERS,
    Follows.FOLLOWING: FOLLOWING,
    Follows.MUTUALS: MUTUALS,
}

# $6 is the second person; the list is walked from whoever follows fewer.
COMMON = """
select p.user_id, f.followee as number, f.since, null::timestamptz as until
  from graph.follows f
  join graph.follows g on g.follower = $6 and g.followee = f.followee
  join graph.people p on p.number = f.followee
 where f.follower = $1 and (f.since, f.followee) < ($2::timestamptz, $3::int)
   and not exists (select from graph.ties b where b.kind = 'block'
        and ((b.person = f.followee and b.other = $4) or (b.person = $4 and b.other = f.followee)))
 order by f.since desc, f.followee desc limit $5
"""

TIES = """
select p.user_id, t.other as number, t.since, t.until
  from graph.ties t join graph.people p on p.number = t.other
 where t.person = $1 and t.kind = $2 and (t.since, t.other) < ($3::timestamptz, $4::int)
   and (t.until is null or t.until > $5)
   and (t.kind = 'block' or not exists (
        select from graph.ties b where b.kind = 'block' and b.other = $1 and b.person = t.other
           and not exists (select from graph.ties m
                where m.kind = 'block' and m.person = $1 and m.other = t.other)))
 order by t.since desc, t.other desc limit $6
"""

REQUESTS = """
select p.user_id, t.person as number, t.since, t.until
  from graph.ties t join graph.people p on p.number = t.person
 where t.other = $1 and t.kind = 'request' and (t.since, t.person) < ($2::timestamptz, $3::int)
 order by t.since desc, t.person desc limit $4
"""

# Steps of a search from both ends; $2 are people whom the way must not lead through. Nor does it
# lead through those whose lists are closed to the viewer ($4; 0 sees all), but to the ends, $5.
AHEAD = """
select distinct on (followee) followee as found, follower as via from graph.follows e
 where follower = any($1::int[]) and followee <> all($2::int[])
   and ($4 = 0 or followee = any($5::int[]) or exists (
        select from graph.people p where p.number = e.followee and (not p.private or exists (
            select from graph.follows f where f.follower = $4 and f.followee = p.number))))
 limit $3
"""

BACK = """
select distinct on (follower) follower as found, followee as via from graph.follows e
 where followee = any($1::int[]) and follower <> all($2::int[])
   and ($4 = 0 or follower = any($5::int[]) or exists (
        select from graph.people p where p.number = e.follower and (not p.private or exists (
            select from graph.follows f where f.follower = $4 and f.followee = p.number))))
 limit $3
"""

CLOSED = """
select number from graph.people p
 where number = any($2::int[]) and private
   and not exists (select from graph.follows f where f.follower = $1 and f.followee = p.number)
"""

WIDTH_AHEAD = "select coalesce(sum(following), 0) from graph.people where number = any($1::int[])"

WIDTH_BACK = "select coalesce(sum(followers), 0) from graph.people where number = any($1::int[])"

LEADS = """
select count(*) from unnest($1::int[], $2::int[]) as hop (follower, followee)
  join graph.follows f on f.follower = hop.follower and f.followee = hop.followee
"""

SEPARATED = """
select other as number from graph.ties where person = $1 and kind = 'block'
 union select person from graph.ties where other = $1 and kind = 'block'
"""

# How many of a person's followers, and of those followed, a block keeps apart from a viewer.
UNSEEN = """
with apart as (
    select t.other as number from graph.ties t join graph.people v on v.number = t.person
     where v.user_id = $2 and t.kind = 'block'
     union
    select t.person from graph.ties t join graph.people v on v.number = t.other
     where v.user_id = $2 and t.kind = 'block')
select (select count(*) from graph.follows f join apart a on f.follower = a.number
         where f.followee = $1) as followers,
       (select count(*) from graph.follows f join apart a on f.followee = a.number
         where f.follower = $1) as following
"""

# Never suggested is who is blocked, muted, asked or dismissed, and who blocks the person.
STANDINGS = """
select p.user_id, p.number, array(
    select other from graph.ties where person = p.number
     union all select person from graph.ties where other = p.number and kind = 'block') as hidden
  from graph.people p where p.user_id = any($1::uuid[])
"""

USERS = "select number, user_id from graph.people where number = any($1::int[])"

EVERYTHING = """
select 'following' as kind, p.user_id, f.since from graph.follows f
  join graph.people p on p.number = f.followee where f.follower = $1
 union all
select 'follower', p.user_id, f.since from graph.follows f
  join graph.people p on p.number = f.follower where f.followee = $1
 union all
select t.kind, p.user_id, t.since from graph.ties t
  join graph.people p on p.number = t.other where t.person = $1
 order by since
"""


class Listed(Struct, frozen=True):
    """Somebody in a list."""

    user: UUID
    number: int
    since: datetime
    until: datetime | None


class Place(Struct, frozen=True, array_like=True):
    """Where a list goes on, newest first."""

    since: datetime
    number: int


class Standing(Struct, frozen=True):
    """A person's number, and the numbers of those who are never suggested to them."""

    number: int
    hidden: Sequence[int]


async def follows(
    db: Queries, statement: str, number: int, place: Place, *, viewer: int, most: int
) -> list[Listed]:
    """Run one of FOLLOWING, FOLLOWERS and MUTUALS."""
    rows = await db.fetch(statement, number, place.since, place.number, viewer, most)
    return [_listed(row) for row in rows]


async def common(
    db: Queries, one: int, other: int, place: Place, *, viewer: int, most: int
) -> list[Listed]:
    rows = await db.fetch(COMMON, one, place.since, place.number, viewer, most, other)
    return [_listed(row) for row in rows]


async def ties(
    db: Queries, number: int, tie: Tie, place: Place, *, at: datetime, most: int
) -> list[Listed]:
    rows = await db.fetch(TIES, number, tie.value, place.since, place.number, at, most)
    return [_listed(row) for row in rows]


async def requests(db: Queries, number: int, place: Place, *, most: int) -> list[Listed]:
    return [
        _listed(row) for row in await db.fetch(REQUESTS, number, place.since, place.number, most)
    ]


async def step(
    db: Queries,
    edge: Sequence[int],
    *,
    ahead: bool,
    around: Sequence[int],
    viewer: int,
    ends: Sequence[int],
    most: int,
) -> list[tuple[int, int]]:
    """Return (found, via) of those one step away."""
    rows = await db.fetch(AHEAD if ahead else BACK, edge, around, most, viewer, ends)
    return [(row["found"], row["via"]) for row in rows]


async def width(db: Queries, edge: Sequence[int], *, ahead: bool) -> int:
    """Return how many edges a step from there would follow."""
    return int(await db.value(WIDTH_AHEAD if ahead else WIDTH_BACK, edge))


async def leads(db: Queries, way: Sequence[int]) -> bool:
    """Return whether each one on a way follows the next."""
    hops = len(way) - 1
    return bool(hops == await db.value(LEADS, way[:-1], way[1:]))


async def closed(db: Queries, viewer: int, among: Sequence[int]) -> list[int]:
    """Return those of these people whose lists are not for the viewer."""
    return [row["number"] for row in await db.fetch(CLOSED, viewer, among)]


async def separated(db: Queries, number: int) -> list[int]:
    """Return those whom a block stands between, of either side."""
    return [row["number"] for row in await db.fetch(SEPARATED, number)]


async def unseen(db: Queries, number: int, viewer: UUID) -> tuple[int, int]:
    """Return how many followers and followed of a person a viewer's lists leave out."""
    row = await db.row(UNSEEN, number, viewer)
    return (0, 0) if row is None else (row["followers"], row["following"])


async def standings(db: Queries, users: Sequence[UUID]) -> dict[UUID, Standing]:
    """Return the numbers of those who have anything to do with others, and whom to hide."""
    rows = await db.fetch(STANDINGS, users)
    return {row["user_id"]: Standing(row["number"], row["hidden"]) for row in rows}


async def users(db: Queries, numbers: Sequence[int]) -> dict[int, UUID]:
    return {row["number"]: row["user_id"] for row in await db.fetch(USERS, numbers)}


async def everything(db: Queries, number: int) -> dict[str, list[dict[str, object]]]:
    """Return all that a person has with others, by kind."""
    found: dict[str, list[dict[str, object]]] = {}
    for row in await db.fetch(EVERYTHING, number):
        one = {"user": row["user_id"], "since": row["since"]}
        found.setdefault(row["kind"], []).append(one)
    return found


def _listed(row: Row) -> Listed:
    return Listed(row["user_id"], row["number"], row["since"], row["until"])
