"""Every statement with which lanes take deliveries under a lease, and give them back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from nova.features.deliveries.models import Claimed
from nova.ports.database import Queries, Row

LIVE, BULK = (0, 0), (1, 9)
"""Priorities, from and to: what is new, and what was held or gathered."""
INTERRUPTED = ("interrupted", "The process ended between sending and recording.")

# A lease that ran out without a record: that attempt's outcome is unknown, and this one may be
# its second arrival. One that is far off was written before the clock jumped back. $1 lane, $2 now,
# $3 lease, $4 and $5 the words for it; what is `due` differs.
LEASE = """
, lost as (
    update deliveries.attempts a
       set finished_at = $2, verdict = 'unknown', code = $4, says = $5
      from due where a.delivery = due.id and a.finished_at is null
    returning a.delivery
), claimed as (
    update deliveries.deliveries d
       set leased_until = clock_timestamp() + $3::interval, fence = d.fence + 1,
           attempts = d.attempts + 1, tries = d.tries + 1,
           doubtful = d.doubtful or d.id in (select delivery from lost),
           resends = d.resends + (d.doubtful or d.id in (select delivery from lost))::int,
           status = case when d.id in (select delivery from lost)
                         then greatest(d.status, 2) else d.status end
      from due where d.id = due.id
    returning d.*
), begun as (
    insert into deliveries.attempts (delivery, number, started_at, resend)
    select id, attempts, $2, doubtful from claimed
)
select c.*, c.doubtful as again from claimed c
 order by c.priority, c.due
"""

# $6 how many, $7 and $8 of which priorities.
CLAIM = (
    """
with open as (
    select 1 from deliveries.lanes
     where lane = $1 and (paused_until is null or paused_until <= $2)
), due as materialized (
    select id from deliveries.deliveries
     where lane = $1 and phase = 'waiting' and due <= $2 and expires_at > $2
       and (leased_until is null or leased_until <= clock_timestamp()
            or leased_until > clock_timestamp() + 10 * $3::interval)
       and priority between $7 and $8 and exists (select from open)
     order by priority, due limit $6 for update skip locked
)"""  # noqa: S608  # two constants
    + LEASE
)

# $6 targets, $7 how many for each: the backlog of one is not even looked at for another.
CLAIM_FOR_TARGETS = (
    """
with open as (
    select 1 from deliveries.lanes
     where lane = $1 and (paused_until is null or paused_until <= $2)
), due as materialized (
    select d.id from open, unnest($6::uuid[], $7::int[]) as t (target, room)
     cross join lateral (
        select id from deliveries.deliveries
         where lane = $1 and target = t.target and phase = 'waiting' and due <= $2
           and expires_at > $2 and (leased_until is null or leased_until <= clock_timestamp()
                or leased_until > clock_timestamp() + 10 * $3::interval)
         order by due limit t.room for update skip locked) d
)"""  # noqa: S608  # two constants
    + LEASE
)

# Given back untried: the lane was closed meanwhile. No attempt was made, so none is counted.
RETURN = """
with back as (
    update deliveries.deliveries d
       set leased_until = null, attempts = d.attempts - 1, tries = d.tries - 1
      from unnest($1::uuid[], $2::bigint[]) as t (id, fence)
     where d.id = t.id and d.fence = t.fence
    returning d.id, d.attempts + 1 as number
)
delete from deliveries.attempts a using back where a.delivery = back.id and a.number = back.number
"""

# GCRA over all processes; the lane's row is locked until what was claimed is charged.
# $2 now, $3 how many are wanted, $4 seconds apart, $5 seconds of burst.
ALLOWED = """
select least($3::int, greatest(0, floor(
    ($5::float8 - greatest(0, extract(epoch from paced_until - $2)::float8)) / $4::float8
    + 1)::int))
  from deliveries.lanes where lane = $1 for update
"""

CHARGE = """
update deliveries.lanes
   set paced_until = greatest(paced_until, $2) + $3::int * $4::float8 * interval '1 second'
 where lane = $1
"""


async def claim(
    db: Queries,
    lane: str,
    now: datetime,
    most: int,
    lease_s: float,
    *,
    priorities: tuple[int, int] = (0, 9),
) -> list[tuple[Claimed, bool]]:
    """Lease what is due; tell of each whether it may have arrived."""
    lease = timedelta(seconds=lease_s)
    rows = await db.fetch(CLAIM, lane, now, lease, *INTERRUPTED, most, *priorities)
    return [(claimed(row), bool(row["again"])) for row in rows]


async def claim_paced(
    tx: Queries,
    lane: str,
    now: datetime,
    most: int,
    lease_s: float,
    *,
    per_s: float,
    priorities: tuple[int, int],
) -> list[tuple[Claimed, bool]]:
    """Lease what is due, but no more than all processes together may send; in a transaction.

    What is in bulk may use half of the burst, so that what is live finds room at any moment.
    """
    apart_s = 1.0 / per_s
    burst_s = 1.0 if priorities == LIVE else 0.5
    allowed = await tx.value(ALLOWED, lane, now, most, apart_s, burst_s)
    if not allowed:
        return []
    claims = await claim(tx, lane, now, allowed, lease_s, priorities=priorities)
    if claims:
        await tx.run(CHARGE, lane, now, len(claims), apart_s)
    return claims


async def claim_for_targets(
    db: Queries, lane: str, now: datetime, room: Mapping[UUID, int], lease_s: float
) -> list[tuple[Claimed, bool]]:
    """Lease what is due for each target, up to its own room."""
    lease = timedelta(seconds=lease_s)
    rows = await db.fetch(
        CLAIM_FOR_TARGETS, lane, now, lease, *INTERRUPTED, list(room), list(room.values())
    )
    return [(claimed(row), bool(row["again"])) for row in rows]


async def give_back(db: Queries, claims: Sequence[Claimed]) -> None:
    await db.run(RETURN, [each.id for each in claims], [each.fence for each in claims])


def claimed(row: Row) -> Claimed:
    return Claimed(
        id=row["id"],
        fence=row["fence"],
        notification=row["notification"],
        kind=row["kind"],
        user=row["user_id"],
        type=row["type"],
        channel=row["channel"],
        lane=row["lane"],
        device=None if row["lane"] == "mail" else row["target"],
        address=row["address"],
        keys=row["keys"],
        title=row["title"] if row["summary_title"] is None else row["summary_title"],
        body=row["body"] if row["summary_title"] is None else row["summary_body"],
        url=row["url"],
        data=row["data"],
        locale=row["locale"],
        urgent=row["urgent"],
        collapse_id=row["collapse_id"],
        expires_at=row["expires_at"],
        attempt=row["attempts"],
        tries=row["tries"],
        tries_from=row["tries_from"],
        cancelled=row["cancelled"] is not None,
    )
