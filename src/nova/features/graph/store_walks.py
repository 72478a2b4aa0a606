"""Walks along follows in the truth: for when the graph index does not answer, and to check it."""

from collections.abc import Collection

from nova.ports.database import Queries
from nova.ports.graph import Candidate

MOST_FOLLOWED = 200
MOST_EACH = 200
MOST_NAMED = 2

# Resource allocation, as in the index; $2 are those who must not be suggested.
SUGGESTED = """
with mine as (
    select followee as friend from graph.follows
     where follower = $1 order by since desc, followee desc limit $4
), shares as (
    select m.friend, 1.0::float8 / p.following as share, p.followers
      from mine m join graph.people p on p.number = m.friend where p.following > 0
)
select t.followee as number, sum(s.share) as score,
       array_agg(s.friend order by s.followers desc, s.friend) as by
  from shares s cross join lateral (
    select followee from graph.follows
     where follower = s.friend order by since desc, followee desc limit $5
  ) t
 where t.followee <> $1 and t.followee <> all($2::int[])
   and not exists (select from graph.follows f where f.follower = $1 and f.followee = t.followee)
 group by t.followee order by score desc, number limit $3
"""

POPULAR = """
select p.number from graph.people p
 where p.followers > 0 and p.number <> $1 and p.number <> all($2::int[])
   and not exists (select from graph.follows f where f.follower = $1 and f.followee = p.number)
 order by p.followers desc, p.number limit $3
"""

MUTUALS = """
select f.followee as number from graph.follows f
  join graph.follows r on r.follower = f.followee and r.followee = f.follower
 where f.follower = $1 order by f.since desc, f.followee desc limit $2
"""

COMMON = """
select f.followee as number from graph.follows f
  join graph.follows g on g.follower = $2 and g.followee = f.followee
 where f.follower = $1 order by f.since desc, f.followee desc limit $3
"""

FOLLOWED = "select followee from graph.follows where follower = $1 and followee = any($2::int[])"


async def suggested(
    db: Queries, number: int, hidden: Collection[int], most: int
) -> list[Candidate]:
    rows = await db.fetch(SUGGESTED, number, list(hidden), most, MOST_FOLLOWED, MOST_EACH)
    found = [
        Candidate(
            row["number"],
            row["score"],
            row["by"][:MOST_NAMED],
            max(0, len(row["by"]) - MOST_NAMED),
        )
        for row in rows
    ]
    if len(found) < most:
        known = [*hidden, *(each.number for each in found)]
        rows = await db.fetch(POPULAR, number, known, most - len(found))
        found += [Candidate(row["number"], 0.0, (), 0) for row in rows]
    return found


async def mutuals(db: Queries, number: int, most: int) -> list[int]:
    return [row["number"] for row in await db.fetch(MUTUALS, number, most)]


async def common(db: Queries, one: int, other: int, most: int) -> list[int]:
    return [row["number"] for row in await db.fetch(COMMON, one, other, most)]


async def followed(db: Queries, number: int, among: Collection[int]) -> set[int]:
    return {row["followee"] for row in await db.fetch(FOLLOWED, number, list(among))}
