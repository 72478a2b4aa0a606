"""Limit mails per recipient (GCRA): what is beyond is held, and put together into one mail.

It is asked where mails leave, so that it holds for whatever made them: an event, an escalation, a
push that failed, quiet hours that end, a digest, or an operator who replays dead letters.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from nova.backbone.database import Database
from nova.features.deliveries import plan
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.plan import Choice
from nova.features.deliveries.throttles import CLOCK_S
from nova.kernel.clock import Clock
from nova.ports.database import Queries

HOUR_S = 3_600.0
MAILS = "*mail"
"""In place of a type: all mails to a person."""
GATHERED, RULE = "gathered", "mails to one person an hour"

# Of each person so many ask to go ($2), and so many go in any case ($3): how many may. All in one
# statement, as mails mostly go out one by one. $4 `*mail`, $5 now, $6 seconds apart, $7 at once.
TAKE = """
with asked as (
    select * from unnest($1::uuid[], $2::int[], $3::int[]) as a (user_id, wanted, anyway)
), entered as (
    insert into deliveries.throttles (user_id, type, at, taken)
    select user_id, $4, $5::timestamptz
           + least(3600, (least(wanted, $7::int) + anyway) * $6::float8) * interval '1 second',
           least(wanted, $7::int)
      from asked order by user_id
        on conflict (user_id, type) do nothing
    returning user_id, taken
), locked as (
    select t.user_id, extract(epoch from t.at - $5)::float8 as ahead_s
      from deliveries.throttles t join asked using (user_id)
     where t.type = $4 order by t.user_id for update of t
), let as (
    select user_id, wait_s, anyway,
           least(wanted, floor((3600 - wait_s) / $6::float8 + 1e-6))::int as taken
      from asked join (
        select user_id, case when ahead_s between 0 and $8::float8 then ahead_s else 0 end as wait_s
          from locked) l using (user_id)
), charged as (
    update deliveries.throttles t
       set taken = let.taken,
           at = $5::timestamptz + interval '1 second'
              * least(3600, wait_s + (let.taken + anyway) * $6::float8)
      from let where t.user_id = let.user_id and t.type = $4
    returning t.user_id, t.taken
)
select * from entered union all select * from charged
"""

STATE = "select at from deliveries.throttles where user_id = $1 and type = $2"

# No attempt was made, so none is counted. What was taken back meanwhile stays under its lease.
HOLD = """
with held as (
    update deliveries.deliveries d
       set phase = 'held', reason = $4, rule = $5, due = t.due, leased_until = null,
           attempts = d.attempts - 1, tries = d.tries - 1
      from unnest($1::uuid[], $2::bigint[], $3::timestamptz[]) as t (id, fence, due)
     where d.id = t.id and d.fence = t.fence and d.cancelled is null
    returning d.id, d.attempts + 1 as number
)
delete from deliveries.attempts a using held where a.delivery = held.id and a.number = held.number
"""


class MailBound:
    """At most `most` mails to one person in any hour; 0 is no bound.

    Half of them at once and half one by one, but for one that tells of all that was held. What is
    critical is not counted, and an attempt that is made again is not counted again.
    """

    def __init__(self, db: Database, clock: Clock, most: int) -> None:
        self._db = db
        self._clock = clock
        self._apart_s = HOUR_S / max(1, (most - 1) // 2) if most else 0.0

    async def passed(self, claims: Sequence[tuple[Claimed, bool]]) -> list[tuple[Claimed, bool]]:
        """Return those that may go now; the others are held until the end of their hour."""
        counted = [one for one, _ in claims if one.tries == 1 and not one.critical]
        if not self._apart_s or not counted:
            return list(claims)
        now = self._clock.now()
        left = await self._taken(counted, now)
        held: set[UUID] = set()
        for one in counted:
            if one.summary:
                continue  # it tells of what was held, and goes in any case
            if left[one.user] > 0:
                left[one.user] -= 1
            else:
                held.add(one.id)
        if held:
            await self._hold([one for one in counted if one.id in held], now)
        return [(one, again) for one, again in claims if one.id not in held]

    async def _taken(self, counted: Sequence[Claimed], now: datetime) -> dict[UUID, int]:
        """Count mails, and return how many of each person may go."""
        some = Counter(one.user for one in counted if not one.summary)
        anyway = Counter(one.user for one in counted if one.summary)
        users = sorted({*some, *anyway})
        most = round(HOUR_S / self._apart_s)
        rows = await self._db.fetch(
            TAKE,
            users,
            [some[user] for user in users],
            [anyway[user] for user in users],
            MAILS,
            now,
            self._apart_s,
            most,
            HOUR_S + CLOCK_S,
        )
        # Whom another process began to count in the same moment is counted the next time.
        return dict.fromkeys(users, most) | {row["user_id"]: row["taken"] for row in rows}

    async def _hold(self, held: Sequence[Claimed], now: datetime) -> None:
        await self._db.run(
            HOLD,
            [one.id for one in held],
            [one.fence for one in held],
            [_end_of_hour(one.user, now) for one in held],
            GATHERED,
            RULE,
        )

    async def foreseen(self, db: Queries, user: UUID, choice: Choice, now: datetime) -> Choice:
        """Return what would become of a mail that is to go at once."""
        if not self._apart_s or choice.phase != "waiting":
            return choice
        at = await db.value(STATE, user, MAILS)
        if at is None or not self._is_full(_wait_s(at, now)):
            return choice
        return Choice("held", GATHERED, RULE, _end_of_hour(user, now), 1)

    def _is_full(self, wait_s: float) -> bool:
        return wait_s > HOUR_S - self._apart_s + 1e-6


def _wait_s(at: datetime, now: datetime) -> float:
    """Return how long what was counted takes to pass; a clock that was ahead counted nothing."""
    wait_s = (at - now).total_seconds()
    return max(0.0, wait_s) if wait_s <= HOUR_S + CLOCK_S else 0.0


def _end_of_hour(user: UUID, now: datetime) -> datetime:
    """Return when a person's hour ends, which begins at another minute for each."""
    offset = plan.share(user, MAILS) * HOUR_S
    ended = (now.timestamp() - offset) // HOUR_S
    return datetime.fromtimestamp(offset + (ended + 1) * HOUR_S, UTC)
