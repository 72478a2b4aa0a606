"""Every statement of the import of edges."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from nova.features.graph.store import ENTER, FIND
from nova.ports.database import Queries

PROGRESS = """
select position, line, added, known, refused, finished from graph.imports where file = $1
"""

MOVE = """
insert into graph.imports as i
    (file, name, position, line, added, known, refused, finished, started_at, changed_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
    on conflict (file) do update set
    position = $3, line = $4, added = $5, known = $6, refused = $7, finished = $8, changed_at = $9
"""

STAGE = """
create temp table arriving (line bigint, follower integer, followee integer) on commit drop
"""

LOCK = """
select number from graph.people where number in (
    select follower from arriving union select followee from arriving)
 order by number for update
"""

# Numbers are remembered over stretches, and their people may be erased meanwhile.
GONE = """
delete from arriving a
 where not exists (select from graph.people p where p.number = a.follower)
    or not exists (select from graph.people p where p.number = a.followee)
returning a.line
"""

LEAVE_OUT = """
delete from arriving a where exists (
    select from graph.ties t where t.kind = 'block'
       and ((t.person = a.follower and t.other = a.followee)
         or (t.person = a.followee and t.other = a.follower)))
returning a.line
"""

# In the order of the primary key, which is what makes a large insert quick. Whoever else changes
# edges of these people waits for their rows, so what is not there now is not there when it is
# inserted; `on conflict` would cost a fifth more. `offset 0` has each edge looked up by the key:
# joined, all there are would be read for every stretch.
ARRIVE = """
with added as (
    insert into graph.follows (follower, followee, since)
    select distinct follower, followee, $1::timestamptz from arriving a
     where not exists (select from graph.follows f
            where f.follower = a.follower and f.followee = a.followee offset 0)
     order by follower, followee
    returning follower, followee
), counted as (
    update graph.people p set followers = p.followers + d.followers,
                              following = p.following + d.following
      from (
        select number, sum(followers) as followers, sum(following) as following from (
            select followee as number, 1 as followers, 0 as following from added
             union all
            select follower, 0, 1 from added
        ) e group by number
      ) d where p.number = d.number
)
select count(*) from added
"""

# A stretch is sorted in memory; this ends with the transaction.
MEMORY = "set local work_mem = '64MB'"

ANY_BLOCK = "select exists (select from graph.ties where kind = 'block')"

ANY_REQUEST = "select exists (select from graph.ties where kind = 'request')"

# Who follows does not go on asking to.
GRANT = """
delete from graph.ties t using arriving a
 where t.person = a.follower and t.other = a.followee and t.kind = 'request'
"""


class Progress(Struct, frozen=True):
    """How far an import got."""

    position: int = 0
    line: int = 0
    added: int = 0
    known: int = 0
    """Edges that were there already, or twice in the file."""
    refused: int = 0
    finished: bool = False


async def progress(db: Queries, file: bytes) -> Progress:
    row = await db.row(PROGRESS, file)
    return Progress() if row is None else Progress(**row)


async def move(db: Queries, file: bytes, name: str, to: Progress, at: datetime) -> None:
    await db.run(
        MOVE, file, name, to.position, to.line, to.added, to.known, to.refused, to.finished, at
    )


async def numbers(db: Queries, users: Sequence[UUID]) -> dict[UUID, int]:
    """Return the numbers of people, entering those who had none."""
    await db.run(ENTER, users)
    return {row["user_id"]: row["number"] for row in await db.fetch(FIND, users)}


async def arrive(
    db: Queries, edges: Sequence[tuple[int, int, int]], at: datetime
) -> tuple[int, dict[int, str]]:
    """Store (line, follower, followee); return how many are new, and why lines were left out."""
    await db.run(MEMORY)
    await db.run(STAGE)
    await db.copy("arriving", ("line", "follower", "followee"), edges)
    out = await _left_out(db, edges)
    if await db.value(ANY_REQUEST):
        await db.run(GRANT)
    return int(await db.value(ARRIVE, at)), out


async def _left_out(db: Queries, edges: Sequence[tuple[int, int, int]]) -> dict[int, str]:
    """Lock the people, and leave out edges that cannot be; return why, by line."""
    there = {row["number"] for row in await db.fetch(LOCK)}
    out: dict[int, str] = {}
    if not all(one in there and other in there for _, one, other in edges):
        gone = await db.fetch(GONE)
        out |= dict.fromkeys((row["line"] for row in gone), "one of the two was erased meanwhile")
    if await db.value(ANY_BLOCK):
        blocked = await db.fetch(LEAVE_OUT)
        out |= dict.fromkeys((row["line"] for row in blocked), "a block stands between the two")
    return out
