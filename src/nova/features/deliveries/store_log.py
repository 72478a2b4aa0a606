"""Every statement that reads the delivery log, and those with which operators act on it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from nova.features.deliveries.models import (
    CHANNEL_OF,
    LANES,
    PHASES,
    Attempt,
    CaughtMail,
    Delivery,
    LaneState,
    Redrive,
    Rendered,
    Status,
    Which,
)
from nova.ports.database import Queries, Row

PAGE = """
select * from deliveries.deliveries
 where id < $1 and ($2::uuid is null or user_id = $2)
   and ($3::uuid is null or notification = $3) and ($4::text is null or channel = $4)
   and ($5::text is null or phase = $5) and ($6::smallint is null or status = $6)
   and ($7::text is null or type = $7) and ($8::text is null or code = $8)
   and ($10::uuid is null or (lane = 'hook' and target = $10))
 order by id desc limit $9
"""

# By state, over all people: a few look-ups in one index, however rare the state is. Rows are
# compared, and not their columns, since only that index has this order: for the order of ids alone,
# PostgreSQL may walk the whole log instead.
PAGE_BY_STATE = """
select found.* from unnest($5::text[]) as p (phase) cross join unnest($6::smallint[]) as s (status)
 cross join lateral (
    select * from deliveries.deliveries d
     where (d.phase, d.status, d.id) < (p.phase, s.status, $1)
       and (d.phase, d.status) >= (p.phase, s.status)
       and ($2::uuid is null or user_id = $2) and ($3::uuid is null or notification = $3)
       and ($4::text is null or channel = $4) and ($7::text is null or type = $7)
       and ($8::text is null or code = $8)
     order by d.phase desc, d.status desc, d.id desc limit $9) found
 order by found.id desc limit $9
"""

ONE = "select * from deliveries.deliveries where id = $1"

ATTEMPTS = "select * from deliveries.attempts where delivery = $1 order by number"

# A new life, with all of its attempts before it; one whose time is over gets a day more. What was
# taken back, or comes from somebody blocked, stays dead; so does a call to a webhook that was
# removed, or is just being removed.
REDRIVE = """
update deliveries.deliveries
   set phase = 'waiting', reason = 'redriven', due = $1, tries = 0, tries_from = $1,
       cancelled = null, expires_at = greatest(expires_at, $1::timestamptz + interval '1 day')
 where id = any(array(
    select id from deliveries.deliveries
     where phase in ('dead', 'failed') and lane <> '' and ($2::uuid[] is null or id = any($2))
       and ($3::uuid is null or user_id = $3) and ($4::text is null or channel = $4)
       and ($5::text is null or type = $5) and ($6::text is null or code = $6)
       and ($7::timestamptz is null or made_at >= $7) and ($8::timestamptz is null or made_at < $8)
       and ($9 or phase = 'dead')
       and (cancelled is null or cancelled not in ('removed', 'blocked'))
       and (lane <> 'hook'
            or target = any(array(select id from deliveries.webhooks for key share)))
     order by id limit $10 for update skip locked))
returning lane
"""

RECEIPT = """
with before as (
    select id, status from deliveries.deliveries
     where id = $1 and ($2::uuid is null or user_id = $2) and lane <> 'hook' for update
)
update deliveries.deliveries d
   set status = greatest(d.status, $3), delivered_at = coalesce(d.delivered_at, $4)
  from before where d.id = before.id
returning d.*, before.status < $3 as news
"""

LANE = """
select l.*,
       (select count(*) from deliveries.deliveries d
         where d.lane = l.lane and d.phase = 'waiting' and d.due <= $1) as waiting,
       (select extract(epoch from $1 - min(due))::float8 from deliveries.deliveries d
         where d.lane = l.lane and d.phase = 'waiting' and d.due <= $1) as oldest_s,
       (select count(*) from deliveries.deliveries d
         where d.lane = l.lane and d.phase = 'held') as held,
       (select count(*) from deliveries.deliveries d
         where d.lane = l.lane and d.phase = 'dead') as dead,
       (select coalesce(sum(sent), 0)::bigint from deliveries.pulse p
         where p.lane = l.lane and p.minute > $2) as sent,
       (select coalesce(sum(failed), 0)::bigint from deliveries.pulse p
         where p.lane = l.lane and p.minute > $2) as failed,
       (select coalesce(sum(gone), 0)::bigint from deliveries.pulse p
         where p.lane = l.lane and p.minute > $2) as gone
  from deliveries.lanes l
"""

OUTBOX = """
select o.* from deliveries.outbox o
 where ($1::uuid is null
    or exists (select from deliveries.deliveries d where d.id = o.id and d.user_id = $1))
   and ($3::text is null or o.lane = $3)
 order by o.number desc limit $2
"""

STORY = """
select d.*, null::uuid as digest from deliveries.deliveries d where d.notification = $1
 union all
select d.*, e.digest from deliveries.entries e
  join deliveries.deliveries d on d.notification = e.digest and d.channel = e.channel
 where e.notification = $1
 order by id
"""

STORY_ATTEMPTS = """
select * from deliveries.attempts where delivery = any($1::uuid[]) order by delivery, number
"""

STORY_DIGESTS = """
select e.channel, e.at, e.gone, d.opened_at, d.closes_at, d.closed_at, d.id
  from deliveries.entries e join deliveries.digests d on d.id = e.digest
 where e.notification = $1
"""

EXPORT = """
select * from deliveries.deliveries where user_id = $1 order by id
"""


async def page(
    db: Queries, before: UUID, user: UUID | None, which: Which, most: int
) -> list[Delivery]:
    phase: Any = which.phase
    status: Any = None if which.status is None else int(Status[which.status.upper()])
    statement, of_webhook = PAGE, [which.webhook]
    narrow = (user, which.notification, which.webhook) != (None, None, None)
    if (phase, status) != (None, None) and not narrow:
        statement, of_webhook = PAGE_BY_STATE, []
        phase = PHASES if phase is None else [phase]
        status = list(map(int, Status)) if status is None else [status]
    rows = await db.fetch(
        statement,
        before,
        user,
        which.notification,
        which.channel,
        phase,
        status,
        which.type,
        which.code,
        most,
        *of_webhook,
    )
    return [delivery(row) for row in rows]


async def one(db: Queries, id_: UUID) -> tuple[Delivery, list[Attempt]] | None:
    row = await db.row(ONE, id_)
    if row is None:
        return None
    return delivery(row), [attempt(each) for each in await db.fetch(ATTEMPTS, id_)]


async def redrive(
    db: Queries,
    now: datetime,
    which: Redrive,
    *,
    user: UUID | None = None,
    ids: Sequence[UUID] | None = None,
) -> list[str]:
    """Have dead letters tried again; return the lanes of those that will be, each time named.

    One that is named may also have failed for a dead address.
    """
    rows = await db.fetch(
        REDRIVE,
        now,
        ids,
        user,
        which.channel,
        which.type,
        which.code,
        which.since,
        which.until,
        ids is not None,
        which.limit,
    )
    return [row["lane"] for row in rows]


async def receipt(
    db: Queries, id_: UUID, user: UUID | None, status: Status, now: datetime
) -> Row | None:
    return await db.row(RECEIPT, id_, user, int(status), now)


async def lanes(
    db: Queries, now: datetime, alive: dict[str, tuple[str, str, int]]
) -> list[LaneState]:
    """Return how every lane does; `alive` has carrier, breaker and attempts under way of each."""
    rows = {row["lane"]: row for row in await db.fetch(LANE, now, now - timedelta(hours=1))}
    return [
        _lane(rows[lane], *alive.get(lane, ("", "closed", 0)), now) for lane in (*LANES, "hook")
    ]


def _lane(row: Row, carrier: str, breaker: str, in_flight: int, now: datetime) -> LaneState:
    paused = row["paused_until"] is not None and row["paused_until"] > now
    return LaneState(
        lane=row["lane"],
        channel=CHANNEL_OF.get(row["lane"], "webhook"),
        carrier=carrier,
        breaker=breaker,
        in_flight=in_flight,
        waiting=row["waiting"],
        oldest_s=round(row["oldest_s"] or 0.0, 3),
        held=row["held"],
        dead=row["dead"],
        paused_until=row["paused_until"] if paused else None,
        why=row["why"] if paused else None,
        purging=row["purging"],
        purging_why=row["purging_why"],
        sent=row["sent"],
        failed=row["failed"],
        gone=row["gone"],
    )


async def outbox(
    db: Queries, user: UUID | None, most: int, *, sender: str, lane: str | None = None
) -> list[Rendered]:
    return [_rendered(row, sender) for row in await db.fetch(OUTBOX, user, most, lane)]


def _rendered(row: Row, sender: str) -> Rendered:
    parcel: dict[str, Any] = msgspec.json.decode(row["parcel"])
    mail = None
    if row["lane"] == "mail":
        mail = CaughtMail(
            subject=parcel["title"],
            sender=sender,
            to=parcel["target"]["address"],
            text=parcel["body"],
            html=parcel.get("html") or "",
            unsubscribe_url=parcel.get("unsubscribe_url"),
        )
    return Rendered(
        number=row["number"], id=row["id"], at=row["at"], lane=row["lane"], parcel=parcel, mail=mail
    )


async def everything(db: Queries, user: UUID) -> list[Delivery]:
    return [delivery(row) for row in await db.fetch(EXPORT, user)]


def delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        notification=row["notification"],
        kind=row["kind"],
        user=row["user_id"],
        type=row["type"],
        channel=row["channel"],
        lane=row["lane"],
        address=row["address"],
        title=row["title"] if row["summary_title"] is None else row["summary_title"],
        phase=row["phase"],
        status=Status(row["status"]).name.lower(),
        reason=row["reason"],
        rule=row["rule"],
        collapse_id=row["collapse_id"],
        made_at=row["made_at"],
        expires_at=row["expires_at"],
        next_at=row["due"],
        attempts=row["attempts"],
        resends=row["resends"],
        code=row["code"],
        text=row["says"],
        provider_id=row["provider_id"],
        merged_into=row["into_id"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
    )


def attempt(row: Row) -> Attempt:
    fields: dict[str, Any] = {
        name: row[name]
        for name in ("number", "started_at", "finished_at", "verdict", "code", "next_at", "resend")
    }
    return Attempt(**fields, text=row["says"])
