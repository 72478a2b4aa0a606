"""Every statement of the ledger: what is written, claimed, recorded and cancelled."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from nova.features.deliveries.models import Claimed, New, Status
from nova.ports.database import Queries, Row

ADD = """
insert into deliveries.deliveries (
    id, notification, kind, user_id, number, actor_id, type, about, channel, lane, target,
    address, keys, title, body, url, data, locale, urgent, critical, collapse_id, made_at,
    expires_at, phase, reason, rule, status, due, priority, tries_from)
select id, notification, kind, user_id, number, actor_id, type, about, channel, lane, target,
       address, keys, title, body, url, data, locale, urgent, critical, collapse_id, made_at,
       expires_at, phase, reason, rule, 0, due, priority, coalesce(due, made_at)
  from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::bigint[], $6::uuid[], $7::text[],
              $8::text[], $9::text[], $10::text[], $11::uuid[], $12::text[], $13::text[],
              $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::boolean[],
              $20::boolean[], $21::text[], $22::timestamptz[], $23::timestamptz[], $24::text[],
              $25::text[], $26::text[], $27::timestamptz[], $28::smallint[])
    as new (id, notification, kind, user_id, number, actor_id, type, about, channel, lane, target,
            address, keys, title, body, url, data, locale, urgent, critical, collapse_id, made_at,
            expires_at, phase, reason, rule, due, priority)
    on conflict (notification, channel, target, kind) do nothing
returning id, lane, phase
"""

# Who was overtaken by another lease changes nothing. What was cancelled meanwhile is not retried.
RECORD = """
with told as materialized (
    select * from unnest($1::uuid[], $2::bigint[], $3::text[], $4::smallint[], $5::text[],
                         $6::timestamptz[], $7::text[], $8::text[], $9::text[], $10::boolean[],
                         $11::int[], $12::text[], $14::text[], $15::text[])
        as t (id, fence, phase, status, reason, due, code, says, provider_id, doubtful, uncounted,
              verdict, address, rule)
), noted as (
    update deliveries.deliveries d
       set status = greatest(d.status, t.status),
           phase = case when t.phase = 'waiting' and d.cancelled is not null
                        then 'dropped' else t.phase end,
           reason = case when t.phase = 'waiting' and d.cancelled is not null
                         then d.cancelled else t.reason end,
           rule = coalesce(t.rule, d.rule),
           due = case when d.cancelled is null then t.due end,
           leased_until = null, address = t.address, code = t.code, says = t.says,
           provider_id = coalesce(t.provider_id, d.provider_id),
           doubtful = d.doubtful or t.doubtful, tries = d.tries - t.uncounted,
           sent_at = case when t.status >= 4 then coalesce(d.sent_at, $13) else d.sent_at end
      from told t where d.id = t.id and d.fence = t.fence and d.leased_until is not null
    returning d.*
), closed as (
    update deliveries.attempts a
       set finished_at = $13, verdict = t.verdict, code = t.code, says = t.says, next_at = n.due
      from told t join noted n on n.id = t.id
     where a.delivery = n.id and a.number = n.attempts
)
select * from noted
"""

# What is open, and what open deliveries speak for. What is under way, by itself or as a part of
# another one, is only marked: its outcome still counts.
_OPEN = """
with open as (
    select id, leased_until > clock_timestamp() as under_way from deliveries.deliveries
     where user_id = $1 and phase in ('waiting', 'held', 'standby')
), mine as (
    select id, under_way from open
     union all
    select d.id, open.under_way from open join deliveries.deliveries d on d.into_id = open.id
     where d.phase = 'merged'
)
update deliveries.deliveries d
   set cancelled = $2,
       phase = case when mine.under_way or d.leased_until > clock_timestamp()
                    then d.phase else 'dropped' end,
       reason = case when mine.under_way or d.leased_until > clock_timestamp()
                     then d.reason else $2 end,
       due = case when mine.under_way or d.leased_until > clock_timestamp() then d.due end
  from mine
 where d.id = mine.id and d.phase in ('waiting', 'held', 'standby', 'merged')
   and d.kind = 'single'
"""

CANCEL = (
    _OPEN
    + """
   and ($3::uuid[] is null or d.notification = any($3)) and ($4::bigint is null or d.number <= $4)
returning d.*
"""
)

CANCEL_BY_ACTOR = (
    _OPEN
    + """
   and d.actor_id = $3
returning d.*
"""
)

# Those that were put together with something that was taken back are held anew, so that the
# release looks at them again: what is left goes out. $1: who spoke for all.
PART = """
update deliveries.deliveries d
   set phase = case when d.cancelled is null then 'held' else 'dropped' end,
       reason = coalesce(d.cancelled, 'parted'),
       due = case when d.cancelled is null then $2::timestamptz end,
       into_id = null, summary_title = null, summary_body = null
 where (d.into_id = any($1::uuid[]) and d.phase = 'merged')
    or (d.id = any($1::uuid[]) and d.phase = 'waiting'
        and (d.leased_until is null or d.leased_until <= clock_timestamp()))
returning d.*
"""

# Those that go on speaking for one that was taken back while they were tried.
OUTDATED = """
select distinct into_id from deliveries.deliveries
 where into_id = any($1::uuid[]) and phase = 'merged' and cancelled is not null
"""

# What stood by for a push that reached nobody is needed now; so is what stood by for those that
# it spoke for. Only what may still go out, or what a provider has taken, counts as a way: what
# was tried and given up does not.
FALL_BACK = """
with failed as (
    select notification from deliveries.deliveries where id = any($1::uuid[])
     union
    select notification from deliveries.deliveries
     where into_id = any($1::uuid[]) and phase = 'merged'
)
update deliveries.deliveries d
   set phase = 'waiting', reason = 'fallback', due = $2, tries_from = $2
  from failed where d.notification = failed.notification and d.phase = 'standby'
   and not exists (
    select from deliveries.deliveries o
      join deliveries.deliveries way
        on way.id = case when o.phase = 'merged' then o.into_id else o.id end
     where o.notification = d.notification and o.channel <> d.channel and o.kind = d.kind
       and (way.phase in ('waiting', 'held') or way.status >= 3))
returning d.id
"""

# A push that is out already, or may be, though it was cancelled before it was tried again (a lease
# that is left belongs to an attempt without an outcome): a silent one with the same collapse id
# takes it back.
# $4: digests that told of it, or deliveries that spoke for it, show its words as well.
SENT = """
select * from deliveries.deliveries
 where user_id = $1 and made_at > $3
   and ((notification = any($2::uuid[]) and kind = 'single')
        or (notification = any($4::uuid[]) and kind = 'digest') or id = any($4::uuid[]))
   and lane <> 'mail' and status < 6
   and ((phase in ('done', 'dead') and status >= 2)
        or (phase = 'dropped' and (doubtful or leased_until is not null)))
 limit 500
"""

# The sink stands in for devices: what is recalled is shown there no more either. $2 and $3 as $2
# and $4 above.
UNKEEP = """
delete from deliveries.outbox o using deliveries.deliveries d
 where o.id = d.id and d.user_id = $1
   and ((d.notification = any($2::uuid[]) and d.kind = 'single')
        or (d.notification = any($3::uuid[]) and d.kind = 'digest') or d.id = any($3::uuid[]))
"""

# Dead letters of what was taken back are not tried again, whoever asks for it.
SEAL = """
update deliveries.deliveries set cancelled = $3
 where user_id = $1 and notification = any($2::uuid[])
   and kind = 'single' and phase in ('dead', 'failed') and cancelled is null
"""

# Deliveries that spoke for these.
SPEAKERS = """
select distinct into_id from deliveries.deliveries
 where user_id = $1 and notification = any($2::uuid[]) and phase = 'merged'
"""

# What is gone leaves no words behind, whatever became of its delivery.
SCRUB = """
update deliveries.deliveries
   set title = '', body = '', url = null,
       summary_title = case when phase in ('waiting', 'held', 'standby') then summary_title
                            when summary_title is not null then '' end,
       summary_body = case when phase in ('waiting', 'held', 'standby') then summary_body
                           when summary_title is not null then '' end
 where user_id = $1 and notification = any($2::uuid[]) and kind = 'single'
"""

# What they say together was taken back in part: what an attempt under way brings is taken back
# after it. All that wait are locked, since one of them may just be claimed.
OUTDATE = """
update deliveries.deliveries
   set outdated = outdated or coalesce(leased_until > clock_timestamp(), false)
 where id = any($1::uuid[]) and phase = 'waiting'
"""

# Of a summary that is out, only what it said together is forgotten.
SCRUB_SUMMARIES = """
update deliveries.deliveries set summary_title = '', summary_body = ''
 where id = any($1::uuid[]) and summary_title is not null
   and phase not in ('waiting', 'held', 'standby')
"""

# $7: it names somebody else now, so what an attempt under way brings is taken back after it.
EDIT = """
update deliveries.deliveries
   set title = $3, body = case when channel = 'email' then $4 else $5 end,
       about = case when $8 then $9 else about end,
       url = case when $8 then $10 else url end,
       data = case when data = '{}' then data else (
                  data::jsonb - 'actor_id' - case when $8 then 'related_entity_id' else '' end
                  || jsonb_strip_nulls(jsonb_build_object(
                      'actor_id', $6::uuid, 'related_entity_id', $9::text)))::text end,
       actor_id = $6,
       outdated = outdated or coalesce($7 and leased_until > clock_timestamp(), false)
 where user_id = $1 and notification = $2 and kind = 'single'
"""

# Digests of which nothing is left.
EMPTIED = """
update deliveries.deliveries d
   set cancelled = 'removed',
       phase = case when phase in ('waiting', 'held') and not under_way then 'dropped'
                    else phase end,
       reason = case when phase in ('waiting', 'held') and not under_way then 'removed'
                     else reason end,
       due = case when under_way then due end
  from (select id, coalesce(leased_until > clock_timestamp(), false) as under_way
          from deliveries.deliveries
         where notification = any($1::uuid[]) and kind = 'digest'
           and phase in ('waiting', 'held', 'dead', 'failed') for update) open
 where d.id = open.id and not exists (
    select from deliveries.entries e where e.digest = d.notification and e.gone is null)
returning d.*
"""

PAUSE = """
update deliveries.lanes set paused_until = greatest(paused_until, $2), why = $3 where lane = $1
"""

RESUME = """
update deliveries.lanes
   set paused_until = null, why = null, purging = true, purging_why = null
 where lane = $1
"""

PULSE = """
insert into deliveries.pulse as p (lane, minute, sent, failed, gone)
values ($1, date_trunc('minute', $2::timestamptz), $3, $4, $5)
    on conflict (lane, minute) do update
   set sent = p.sent + excluded.sent, failed = p.failed + excluded.failed,
       gone = p.gone + excluded.gone
"""

SUSPECT = """
insert into deliveries.suspects (lane, address, user_id, device, reason, gone_since, at)
values ($1, $2, $3, $4, $5, $6, $7)
    on conflict (lane, address) do update
   set reason = excluded.reason, gone_since = greatest(suspects.gone_since, excluded.gone_since)
"""

# It got through after all: the address lives.
CLEAR = "delete from deliveries.suspects where lane = $1 and address = any($2::text[])"

# A lease that is left belongs to an attempt without an outcome: that one may have arrived.
OVERDUE = """
update deliveries.deliveries
   set phase = 'dropped', reason = 'expired', due = null,
       doubtful = doubtful or leased_until is not null,
       status = case when leased_until is null then status else greatest(status, 2) end
 where id = any(array(
    select id from deliveries.deliveries
     where phase in ('waiting', 'held', 'standby') and expires_at <= $1
       and (leased_until is null or leased_until <= clock_timestamp())
     limit $2 for update skip locked))
returning *
"""

FORGET = """
delete from deliveries.deliveries where ctid = any(array(
    select ctid from deliveries.deliveries
     where made_at < $1 and phase not in ('waiting', 'held', 'standby') limit $2))
"""

# With the ledger's row goes the way to find whose parcel it was, when somebody is to be erased.
FORGET_OUTBOX = """
delete from deliveries.outbox where ctid = any(array(
    select ctid from deliveries.outbox where at < $1 limit $2))
"""

FORGET_PULSE = """
delete from deliveries.pulse where ctid = any(array(
    select ctid from deliveries.pulse where minute < $1 limit $2))
"""

LIGHTEN = """
with looked as (
    select id from deliveries.deliveries
     where user_id = $1 and phase not in ('waiting', 'held', 'standby') limit $2
), unkept as (
    delete from deliveries.outbox o using looked s where o.id = s.id
)
delete from deliveries.deliveries d using looked s where d.id = s.id
"""

ERASE = (
    """
delete from deliveries.outbox
 where id in (select id from deliveries.deliveries where user_id = $1)
""",
    "delete from deliveries.deliveries where user_id = $1",
    "delete from deliveries.suspects where user_id = $1",
)


class Noted(Struct, frozen=True):
    """What a lane reports of one attempt."""

    claimed: Claimed
    phase: str
    status: Status
    reason: str | None
    due: datetime | None
    verdict: str
    code: str
    says: str
    provider_id: str | None
    doubtful: bool
    counts: bool
    gone_since: datetime | None
    rule: str | None = None
    """Why, where it is for a preference."""


async def add(db: Queries, new: Sequence[New]) -> list[Row]:
    """Write those that the ledger does not have; return their ids, lanes and phases."""
    if not new:
        return []
    columns = zip(*(_columns(each) for each in new), strict=True)
    return list(await db.fetch(ADD, *(list(column) for column in columns)))


async def record(db: Queries, noted: Sequence[Noted], now: datetime) -> list[Row]:
    """Write outcomes down; return the rows of those whose lease still held."""
    return list(
        await db.fetch(
            RECORD,
            [each.claimed.id for each in noted],
            [each.claimed.fence for each in noted],
            [each.phase for each in noted],
            [int(each.status) for each in noted],
            [each.reason for each in noted],
            [each.due for each in noted],
            [each.code for each in noted],
            [each.says for each in noted],
            [each.provider_id for each in noted],
            [each.doubtful for each in noted],
            [0 if each.counts else 1 for each in noted],
            [each.verdict for each in noted],
            now,
            [each.claimed.address for each in noted],
            [each.rule for each in noted],
        )
    )


def spoken_for(row: Row) -> bool:
    """Return whether others were put together with this one, which is dropped."""
    together = row["into_id"] is not None or row["summary_title"] is not None
    return together and row["phase"] == "dropped"


def recall(row: Row, id_: UUID, now: datetime, reason: str) -> New:
    """Return the silent push that takes one back."""
    data = {"nova": "recall", "notification": str(row["notification"])}
    return New(
        id=id_,
        notification=row["notification"],
        kind="recall",
        user=row["user_id"],
        number=row["number"],
        type=row["type"],
        channel=row["channel"],
        lane=row["lane"],
        target=row["target"],
        address=row["address"],
        keys=row["keys"],
        data=msgspec.json.encode(data).decode(),
        locale=row["locale"],
        collapse_id=row["collapse_id"],
        made_at=now,
        expires_at=row["expires_at"],
        phase="waiting",
        reason=reason,
        due=now,
    )


def _columns(new: New) -> tuple[Any, ...]:
    return (
        new.id,
        new.notification,
        new.kind,
        new.user,
        new.number,
        new.actor,
        new.type,
        new.about,
        new.channel,
        new.lane,
        new.target,
        new.address,
        new.keys,
        new.title,
        new.body,
        new.url,
        new.data,
        new.locale,
        new.urgent,
        new.critical,
        new.collapse_id,
        new.made_at,
        new.expires_at,
        new.phase,
        new.reason,
        new.rule,
        new.due,
        new.priority,
    )
