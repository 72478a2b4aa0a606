"""Every SQL statement of the inbox; whoever changes rows has locked the user's box."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from nova.features.notifications.models import Counts, Mark, Notification, State
from nova.features.notifications.store import counts, notification
from nova.ports.database import Queries

LOOKED_THROUGH = 10_000
"""Notifications that one page looks through, at most."""

COUNTS = "select unseen, unread from notifications.boxes where user_id = $1"

COUNTS_OF = "select user_id, unread from notifications.boxes where user_id = any($1::uuid[])"

# A page looks through so many numbers at most, since what it looks for may be rare among 100,000;
# only what is archived has an index of its own. The first row comes always, for who has a box.
_FROM = """
select w.floor, w.unseen as all_unseen, w.unread as all_unread, i.*
  from (select least($2, top + 1) as below, unseen, unread,
               greatest(least($2, top + 1) - $5, 1) as floor
          from notifications.boxes where user_id = $1) w
  left join lateral (
    select * from notifications.inbox
     where user_id = $1 and number < w.below and number >= w.floor
       and ($3::text is null or type = $3)
"""

_TO = " order by number desc limit $4) i on true order by i.number desc"

LIST = {
    State.CURRENT: _FROM + "and archived_at is null" + _TO,
    State.UNSEEN: _FROM + "and archived_at is null and seen_at is null" + _TO,
    State.UNREAD: _FROM + "and archived_at is null and read_at is null" + _TO,
    State.ARCHIVED: _FROM + "and archived_at is not null" + _TO,
    State.ALL: _FROM + _TO,
}

ONE = "select * from notifications.inbox where id = $1 and user_id = $2"

NUMBER = "select number from notifications.inbox where id = $1 and user_id = $2"

OWNER = """
select user_id from notifications.inbox where id = $1
 union all
select user_id from notifications.suppressed where id = $1
 limit 1
"""

# Alone in its statement: the next one then sees what the lock's last holder committed.
LOCK = "select top from notifications.boxes where user_id = $1 for update"

LOCK_MANY = """
select user_id from notifications.boxes
 where user_id = any($1::uuid[]) order by user_id for update
"""

OF_USER = """
select id, number from notifications.inbox where user_id = $1 and id = any($2::uuid[])
"""

# Which rows a mark changes, and to what. $1 user, $2 ids or null, $3 number, $4 now.
MARK = {
    Mark.SEEN: """
with old as (
    select id, seen_at, read_at, archived_at from notifications.inbox
     where user_id = $1 and ($2::uuid[] is null or id = any($2)) and number <= $3
       and seen_at is null
), new as (
    update notifications.inbox as i set seen_at = $4 from old where i.id = old.id
)
select id, case when archived_at is null then -1 else 0 end as unseen, 0 as unread from old
""",
    Mark.READ: """
with old as (
    select id, seen_at, read_at, archived_at from notifications.inbox
     where user_id = $1 and ($2::uuid[] is null or id = any($2)) and number <= $3
       and read_at is null
), new as (
    update notifications.inbox as i
       set read_at = $4, seen_at = coalesce(i.seen_at, $4) from old where i.id = old.id
)
select id,
       case when archived_at is null and seen_at is null then -1 else 0 end as unseen,
       case when archived_at is null then -1 else 0 end as unread
  from old
""",
    Mark.UNREAD: """
with old as (
    select id, seen_at, read_at, archived_at from notifications.inbox
     where user_id = $1 and ($2::uuid[] is null or id = any($2)) and number <= $3
       and read_at is not null
), new as (
    update notifications.inbox as i set read_at = null
      from old where i.id = old.id and $4::timestamptz is not null
)
select id, 0 as unseen, case when archived_at is null then 1 else 0 end as unread from old
""",
    Mark.ARCHIVE: """
with old as (
    select id, seen_at, read_at, archived_at from notifications.inbox
     where user_id = $1 and ($2::uuid[] is null or id = any($2)) and number <= $3
       and archived_at is null
), new as (
    update notifications.inbox as i set archived_at = $4 from old where i.id = old.id
)
select id,
       case when seen_at is null then -1 else 0 end as unseen,
       case when read_at is null then -1 else 0 end as unread
  from old
""",
    Mark.UNARCHIVE: """
with old as (
    select id, seen_at, read_at, archived_at from notifications.inbox
     where user_id = $1 and ($2::uuid[] is null or id = any($2)) and number <= $3
       and archived_at is not null
), new as (
    update notifications.inbox as i set archived_at = null
      from old where i.id = old.id and $4::timestamptz is not null
)
select id,
       case when seen_at is null then 1 else 0 end as unseen,
       case when read_at is null then 1 else 0 end as unread
  from old
""",
}

COUNT = """
update notifications.boxes set unseen = unseen + $2, unread = unread + $3
 where user_id = $1 returning unseen, unread
"""

# What is removed leaves its story behind, as long as its event can be asked about.
REMOVE = """
with gone as (
    delete from notifications.inbox where user_id = any($1::uuid[]) and id = any($2::uuid[])
    returning *
), story as (
    insert into notifications.suppressed (
        id, user_id, run, accepted_at, heard_at, decided_at, type, event_id, recipient,
        reason, rule)
    select id, user_id, run, accepted_at, heard_at, created_at, type, event_id, user_id::text,
           $3, rule
      from gone where accepted_at > $4
        on conflict (id) do nothing
), parted as (
    delete from notifications.gathered
     where into_id = any(array(select id from gone where burst is not null))
)
select id, user_id,
       case when seen_at is null and archived_at is null then -1 else 0 end as unseen,
       case when read_at is null and archived_at is null then -1 else 0 end as unread
  from gone
"""

COUNT_MANY = """
update notifications.boxes as box
   set unseen = box.unseen + new.unseen, unread = box.unread + new.unread
  from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as new(user_id, unseen, unread)
 where box.user_id = new.user_id
returning box.user_id, box.unseen, box.unread
"""

EXPIRED = """
select id, user_id from notifications.inbox where expires_at <= $1 limit $2
"""

# The counts stay as they are: the box goes next.
LIGHTEN = """
with gone as (
    delete from notifications.inbox where id = any(array(
        select id from notifications.inbox where user_id = $1 order by number limit $2))
    returning id, burst
), parted as (
    delete from notifications.gathered
     where into_id = any(array(select id from gone where burst is not null))
)
select count(*) from gone
"""

ERASE = (
    """
delete from notifications.gathered g using notifications.inbox i
 where i.user_id = $1 and g.into_id = i.id
""",
    "delete from notifications.inbox where user_id = $1",
    "delete from notifications.suppressed where user_id = $1",
    "delete from notifications.boxes where user_id = $1",
)


class Owner(Struct, frozen=True):
    """Whom an event was for: nobody, if nobody was known."""

    user: UUID | None


class Changed(Struct, frozen=True):
    """A row that was changed or removed, and what that does to the counts."""

    id: UUID
    unseen: int
    unread: int


async def read_counts(db: Queries, user: UUID) -> Counts:
    return counts(await db.row(COUNTS, user))


async def unread_of(db: Queries, users: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many are unread of each who was ever notified."""
    return {row["user_id"]: row["unread"] for row in await db.fetch(COUNTS_OF, users)}


class Page(Struct, frozen=True):
    """A stretch of a user's notifications, newest first."""

    found: Sequence[Notification]
    floor: int
    """The least number that was looked at; 1 if there is nothing below."""
    unseen: int = 0
    unread: int = 0


async def page(
    db: Queries, user: UUID, state: State, kind: str | None, *, before: int, most: int
) -> Page:
    """Return up to `most` with a number below `before`, newest first.

    Looks through `LOOKED_THROUGH` numbers at most, but for what is archived: then the rest is below
    the page's `floor`.
    """
    indexed = state is State.ARCHIVED and kind is None
    through = before if indexed else LOOKED_THROUGH
    rows = await db.fetch(LIST[state], user, before, kind, most, through)
    if not rows:  # never notified
        return Page((), 1)
    found = [notification(row) for row in rows if row["id"] is not None]
    return Page(found, rows[0]["floor"], rows[0]["all_unseen"], rows[0]["all_unread"])


async def one(db: Queries, user: UUID, id_: UUID) -> Notification | None:
    row = await db.row(ONE, id_, user)
    return None if row is None else notification(row)


async def owner(db: Queries, id_: UUID) -> Owner | None:
    """Return whom an event was for; None while that is not decided."""
    row = await db.row(OWNER, id_)
    return None if row is None else Owner(row["user_id"])


async def number(db: Queries, user: UUID, id_: UUID) -> int | None:
    found: int | None = await db.value(NUMBER, id_, user)
    return found


async def lock(db: Queries, user: UUID) -> int | None:
    """Lock a user's box until the commit and return the newest number; None without a box."""
    top: int | None = await db.value(LOCK, user)
    return top


async def lock_many(db: Queries, users: Sequence[UUID]) -> None:
    await db.fetch(LOCK_MANY, users)


async def present(db: Queries, user: UUID, ids: Sequence[UUID]) -> set[UUID]:
    return {row["id"] for row in await db.fetch(OF_USER, user, ids)}


async def mark(
    db: Queries, user: UUID, how: Mark, ids: Sequence[UUID] | None, *, up_to: int, at: datetime
) -> list[Changed]:
    """Mark those named (or all) up to a number; return those that were not so marked before."""
    rows = await db.fetch(MARK[how], user, ids, up_to, at)
    return [Changed(row["id"], row["unseen"], row["unread"]) for row in rows]


async def count(db: Queries, user: UUID, changed: Sequence[Changed]) -> Counts:
    """Bring a box up to date with changes to its rows."""
    unseen = sum(each.unseen for each in changed)
    return counts(await db.row(COUNT, user, unseen, sum(each.unread for each in changed)))


async def remove(
    db: Queries,
    users: Sequence[UUID],
    ids: Sequence[UUID],
    reason: str,
    remembered_since: datetime,
) -> Mapping[UUID, list[Changed]]:
    """Delete these of these users; return what went, by user."""
    gone: dict[UUID, list[Changed]] = {}
    for row in await db.fetch(REMOVE, users, ids, reason, remembered_since):
        change = Changed(row["id"], row["unseen"], row["unread"])
        gone.setdefault(row["user_id"], []).append(change)
    return gone


async def count_many(
    db: Queries, changed: Mapping[UUID, Sequence[Changed]]
) -> Mapping[UUID, Counts]:
    """Bring several boxes, locked before, up to date."""
    rows = await db.fetch(
        COUNT_MANY,
        list(changed),
        [sum(each.unseen for each in some) for some in changed.values()],
        [sum(each.unread for each in some) for some in changed.values()],
    )
    return {row["user_id"]: counts(row) for row in rows}


async def expired(db: Queries, now: datetime, most: int) -> list[tuple[UUID, UUID]]:
    """Return ids and users of notifications whose time is over."""
    return [(row["id"], row["user_id"]) for row in await db.fetch(EXPIRED, now, most)]


async def erase(db: Queries, user: UUID) -> None:
    """Delete everything in the inbox of a user."""
    await lock(db, user)
    for statement in ERASE:
        await db.run(statement, user)
