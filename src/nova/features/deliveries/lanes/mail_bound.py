"""Limit mails per recipient (GCRA): what is beyond is held, and put together into one mail.

It is asked where mails leave, so that it holds for whatever made them: an event, an escalation, a
push that failed, quiet hours that end, a digest, or an operator who replays dead letters.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from nova.backbone.database import Database
from nova.features.deliveries import plan
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.plan import Choice
from nova.features.deliveries.throttles import CLOCK_S, KEEP
from nova.kernel.clock import Clock
from nova.ports.database import Queries

HOUR_S = 3_600.0
MAILS = "*mail"
"""In place of a type: all mails to a person."""
GATHERED, RULE = "gathered", "mails to one person an hour"

ENTER = """
insert into deliveries.throttles (user_id, type, at) select unnest($1::uuid[]), $2, $3
    on conflict (user_id, type) do nothing
"""

LOCK = """
select user_id, at from deliveries.throttles
 where user_id = any($1::uuid[]) and type = $2 order by user_id for update
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
        now, users = self._clock.now(), sorted({one.user for one in counted})
        async with self._db.transaction() as tx:
            await tx.run(ENTER, users, MAILS, now)
            rows = await tx.fetch(LOCK, users, MAILS)
            waits = {row["user_id"]: _wait_s(row["at"], now) for row in rows}
            held = [one for one in counted if self._is_beyond(one, waits)]
            at = [now + timedelta(seconds=waits[user]) for user in users]
            await tx.run(KEEP, users, [MAILS] * len(users), at)
            if held:
                ids, fences = [one.id for one in held], [one.fence for one in held]
                due = [_end_of_hour(one.user, now) for one in held]
                await tx.run(HOLD, ids, fences, due, GATHERED, RULE)
        out = {one.id for one in held}
        return [(one, again) for one, again in claims if one.id not in out]

    async def foreseen(self, db: Queries, user: UUID, choice: Choice, now: datetime) -> Choice:
        """Return what would become of a mail that is to go at once."""
        if not self._apart_s or choice.phase != "waiting":
            return choice
        at = await db.value(STATE, user, MAILS)
        if at is None or not self._is_full(_wait_s(at, now)):
            return choice
        return Choice("held", GATHERED, RULE, _end_of_hour(user, now), 1)

    def _is_beyond(self, one: Claimed, waits: dict[UUID, float]) -> bool:
        """Tell whether a mail is beyond the bound, or count it.

        One that tells of what was held goes in any case.
        """
        wait_s = waits.get(one.user, 0.0)
        if self._is_full(wait_s) and not one.summary:
            return True
        waits[one.user] = min(HOUR_S, wait_s + self._apart_s)
        return False

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
