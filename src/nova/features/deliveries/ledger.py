"""Writes outcomes down, many at once, with everything that follows from them."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeAlias

from msgspec import structs
from structlog import get_logger

from nova.backbone.database import Database, Tx
from nova.features.deliveries import store
from nova.features.deliveries.endings import Endings
from nova.features.deliveries.models import LANES, Status
from nova.features.deliveries.store import Noted
from nova.kernel.batching import Batcher
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.kernel.ids import new_id
from nova.ports.database import Row

_log = get_logger()

Item: TypeAlias = tuple[Noted, float]
"""An outcome, and for how many seconds its whole lane is to be left alone."""
UNRECORDABLE = "unrecordable"
LOST = "What the provider said could not be recorded"
RECALLED = frozenset({"removed", "blocked"})
"""Why what is out already is taken back; what was only read elsewhere may stay."""


class Ledger:
    """Records outcomes: one transaction for those that come together."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        endings: Endings,
        rings: Callable[[str], None],
    ) -> None:
        """`rings` wakes a lane."""
        self._db = db
        self._clock = clock
        self._rings = rings
        self._endings = endings
        # Full: the lane tries again. One lane: outcomes of a delivery keep their order.
        self._record: Batcher[Item, bool] = Batcher(self._together, most=500, queue=20_000)

    async def record(self, noted: Noted, pause_s: float) -> bool:
        """Write an outcome down; `pause_s` stops the whole lane. False: the lease had passed on."""
        return await self._record((noted, pause_s))

    async def expire(self, most: int) -> int:
        """Drop up to `most` that are not worth sending any more; return how many that were."""
        async with self._db.transaction() as tx:
            rows = await tx.fetch(store.OVERDUE, self._clock.now(), most)
            await self._fall_back(tx, rows)
            await self._endings.tell(tx, rows)
        return len(rows)

    async def _together(self, items: Sequence[Item]) -> list[bool | Exception]:
        """Record outcomes in one transaction; in halves, down to one, where that fails.

        So one that cannot be recorded has no other sent again.
        """
        try:
            return list(await self._recorded(items))
        except Unavailable as away:
            return [away] * len(items)
        except Exception as wrong:  # noqa: BLE001  # whatever the database has against one of them
            if len(items) == 1:
                return [await self._in_own_words(*items[0], wrong)]
            half = len(items) // 2
            return [*await self._together(items[:half]), *await self._together(items[half:])]

    async def _in_own_words(
        self, noted: Noted, pause_s: float, wrong: Exception
    ) -> bool | Exception:
        """Record an outcome without the provider's words."""
        error = type(wrong).__name__
        _log.error("outcome_not_recorded", delivery=str(noted.claimed.id), error=error)
        says = f"{LOST} ({error})."
        plain = structs.replace(noted, code=UNRECORDABLE, says=says, provider_id=None)
        try:
            return (await self._recorded([(plain, pause_s)]))[0]
        except Unavailable as away:
            return away
        except Exception:  # noqa: BLE001  # likewise
            return await self._alone(plain)

    async def _alone(self, noted: Noted) -> bool | Exception:
        """Record an outcome and nothing that follows from it: a dead letter, if it has not ended.

        What fails even then is tried again when its lease is over, until its time is.
        """
        if noted.phase == "waiting":
            noted = structs.replace(noted, phase="dead", reason=UNRECORDABLE, due=None)
        try:
            return bool(await store.record(self._db, [noted], self._clock.now()))
        except Exception as wrong:  # noqa: BLE001  # its lane is told
            return wrong

    async def _recorded(self, items: Sequence[Item]) -> list[bool]:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            rows = await store.record(tx, [noted for noted, _ in items], now)
            held = {row["id"]: row for row in rows}
            kept = [noted for noted, _ in items if noted.claimed.id in held]
            await self._count(tx, kept)
            await self._suspect(tx, kept)
            await self._follow_up(tx, rows)
            await self._pause(tx, items)
            await self._endings.tell(tx, rows)
        return [noted.claimed.id in held for noted, _ in items]

    async def _count(self, tx: Tx, noted: Sequence[Noted]) -> None:
        tally = Counter((each.claimed.lane, _kind(each)) for each in noted)
        for lane in sorted({lane for lane, _ in tally}):
            counts = (tally[lane, "sent"], tally[lane, "failed"], tally[lane, "gone"])
            await tx.run(store.PULSE, lane, self._clock.now(), *counts)

    async def _suspect(self, tx: Tx, noted: Sequence[Noted]) -> None:
        now = self._clock.now()
        for lane in sorted({each.claimed.lane for each in noted}):
            fine = [
                each.claimed.address
                for each in noted
                if each.verdict == "sent" and each.claimed.lane == lane
            ]
            if fine:
                await tx.run(store.CLEAR, lane, fine)
        gone = [each for each in noted if each.verdict == "gone" and each.claimed.lane in LANES]
        for each in sorted(gone, key=lambda each: (each.claimed.lane, each.claimed.address)):
            one = each.claimed
            await tx.run(
                store.SUSPECT,
                one.lane,
                one.address,
                one.user,
                one.device,
                each.code or "gone",
                each.gone_since,
                now,
            )

    async def _follow_up(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Need what stood by for what failed; take back what was withdrawn while it went out."""
        now = self._clock.now()
        await self._fall_back(tx, [row for row in rows if row["phase"] in ("failed", "dead")])
        withdrawn = [
            store.recall(row, new_id(), now, reason)
            for row in rows
            if (reason := _recalled_for(row)) is not None
            and row["kind"] in ("single", "digest")
            and row["lane"] != "mail"
            and row["status"] >= Status.ATTEMPTED
        ]
        await store.add(tx, withdrawn)
        gone = [row["id"] for row in rows if row["outdated"] or row["cancelled"] in RECALLED]
        if gone:
            await tx.run(store.SCRUB_SUMMARIES, gone)
        await self._part(tx, [row for row in rows if row["summary_title"] is not None])

    async def _part(self, tx: Tx, spokesmen: Sequence[Row]) -> None:
        """Put those together anew of whom one was taken back, or turned off, meanwhile."""
        ids = [
            row["id"]
            for row in spokesmen
            if row["phase"] == "dropped"
            or row["cancelled"] in RECALLED
            or row["reason"] == "parted"
        ]
        tried = [row["id"] for row in spokesmen if row["phase"] == "waiting"]
        if tried:
            ids += [row["into_id"] for row in await tx.fetch(store.OUTDATED, tried)]
        if ids:
            await self._endings.tell(tx, await tx.fetch(store.PART, ids, self._clock.now()))

    async def _fall_back(self, tx: Tx, failed: Sequence[Row]) -> None:
        ids = [row["id"] for row in failed if row["kind"] != "recall"]
        if ids and await tx.fetch(store.FALL_BACK, ids, self._clock.now()):
            tx.after_commit(self._ring_all)

    def _ring_all(self) -> None:
        for lane in LANES:
            self._rings(lane)

    async def _pause(self, tx: Tx, items: Sequence[Item]) -> None:
        for noted, pause_s in items:
            if pause_s:
                lane, until = noted.claimed.lane, self._clock.now() + timedelta(seconds=pause_s)
                why = f"{noted.code}: {noted.says}" if noted.says else noted.code
                await tx.run(store.PAUSE, lane, until, why)
                _log.warning("lane_paused", lane=lane, seconds=round(pause_s, 1), code=noted.code)


def _recalled_for(row: Row) -> str | None:
    """Return why what an attempt brought is taken back, if it is.

    What is tried again replaces it by itself, with the text of then.
    """
    if row["cancelled"] in RECALLED:
        return str(row["cancelled"])
    return "removed" if row["outdated"] and row["phase"] != "waiting" else None


def _kind(noted: Noted) -> str:
    return {"sent": "sent", "gone": "gone"}.get(noted.verdict, "failed")
