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
# its second arrival. $1 lane, $2 now, $3 lease, $4 and $5 the words for it; what is `due` differs.
LEASE = """
, lost as (
    update deliveries.attempts a
       set finished_at = $2, verdict = 'unknown', code = $4, says = $5
      from due where a.delivery = due.id and a.finished_at is null
    returning a.delivery
), claimed as (
    update deliveries.deliveries d
       set leased_until = clock_timestamp() + $3::interval, fence = d.fence + 1,
           attempts = d.attempts + 1, tries = d.tries + 1, outdated = false,
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

_OPEN = """
with open as (
    select 1 from deliveries.lanes
     where lane = $1 and (paused_until is null or paused_until <= $2)
), due as materialized ("""

# Due, and under nobody's lease: one that is far off was written before the clock jumped back.
_FREE = """
   and due <= $2 and expires_at > $2
   and (leased_until is null or leased_until <= clock_timestamp()
        or leased_until > clock_timestamp() + 10 * $3::interval)"""

# $6 how many, $7 and $8 of which priorities.
CLAIM = (
    _OPEN  # noqa: S608  # constants
    + """
    select id from deliveries.deliveries
     where lane = $1 and phase = 'waiting' and priority between $7 and $8
       and exists (select from open)"""
    + _FREE
    + """
     order by priority, due limit $6 for update skip locked
)"""
    + LEASE
)

# $6 targets, $7 how many for each: the backlog of one is not even looked at for another.
CLAIM_FOR_TARGETS = (
    _OPEN  # noqa: S608  # constants
    + """
    select d.id from open, unnest($6::uuid[], $7::int[]) as t (target, room)
     cross join lateral (
        select id from deliveries.deliveries
         where lane = $1 and target = t.target and phase = 'waiting'"""
    + _FREE
    + """
         order by due limit t.room for update skip locked) d
)"""
    + LEASE
)

# The same for browsers: $6 origins, $7 how many for each, $8 and $9 of which priorities.
CLAIM_FOR_ORIGINS = (
    _OPEN  # noqa: S608  # constants
    + """
    select d.id from open, unnest($6::text[], $7::int[]) as t (origin, room)
     cross join lateral (
        select id from deliveries.deliveries
         where lane = 'web' and phase = 'waiting' and deliveries.origin_of(address) = t.origin
           and priority between $8 and $9"""
    + _FREE
    + """
         order by priority, due limit t.room for update skip locked) d
)"""
    + LEASE
)

# A walk from origin to origin along the index, however much waits for each. $1 now, $2 the
# origin after which it begins, $3 how many steps, $4 further origins, $5 and $6 priorities.
ORIGINS_DUE = """
with recursive walk as (
    (select deliveries.origin_of(address) as origin, 1 as step from deliveries.deliveries
      where $3 > 0 and lane = 'web' and phase = 'waiting' and deliveries.origin_of(address) > $2
      order by 1 limit 1)
     union all
    select further.origin, walk.step + 1 from walk cross join lateral (
        select deliveries.origin_of(address) as origin from deliveries.deliveries
         where lane = 'web' and phase = 'waiting' and deliveries.origin_of(address) > walk.origin
         order by 1 limit 1) further
     where walk.step < $3
), known as (
    select origin, step from walk
     union all
    select origin, null from unnest($4::text[]) as also (origin)
     where origin not in (select origin from walk)
)
select origin, step is not null as walked, coalesce((
    select due from deliveries.deliveries
     where lane = 'web' and phase = 'waiting' and deliveries.origin_of(address) = known.origin
       and priority between $5 and $6
     order by priority, due limit 1) <= $1, false) as due
  from known order by step
"""

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
    db: Queries, lane: str, now: datetime, most: int, lease_s: float, *, bulk: bool = False
) -> list[tuple[Claimed, bool]]:
    """Lease what is due; tell of each whether it may have arrived."""
    lease, priorities = timedelta(seconds=lease_s), BULK if bulk else LIVE
    rows = await db.fetch(CLAIM, lane, now, lease, *INTERRUPTED, most, *priorities)
    return [(claimed(row), bool(row["again"])) for row in rows]


async def allowed(
    tx: Queries, lane: str, now: datetime, most: int, *, per_s: float, bulk: bool
) -> int:
    """Return how many of so many all processes together may send now; locks the lane.

    What is in bulk may use half of the burst, so that what is live finds room at any moment.
    """
    return int(await tx.value(ALLOWED, lane, now, most, 1.0 / per_s, 0.5 if bulk else 1.0) or 0)


async def charge(tx: Queries, lane: str, now: datetime, count: int, *, per_s: float) -> None:
    await tx.run(CHARGE, lane, now, count, 1.0 / per_s)


async def origins_due(
    db: Queries, now: datetime, *, after: str, walk: int, also: Sequence[str], bulk: bool
) -> list[Row]:
    """Walk to so many further origins of browsers' endpoints; tell of each what is due.

    `also` are origins to tell of wherever the walk is. Rows have origin, due, and walked.
    """
    priorities = BULK if bulk else LIVE
    return list(await db.fetch(ORIGINS_DUE, now, after, walk, list(also), *priorities))


async def claim_for_origins(
    db: Queries, now: datetime, room: Mapping[str, int], lease_s: float, *, bulk: bool
) -> list[tuple[Claimed, bool]]:
    """Lease what is due for browsers of each origin, up to its own room."""
    lease, priorities = timedelta(seconds=lease_s), BULK if bulk else LIVE
    asked = ("web", now, lease, *INTERRUPTED, list(room), list(room.values()), *priorities)
    return [(claimed(row), bool(row["again"])) for row in await db.fetch(CLAIM_FOR_ORIGINS, *asked)]


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
        about=row["about"],
        channel=row["channel"],
        lane=row["lane"],
        device=None if row["lane"] == "mail" else row["target"],
        address=row["address"],
        keys=row["keys"],
        title=row["title"] if row["summary_title"] is None else row["summary_title"],
        body=row["body"] if row["summary_title"] is None else row["summary_body"],
        summary=row["summary_title"] is not None,
        url=row["url"],
        data=row["data"],
        locale=row["locale"],
        urgent=row["urgent"],
        critical=row["critical"],
        collapse_id=row["collapse_id"],
        expires_at=row["expires_at"],
        attempt=row["attempts"],
        tries=row["tries"],
        tries_from=row["tries_from"],
        cancelled=row["cancelled"] is not None,
    )
