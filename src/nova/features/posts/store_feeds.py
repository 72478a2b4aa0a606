"""Every statement about where the posts of a home feed are found."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from msgspec import Struct

from nova.backbone.maintenance_batches import in_portions
from nova.features.posts.models import Candidate
from nova.ports.database import Queries

ROWS_AT_ONCE = 20_000

AUTHORS = """
select author, newest from posts.authors
 where (newest, author) < ($1::uuid, $2::uuid) order by newest desc, author desc limit $3
"""

WIDE = """
select w.version, a.author from posts.wideness w left join posts.authors a on a.wide
"""

NEWEST_OF = """
select w.author, array(select p.id from posts.posts p where p.author = w.author
                        order by p.id desc limit $2) as posts
  from unnest($1::uuid[]) as w (author)
"""

# Only authors whose newest post is among the newest ones can be on the page.
OLDER = """
with heads as (
    select w.author, h.id from unnest($1::uuid[]) as w (author)
     cross join lateral (
        select p.id from posts.posts p where p.author = w.author and p.id < $2
         order by p.id desc limit 1) h
     order by h.id desc limit $3
)
select p.id, p.author from heads cross join lateral (
    select p.id, p.author from posts.posts p where p.author = heads.author and p.id < $2
     order by p.id desc limit $3) p
 order by p.id desc limit $3
"""

# What was pushed to a reader and what is not pushed yet, as of one moment.
HOME = """
select h.is_built and h.imports = w.imports as is_built, h.dropped,
       h.read_at < $5 as is_long_ago, w.version, e.id, e.author
  from posts.homes h cross join posts.wideness w left join lateral (
    (select p.id, p.author from posts.entries e join posts.posts p on p.id = e.post
      where e.owner = h.owner and e.post < $3 and e.post > h.dropped
      order by e.post desc limit $4)
     union all
    (select post, author from posts.unpushed where post < $3 and author = any($2::uuid[])
      order by post desc limit $4)) e on true
 where h.owner = $1
"""

# A home from before the last import begins anew; who still builds the old one builds in vain.
MAKE = """
insert into posts.homes as h (owner, made, read_at, imports)
select $1, $2, $3, imports from posts.wideness
    on conflict (owner) do update
   set read_at = excluded.read_at, imports = excluded.imports,
       is_built = h.is_built and h.imports = excluded.imports,
       made = case when h.imports = excluded.imports then h.made else excluded.made end
returning h.made
"""

BUILT = "update posts.homes set is_built = true where owner = $1 and made = $2"

READ = "update posts.homes set read_at = $2 where owner = $1"

AWAIT = "insert into posts.unpushed (post, author) values ($1, $2)"

PUSHED = "delete from posts.unpushed where post = any($1::uuid[])"

PUSH = """
insert into posts.entries (owner, post)
select h.owner, new.post from unnest($1::uuid[], $2::uuid[]) as new (owner, post)
  join posts.homes h on h.owner = new.owner
    on conflict do nothing
"""

# One more than a feed keeps, so that what is left out is known to be.
BACKFILL = """
insert into posts.entries (owner, post)
select h.owner, p.id from unnest($1::uuid[], $2::uuid[]) as new (owner, author)
  join posts.homes h on h.owner = new.owner
  join posts.authors a on a.author = new.author and not a.wide
 cross join lateral (
    select id from posts.posts where author = new.author order by id desc limit $3) p
    on conflict do nothing
"""

# In the order of ids, so that two who trim the same feeds wait for each other in turn.
LOCK = """
select owner from posts.homes where owner = any($1::uuid[]) and random() < $2
 order by owner for no key update
"""

TRIM = """
with beyond as (
    select w.owner, e.post from unnest($1::uuid[]) as w (owner) cross join lateral (
        select post from posts.entries where owner = w.owner
         order by post desc offset $2 limit 1) e
), gone as (
    delete from posts.entries e using beyond b where e.owner = b.owner and e.post <= b.post
)
update posts.homes h set dropped = greatest(h.dropped, b.post)
  from beyond b where h.owner = b.owner
"""

ARE_WIDE = "select author from posts.authors where author = any($1::uuid[]) and wide"

# Whoever changes the version waits for the others who do, so it says exactly who is wide.
WIDEN = """
with counted as (update posts.wideness set version = version + 1)
update posts.authors set wide = true where author = any($1::uuid[])
"""

# One row instead of all homes: a home is built when it is of the last import. What is in it may
# stay: it is only no longer known to be all.
RESET = "update posts.wideness set imports = imports + 1"

# With a home go all its entries: so these are a few homes at a time, and $2 is how many.
FORGET_HOMES = """
delete from posts.homes where ctid = any(array(
    select ctid from posts.homes where read_at < $1 limit $2))
"""

FORGET_UNPUSHED = """
delete from posts.unpushed where ctid = any(array(select ctid from posts.unpushed limit $1))
"""

_FAR = datetime(9_000, 1, 1, tzinfo=UTC)

ENTRIES_OF_A_HOME = 250
"""As many as a portion counts for each home."""

Row = tuple[UUID, UUID]
"""Whose feed, and a post; or whose feed, and an author."""


class Home(Struct, frozen=True):
    """What a feed that was written ahead says about a page."""

    is_built: bool
    dropped: UUID
    is_long_ago: bool
    """It was read last before the time that was given."""
    version: int
    """Of the wide authors, whose posts it lacks."""
    found: list[Candidate]

    def knows(self, newest: Sequence[Candidate], most: int) -> bool:
        """Whether a page of these is whole: nothing that was dropped belongs on it."""
        if self.dropped.int == 0:
            return True
        return len(newest) == most and newest[-1].id > self.dropped


async def older(db: Queries, authors: Sequence[UUID], before: UUID, most: int) -> list[Candidate]:
    """Return the newest posts of these authors before one."""
    rows = await db.fetch(OLDER, authors, before, most)
    return [Candidate(row["id"], row["author"]) for row in rows]


async def home(
    db: Queries,
    owner: UUID,
    authors: Sequence[UUID],
    before: UUID,
    most: int,
    *,
    since: datetime,
) -> Home | None:
    rows = await db.fetch(HOME, owner, authors, before, most, since)
    if not rows:
        return None
    found = [Candidate(row["id"], row["author"]) for row in rows if row["id"] is not None]
    first = rows[0]
    return Home(first["is_built"], first["dropped"], first["is_long_ago"], first["version"], found)


async def make(db: Queries, owner: UUID, made: UUID, at: datetime) -> UUID:
    """Make a home unless there is one; return what tells it from others."""
    found: UUID = await db.value(MAKE, owner, made, at)
    return found


async def push(db: Queries, rows: Iterable[Row]) -> None:
    """Write posts into feeds, for as far as these are kept."""
    ordered = sorted(rows)
    for start in range(0, len(ordered), ROWS_AT_ONCE):
        await db.run(PUSH, *_columns(ordered[start : start + ROWS_AT_ONCE]))


async def backfill(db: Queries, rows: Collection[Row], most: int) -> None:
    """Write the newest posts of authors into feeds."""
    await db.run(BACKFILL, *_columns(sorted(rows)), most)


async def trim(db: Queries, owners: Iterable[UUID], keep: int, *, share: float = 1.0) -> None:
    """Keep so many entries of each feed; of a `share` of these feeds, chosen by chance."""
    locked = [row["owner"] for row in await db.fetch(LOCK, sorted(set(owners)), share)]
    if locked:
        await db.run(TRIM, locked, keep)


async def wide(db: Queries) -> tuple[int, set[UUID]]:
    """Return all whose posts are pulled, and the version of that."""
    rows = await db.fetch(WIDE)
    return rows[0]["version"], {row["author"] for row in rows} - {None}


async def are_wide(db: Queries, authors: Collection[UUID]) -> set[UUID]:
    """Return those of these authors whose posts are pulled."""
    return {row["author"] for row in await db.fetch(ARE_WIDE, list(authors))}


def _columns(rows: Sequence[Row]) -> tuple[list[UUID], list[UUID]]:
    return [one for one, _ in rows], [other for _, other in rows]


async def forget_homes(db: Queries, before: datetime) -> None:
    """Delete the feeds that nobody has read since."""

    async def some(most: int) -> int:
        homes = max(1, most // ENTRIES_OF_A_HOME)
        return most if await db.run(FORGET_HOMES, before, homes) == homes else 0

    await in_portions(some)


async def forget_all(db: Queries) -> None:
    await forget_homes(db, _FAR)
    await in_portions(partial(db.run, FORGET_UNPUSHED))
