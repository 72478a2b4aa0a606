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
from nova.features.deliveries.lanes import store_mail_bound
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.plan import Choice
from nova.features.deliveries.throttles import CLOCK_S
from nova.kernel.clock import Clock
from nova.ports.database import Queries

HOUR_S = 3_600.0
MAILS = "*mail"
"""In place of a type: all mails to a person."""
GATHERED, RULE = "gathered", "mails to one person an hour"


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
            store_mail_bound.TAKE,
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
            store_mail_bound.HOLD,
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
        at = await db.value(store_mail_bound.STATE, user, MAILS)
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
