"""SQL that finds and updates notifications by subject, and stores the events of aggregated ones."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nova.features.notifications.models import Notification
from nova.features.notifications.rules import GONE
from nova.ports.database import Queries, Row

LEFT = "left"
"""It had joined a notification, or begun it, that goes on without it."""

ROWS = "select * from notifications.inbox where id = any($1::uuid[])"

# Notifications in the order of their ids, after $5, at most $6. Of gathered likes, $4 may be any of
# those who like.
OF_OWNER = """
select id from notifications.inbox i
 where subject_owner = $1 and ($2::uuid is null or subject_within = $2)
   and ($3::uuid[] is null or subject_item = any($3))
   and ($4::uuid is null or actor_id = $4 or (burst is not null and exists (
        select from notifications.gathered g where g.into_id = i.id and g.actor_id = $4)))
   and ($5::uuid is null or id > $5)
 order by id limit $6
"""

OF_RECIPIENT = """
select id from notifications.inbox i
 where user_id = $1
   and (actor_id = $2 or subject_owner = $2 or (burst is not null and exists (
        select from notifications.gathered g where g.into_id = i.id and g.actor_id = $2)))
   and ($3::uuid is null or id > $3)
 order by id limit $4
"""

OF_ACTOR = """
select id from (
    select id from notifications.inbox where actor_id = $1
     union
    select into_id from notifications.gathered where actor_id = $1) found
 where $2::uuid is null or id > $2
 order by id limit $3
"""

GATHER = """
insert into notifications.gathered (
    id, into_id, actor_id, event_id, occurred_at, related_entity_id, metadata)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::text[],
                     $7::text[])
    on conflict (id) do nothing
"""

# Of some notifications what joined, by these people, and these events.
GATHERED = """
select * from notifications.gathered
 where into_id = any($1::uuid[]) and (actor_id = any($2::uuid[]) or id = any($3::uuid[]))
"""

# The notification of several that an event has joined, or leads.
GROUP = """
select into_id from notifications.gathered where id = $1
 union all
select id from notifications.inbox where id = $1 and burst is not null
 limit 1
"""

# $1, $2: notifications and people, by pairs.
MEMBERS = """
select distinct into_id, actor_id from notifications.gathered
  join unnest($1::uuid[], $2::uuid[]) as w (into_id, actor_id) using (into_id, actor_id)
"""

NEXT = """
select * from notifications.gathered where into_id = $1 and id > $2 order by id limit $3
"""

LEAVE = "delete from notifications.gathered where id = any($1::uuid[])"

LEFT_STORY = """
update notifications.suppressed set reason = $2
 where id = any($1::uuid[]) and reason = 'joined'
"""

# The event that began a notification takes the place of the one that goes on with it.
SWAP_STORY = """
update notifications.suppressed set event_id = $2, reason = $3 where id = $1
"""

CHANGE = """
update notifications.inbox i
   set title = w.title, body = w.body, metadata = w.metadata, others = w.others,
       actor_id = w.actor_id, event_id = w.event_id, occurred_at = w.occurred_at,
       related_entity_id = w.related_entity_id,
       unknown_actor = i.unknown_actor and i.event_id = w.event_id
  from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::int[], $6::uuid[], $7::text[],
              $8::timestamptz[], $9::text[])
    as w (id, title, body, metadata, others, actor_id, event_id, occurred_at, related_entity_id)
 where i.id = w.id
"""

FREED = """
select id from notifications.suppressed where id = any($1::uuid[]) and reason = any($2::text[])
"""


class Joined(NamedTuple):
    """An event that joined a notification."""

    id: UUID
    into: UUID
    actor: UUID | None
    event_id: str
    occurred_at: datetime | None = None
    related_entity_id: str | None = None
    metadata: str | None = None
    """Like the two before, of the app's events alone: those of Nova's own say all the same."""


async def rows(db: Queries, ids: Sequence[UUID]) -> list[Row]:
    return list(await db.fetch(ROWS, ids))


async def gather(db: Queries, joined: Sequence[Joined]) -> None:
    """Write down who joined which notification."""
    if joined:
        await db.run(GATHER, *(list(column) for column in zip(*joined, strict=True)))


async def gathered(
    db: Queries,
    notifications: Sequence[UUID],
    actors: Sequence[UUID],
    events: Sequence[UUID],
) -> list[Joined]:
    """Return what joined these notifications of some people's, and of some events."""
    return [_joined(row) for row in await db.fetch(GATHERED, notifications, actors, events)]


async def members(db: Queries, pairs: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Return those pairs of a notification and a person of whom an event has joined it."""
    if not pairs:
        return set()
    rows = await db.fetch(MEMBERS, *(list(column) for column in zip(*pairs, strict=True)))
    return {(row["into_id"], row["actor_id"]) for row in rows}


async def group(db: Queries, event: UUID) -> UUID | None:
    """Return the notification that an event has joined or leads, if others may join it, too."""
    found: UUID | None = await db.value(GROUP, event)
    return found


async def following(db: Queries, notification: UUID, after: UUID, most: int) -> list[Joined]:
    """Return who joined a notification, in their order."""
    return [_joined(row) for row in await db.fetch(NEXT, notification, after, most)]


async def leave(db: Queries, ids: Sequence[UUID], reason: str) -> None:
    """Take events out of what they joined."""
    await db.run(LEAVE, ids)
    await db.run(LEFT_STORY, ids, reason)


async def change(db: Queries, changed: Sequence[Notification]) -> None:
    await db.run(
        CHANGE,
        [each.id for each in changed],
        [each.title for each in changed],
        [each.body for each in changed],
        [bytes(each.metadata).decode() for each in changed],
        [each.others for each in changed],
        [each.actor_id for each in changed],
        [each.event_id for each in changed],
        [each.occurred_at for each in changed],
        [each.related_entity_id for each in changed],
    )


async def may_ring_again(db: Queries, ids: Sequence[UUID]) -> set[UUID]:
    """Return which told nobody, since they were taken back too soon, or left what they joined."""
    rows = await db.fetch(FREED, ids, [GONE.reason, LEFT])
    return {row["id"] for row in rows}


def _joined(row: Row) -> Joined:
    return Joined(
        row["id"],
        row["into_id"],
        row["actor_id"],
        row["event_id"],
        row["occurred_at"],
        row["related_entity_id"],
        row["metadata"],
    )
