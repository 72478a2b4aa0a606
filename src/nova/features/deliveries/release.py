"""Quiet hours end, and what stood by is needed: looked at anew, and put together."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database, Tx
from nova.features.deliveries import plan, rendering, store_schedule
from nova.features.deliveries.asks import Ask, Inbox, Preferences, Said
from nova.features.deliveries.endings import Endings
from nova.features.deliveries.lanes.platforms import RESTS
from nova.features.deliveries.models import LANES
from nova.features.deliveries.plan import Person
from nova.features.deliveries.planner import Planner
from nova.kernel.clock import Clock
from nova.ports.database import Row

AT_ONCE = 80
"""Few, with a rest between them: what is live comes first."""


class Move(Struct, frozen=True, kw_only=True):
    """What becomes of one that was held."""

    id: UUID
    phase: str
    reason: str | None = None
    rule: str | None = None
    due: datetime | None = None
    into: UUID | None = None
    title: str | None = None
    body: str | None = None


class Release:
    """Lets go of what was held or stood by, once its time has come."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        planner: Planner,
        preferences: Preferences,
        inbox: Inbox,
        *,
        endings: Endings,
        rings: Callable[[str], None],
        spread_s: float,
    ) -> None:
        self._db = db
        self._clock = clock
        self._planner = planner
        self._preferences = preferences
        self._inbox = inbox
        self._endings = endings
        self._rings = rings
        self._spread_s = spread_s

    async def due(self) -> int:
        """Release what is due, some people at a time; return how many deliveries moved."""
        moved = 0
        while True:
            started = self._clock.monotonic()
            count = await self._some()
            moved += count
            if not count:
                return moved
            await asyncio.sleep(min(1.0, RESTS * (self._clock.monotonic() - started)))

    async def _some(self) -> int:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            rows = await tx.fetch(store_schedule.DUE, now, AT_ONCE)
            if not rows:
                return 0
            people = await self._planner.persons({row["user_id"] for row in rows})
            wanted = await self._preferences.wanted(
                [Ask(row["user_id"], row["type"], row["about"]) for row in rows]
            )
            said = await self._inbox.current(
                {row["notification"] for row in rows if row["kind"] == "single"}
            )
            moves = [
                move
                for _, some in groupby(
                    zip(rows, wanted, strict=True), key=lambda pair: pair[0]["user_id"]
                )
                for move in moved(list(some), people, said, now, self._spread_s)
            ]
            await self._endings.tell(tx, await _written(tx, moves))
            tx.after_commit(self._ring_all)
        return len(moves)

    def _ring_all(self) -> None:
        for lane in LANES:
            self._rings(lane)


def moved(
    rows: Sequence[tuple[Row, Mapping[str, tuple[bool, str]]]],
    people: Mapping[UUID, Person],
    said: Mapping[UUID, Said],
    now: datetime,
    spread_s: float,
) -> list[Move]:
    """Decide about all of one person's deliveries whose time has come. Pure."""
    moves: list[Move] = []
    together: dict[tuple[str, UUID], list[Row]] = {}
    for row, wanted in rows:
        user, channel = row["user_id"], row["channel"]
        if row["kind"] == "single" and row["notification"] not in said:
            moves.append(Move(id=row["id"], phase="dropped", reason="removed"))
            continue
        on, rule = wanted.get(channel, (True, ""))
        if not on and not row["critical"] and row["kind"] == "single":
            moves.append(Move(id=row["id"], phase="dropped", reason="preference", rule=rule))
            continue
        choice = plan.at_once_or_held(
            channel, user, people[user], now=now, spread_s=spread_s, rule=row["rule"]
        )
        if choice.phase != "waiting" and not row["critical"]:
            moves.append(
                Move(
                    id=row["id"],
                    phase=choice.phase,
                    reason=choice.reason,
                    rule=choice.rule,
                    due=choice.due,
                )
            )
        elif row["phase"] == "held" and row["kind"] != "recall":
            together.setdefault((channel, row["target"]), []).append(row)
        else:
            moves.append(Move(id=row["id"], phase="waiting", reason="unless_seen", due=now))
    for some in together.values():
        moves += _coalesced(some, said, now)
    return moves


def _coalesced(rows: Sequence[Row], said: Mapping[UUID, Said], now: datetime) -> list[Move]:
    """Let the newest speak for all."""
    newest = rows[-1]
    if len(rows) == 1:
        return [Move(id=newest["id"], phase="waiting", reason="released", due=now)]
    titles = [
        each.title if (each := said.get(row["notification"])) else row["title"]
        for row in reversed(rows)
    ]
    title, body = rendering.summary(titles, newest["locale"], newest["channel"])
    others = [
        Move(id=row["id"], phase="merged", reason="coalesced", into=newest["id"])
        for row in rows[:-1]
    ]
    return [
        *others,
        Move(id=newest["id"], phase="waiting", reason="released", due=now, title=title, body=body),
    ]


async def _written(tx: Tx, moves: Sequence[Move]) -> Sequence[Row]:
    return await tx.fetch(
        store_schedule.MOVE,
        [each.id for each in moves],
        [each.phase for each in moves],
        [each.reason for each in moves],
        [each.rule for each in moves],
        [each.due for each in moves],
        [each.into for each in moves],
        [each.title for each in moves],
        [each.body for each in moves],
    )
