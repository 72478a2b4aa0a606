"""Every SQL statement of the pipeline."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Raw, Struct

from nova.backbone.conclusion import Conclusion
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.models import Counts, Notification
from nova.features.notifications.rules import Decision
from nova.kernel.subjects import Stands
from nova.ports.database import Queries, Row

CHANNEL = "user:"

# One statement for what was not decided before: a dead letter may be replayed more than once.
# `behind` says how many more of the same recipient follow in this batch. Boxes are taken in the
# order of users, by everybody who needs several. A full join, since it can only be a hash or a
# merge join: the planner takes the batch for ten rows and would else compare all with all.
# What the socket says is put together here, around the numbers that are known here first.
_PLACE = """
with decided as (
    select id from notifications.inbox where id = any($4::uuid[])
     union all
    select id from notifications.suppressed where id = any($4::uuid[])
), new as materialized (
    select w.*, row_number() over (partition by w.user_id order by w.place desc) - 1 as behind
      from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[],
                  $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[],
                  $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
                  $19::bytea[], $20::bytea[], $21::text[], $22::uuid[], $23::uuid[],
                  $24::uuid[]) with ordinality
        as w (id, user_id, actor_id, occurred_at, accepted_at, expires_at, type, event_id,
              related_entity_id, title, body, locale, rule, metadata, burst, head, tail,
              subject_kind, subject_item, subject_within, subject_owner, place)
     where w.id not in (select id from decided)
), dealt as (
    insert into notifications.boxes as box (user_id, top, unseen, unread)
    select user_id, count(*), count(*), count(*) from new group by user_id order by user_id
        on conflict (user_id) do update
       set top = box.top + excluded.top,
           unseen = box.unseen + excluded.unseen,
           unread = box.unread + excluded.unread
    returning user_id, top, unseen, unread
), placed as materialized (
    select new.*, top - behind as number,
           head || (top - behind)::text::bytea || tail || format(
               ',"unseen":%s,"unread":%s}', unseen - behind, unread - behind
           )::bytea as told
      from new full join dealt using (user_id)
), added as (
    insert into notifications.inbox (
        heard_at, created_at, run, id, user_id, number, actor_id, occurred_at, accepted_at,
        expires_at, type, event_id, related_entity_id, title, body, locale, rule, metadata, burst,
        subject_kind, subject_item, subject_within, subject_owner)
    select $1, $2, $3, id, user_id, number, actor_id, occurred_at, accepted_at,
           expires_at, type, event_id, related_entity_id, title, body, locale, rule, metadata,
           burst, subject_kind, subject_item, subject_within, subject_owner
      from placed
)
"""

_TELL = "select place, number, told from placed order by place"

_PUBLISH = """
select p.* from (
    select array_agg('user:' || user_id order by place) as channels,
           array_agg(told order by place) as told
      from placed
) made, backbone.publish($25, $26, $27, $28, $29, $30, $31, made.channels, made.told, null) p
"""

ADD = _PLACE + _TELL
DELIVER = _PLACE + _PUBLISH

SUPPRESS = """
insert into notifications.suppressed (
    heard_at, decided_at, run, id, user_id, accepted_at, type, event_id, recipient, reason, rule)
select $1, $2, $3, new.*
  from unnest($4::uuid[], $5::uuid[], $6::timestamptz[], $7::text[], $8::text[], $9::text[],
              $10::text[], $11::text[])
    as new (id, user_id, accepted_at, type, event_id, recipient, reason, rule)
 where not exists (select from notifications.inbox i where i.id = new.id)
    on conflict (id) do nothing
returning id, reason
"""

NAMELESS = "update notifications.inbox set unknown_actor = true where id = any($1::uuid[])"

RAN = """
insert into notifications.runs (id, stored_at, published_at)
select * from unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[])
    on conflict (id) do nothing
"""


class Run(Struct, frozen=True):
    """One pass of the pipeline over a batch."""

    id: UUID
    heard_at: datetime
    decided_at: datetime


class Made(Struct, frozen=True):
    """A notification to store: all but its number."""

    fact: EventAccepted
    user: UUID
    actor: UUID | None
    title: str
    body: str
    locale: str
    rule: str
    expires_at: datetime
    head: bytes
    """What the socket says, up to the number."""
    tail: bytes
    """What it says from there to the counts."""
    stands: Stands | None = None
    """Of one that stands on more than its actor."""


class Unmade(Struct, frozen=True):
    """An event that becomes no notification, and why."""

    fact: EventAccepted
    user: UUID | None
    decision: Decision


async def add(db: Queries, run: Run, made: Sequence[Made]) -> list[tuple[Made, int, bytes]]:
    """Number and store those not decided before; locks boxes until the commit.

    Returns each of these with its number, and what to publish.
    """
    rows = await db.fetch(ADD, *_columns(run, made))
    return [(made[row["place"] - 1], row["number"], row["told"]) for row in rows]


def delivery(run: Run, made: Sequence[Made]) -> Conclusion:
    """Return the statement that numbers, stores and publishes those not decided before."""
    channels = {f"{CHANNEL}{each.user}" for each in made}
    return Conclusion(DELIVER, _columns(run, made), list(channels))


def _columns(run: Run, made: Sequence[Made]) -> Sequence[object]:
    facts = [each.fact for each in made]
    return (
        run.heard_at,
        run.decided_at,
        run.id,
        [fact.notification for fact in facts],
        [each.user for each in made],
        [each.actor for each in made],
        [fact.timestamp for fact in facts],
        [fact.accepted_at for fact in facts],
        [each.expires_at for each in made],
        [fact.event_type for fact in facts],
        [fact.id for fact in facts],
        [fact.related_entity_id for fact in facts],
        [each.title for each in made],
        [each.body for each in made],
        [each.locale for each in made],
        [each.rule for each in made],
        [bytes(fact.metadata).decode() for fact in facts],
        [fact.burst for fact in facts],
        [each.head for each in made],
        [each.tail for each in made],
        [fact.origin.kind if fact.origin else None for fact in facts],
        [fact.origin.item if fact.origin else None for fact in facts],
        [each.stands.within if each.stands else None for each in made],
        [each.stands.owner if each.stands else None for each in made],
    )


async def suppress(db: Queries, run: Run, unmade: Sequence[Unmade]) -> list[str]:
    """Write down why, for those not decided before; return the reasons."""
    return [row["reason"] for row in await _suppressed(db, run, unmade)]


async def joined(db: Queries, run: Run, unmade: Sequence[Unmade]) -> set[UUID]:
    """Write down which burst they joined; return the ids of those not decided before."""
    return {row["id"] for row in await _suppressed(db, run, unmade)}


async def _suppressed(db: Queries, run: Run, unmade: Sequence[Unmade]) -> Sequence[Row]:
    facts = [each.fact for each in unmade]
    return await db.fetch(
        SUPPRESS,
        run.heard_at,
        run.decided_at,
        run.id,
        [fact.notification for fact in facts],
        [each.user for each in unmade],
        [fact.accepted_at for fact in facts],
        [fact.event_type for fact in facts],
        [fact.id for fact in facts],
        [fact.recipient_id for fact in facts],
        [each.decision.reason or "" for each in unmade],
        [each.decision.rule for each in unmade],
    )


async def ran(db: Queries, runs: Sequence[tuple[UUID, datetime, datetime]]) -> None:
    """Note when runs were stored and published."""
    await db.run(RAN, *(list(column) for column in zip(*runs, strict=True)))


def notification(row: Row) -> Notification:
    return Notification(
        id=row["id"],
        number=row["number"],
        type=row["type"],
        title=row["title"],
        body=row["body"],
        event_id=row["event_id"],
        actor_id=row["actor_id"],
        related_entity_id=row["related_entity_id"],
        metadata=Raw(row["metadata"].encode()),
        occurred_at=row["occurred_at"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        seen_at=row["seen_at"],
        read_at=row["read_at"],
        archived_at=row["archived_at"],
        others=row["others"],
    )


def counts(row: Row | None) -> Counts:
    """Return a box's counts; who has no box was never notified."""
    return Counts(0, 0) if row is None else Counts(row["unseen"], row["unread"])
