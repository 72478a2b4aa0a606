"""Every SQL statement of the pipeline."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

from msgspec import Raw, Struct

from nova.backbone.conclusion import Conclusion
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.models import Counts, Notification
from nova.features.notifications.rules import Decision
from nova.kernel.subjects import Stands
from nova.ports.channels import Publication
from nova.ports.database import Queries, Row

CHANNEL = "user:"


@lru_cache(maxsize=65_536)
def channel(user: UUID) -> str:
    """Return where a person's sockets hear of notifications; to spell an id takes its time."""
    return f"{CHANNEL}{user}"


# One statement for what was not decided before: a dead letter may be replayed more than once.
# `behind` says how many more of the same recipient follow in this batch. Boxes are taken in the
# order of users, by everybody who needs several. Full joins, since they can only be hash or merge
# joins: the planner takes the batch for ten rows and would else compare all with all. Only ids and
# numbers are sorted and joined, since that costs by the byte: the rest is written from where it
# came, with its numbers, which are arrays by place.
_DECIDED = """
with decided as materialized (
    select id from notifications.inbox where id = any($4::uuid[])
     union all
    select id from notifications.suppressed where id = any($4::uuid[])
)"""

_NONE_DECIDED = """
with decided as (select null::uuid as id where false)"""

_DEAL = """
, batch as materialized (
    select user_id, place, is_new,
           count(*) filter (where is_new) over (partition by user_id order by place desc) - 1
               as behind
      from (select user_id, place, id not in (select id from decided) as is_new
              from unnest($4::uuid[], $5::uuid[]) with ordinality as w (id, user_id, place)) w
), tally as materialized (
    select user_id, count(*) as n from batch where is_new group by user_id
), dealt as (
    insert into notifications.boxes as box (user_id, top, unseen, unread)
    select user_id, n, n, n from tally order by user_id
        on conflict (user_id) do update
       set top = box.top + excluded.top,
           unseen = box.unseen + excluded.unseen,
           unread = box.unread + excluded.unread
    returning user_id, top, unseen, unread
)"""

_PLACE = """
, placed as materialized (
    select place, is_new, top - behind as number, unseen - behind as unseen,
           unread - behind as unread
      from batch full join dealt using (user_id)
), numbers as materialized (
    select array_agg(number) as number from (select number from placed order by place) p
)"""

# The channels after the boxes, as everybody locks them.
_PLACE_TO_PUBLISH = """
, boxes as materialized (
    select user_id, 'user:' || user_id as channel, n, top, unseen, unread
      from tally full join dealt using (user_id)
), raised as materialized (
    select o.* from (select array_agg(channel) as channels, array_agg(n) as counts from boxes) b,
           backbone.take_offsets($25, $27, $28, $29, $30, $31, b.channels, b.counts) o
), placed as materialized (
    select place, is_new, b.top - behind as number, unseen - behind as unseen,
           unread - behind as unread, r.id, r.epoch, r.top - behind as "offset"
      from batch
      full join (boxes b full join raised r using (channel)) using (user_id)
), numbers as materialized (
    select array_agg(number) as number, array_agg(unseen) as unseen, array_agg(unread) as unread,
           array_agg(id) as channel, array_agg("offset") as "offset"
      from (select * from placed order by place) p
), published as (
    insert into backbone.publications (channel_id, number, writer, data)
    select n.channel[place], n."offset"[place], $26,
           head || n.number[place]::text::bytea || tail || (
               ',"unseen":' || n.unseen[place] || ',"unread":' || n.unread[place] || '}'
           )::bytea
      from numbers n, unnest($23::bytea[], $24::bytea[]) with ordinality as w (head, tail, place)
     where n.number[place] is not null
), now as materialized (select (extract(epoch from now()) * 1000)::bigint as at_ms)"""

_STORE = """
, added as (
    insert into notifications.inbox (
        heard_at, created_at, run, id, user_id, number, actor_id, occurred_at, accepted_at,
        expires_at, type, event_id, related_entity_id, title, body, locale, rule, metadata, burst,
        subject_kind, subject_item, subject_within, subject_owner)
    select $1, $2, $3, id, user_id, n.number[place], actor_id, occurred_at, accepted_at,
           expires_at, type, event_id, related_entity_id, title, body, locale, rule, metadata,
           burst, subject_kind, subject_item, subject_within, subject_owner
      from numbers n,
           unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::timestamptz[],
                  $9::timestamptz[], $10::text[], $11::text[], $12::text[], $13::text[],
                  $14::text[], $15::text[], $16::text[], $17::text[], $18::text[],
                  $19::text[], $20::uuid[], $21::uuid[], $22::uuid[]) with ordinality
        as w (id, user_id, actor_id, occurred_at, accepted_at, expires_at, type, event_id,
              related_entity_id, title, body, locale, rule, metadata, burst,
              subject_kind, subject_item, subject_within, subject_owner, place)
     where n.number[place] is not null
)
"""

_TELL = "select place, number, unseen, unread from placed where is_new order by place"

_TELL_PUBLISHED = """
select place, number, unseen, unread, epoch, "offset", at_ms
  from placed, now where is_new order by place
"""

ADD = _DECIDED + _DEAL + _PLACE + _STORE + _TELL
_DELIVER = _DEAL + _PLACE_TO_PUBLISH + _STORE + _TELL_PUBLISHED
DELIVER = _DECIDED + _DELIVER
DELIVER_NEW = _NONE_DECIDED + _DELIVER

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

# Its commit waits for no disk, so that those of events do not wait for it: what is lost with the
# machine is lost with a killed process, too, which has not yet written it.
RAN = """
insert into notifications.runs (id, stored_at, published_at)
select w.* from set_config('synchronous_commit', 'off', true),
       unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[]) as w
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

    def told(self, number: int, unseen: int, unread: int) -> bytes:
        """Return what the socket says, with its numbers; the database stores the same."""
        return b'%b%d%b,"unseen":%d,"unread":%d}' % (self.head, number, self.tail, unseen, unread)


class Unmade(Struct, frozen=True):
    """An event that becomes no notification, and why."""

    fact: EventAccepted
    user: UUID | None
    decision: Decision


async def add(db: Queries, run: Run, made: Sequence[Made]) -> list[tuple[Made, int, bytes]]:
    """Number and store those not decided before; locks boxes until the commit.

    Returns each of these with its number, and what to publish.
    """
    found = [tuple(row.values()) for row in await db.fetch(ADD, *_columns(run, made))]
    placed = [(made[place - 1], numbers) for place, *numbers in found]
    return [(each, numbers[0], each.told(*numbers)) for each, numbers in placed]


def delivery(run: Run, made: Sequence[Made], *, new: bool) -> Conclusion:
    """Return the statement that numbers, stores and publishes those not decided before.

    `new` says that none of them was.
    """
    channels = [channel(each.user) for each in made]

    def published(rows: Sequence[Row]) -> list[Publication]:
        return [_publication(*row.values()) for row in rows]

    def _publication(  # noqa: PLR0917  # the columns of the statement
        place: int, number: int, unseen: int, unread: int, epoch: str, offset: int, at_ms: int
    ) -> Publication:
        told = made[place - 1].told(number, unseen, unread)
        return Publication(channels[place - 1], offset, told, None, at_ms, epoch)

    said = [each.head for each in made], [each.tail for each in made]
    sql = DELIVER_NEW if new else DELIVER
    return Conclusion(sql, (*_columns(run, made), *said), {*channels}, published)


def _columns(run: Run, made: Sequence[Made]) -> Sequence[object]:
    facts = [each.fact for each in made]
    own = any(fact.origin for fact in facts)  # else these columns are null: short arrays will do
    bursts = any(fact.burst for fact in facts)
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
        [fact.burst for fact in facts] if bursts else (),
        [fact.origin.kind if fact.origin else None for fact in facts] if own else (),
        [fact.origin.item if fact.origin else None for fact in facts] if own else (),
        [each.stands.within if each.stands else None for each in made] if own else (),
        [each.stands.owner if each.stands else None for each in made] if own else (),
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
