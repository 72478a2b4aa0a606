"""Dead addresses: buried a little later, and not at all while suspiciously many die."""

from datetime import timedelta
from typing import Literal

from msgspec import Struct
from structlog import get_logger

from nova.backbone.database import Database, Tx
from nova.features.deliveries import rules, store, store_burial
from nova.features.deliveries.asks import Dead, Graves
from nova.features.deliveries.models import LANES
from nova.kernel.clock import Clock

_log = get_logger()

MOST = 500


class Caution(Struct, frozen=True, kw_only=True):
    """When deaths are believed."""

    wait_s: float = 30.0
    """Between a provider's word and the burial, so that a wave is seen before it is believed."""
    window_s: float = 600.0
    least: int = 50
    share: float = 0.3
    """Of all outcomes in the window, above which the fault is likelier ours."""


class Burial:
    """Buries the dead, and stops with a reason when a wrong certificate or project kills all."""

    def __init__(
        self, db: Database, clock: Clock, graves: Graves, caution: Caution | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._graves = graves
        self._caution = caution or Caution()

    async def round(self) -> int:
        """Bury what is due in every lane; return how many died."""
        return sum([await self._lane(lane) for lane in LANES])

    async def resume(self, tx: Tx, lane: str, suspects: Literal["bury", "forgive"]) -> None:
        """Open a lane again, and bury those who were called dead meanwhile, or forget it."""
        await tx.run(store.RESUME, lane)
        if suspects == "forgive":
            await tx.run(store_burial.FORGIVE, lane)
        else:
            while await self._bury(tx, lane):
                pass

    async def _lane(self, lane: str) -> int:
        if await self._too_many(lane) or not await self._db.value(store_burial.PURGING, lane):
            return 0
        async with self._db.transaction() as tx:
            return await self._bury(tx, lane, self._caution.wait_s)

    async def _too_many(self, lane: str) -> bool:
        caution = self._caution
        since = self._clock.now() - timedelta(seconds=caution.window_s)
        row = await self._db.row(store_burial.COUNTS, lane, since)
        gone, others = (row["gone"], row["others"]) if row else (0, 0)
        if not rules.dying_en_masse(gone, others, least=caution.least, share=caution.share):
            return False
        why = (
            f"{gone} of {gone + others} addresses were called dead within "
            f"{caution.window_s / 60:g} minutes: likelier a wrong certificate, project or host "
            "than so many uninstalls. Nothing is removed until somebody says what to do."
        )
        if await self._db.run(store_burial.STOP, lane, why):
            _log.error("purging_paused", lane=lane, gone=gone, outcomes=gone + others)
        return True

    async def _bury(self, tx: Tx, lane: str, wait_s: float = 0.0) -> int:
        before = self._clock.now() - timedelta(seconds=wait_s)
        rows = await tx.fetch(store_burial.DUE, lane, before, MOST)
        dead = [
            Dead(row["user_id"], row["device"], row["address"], row["reason"], row["gone_since"])
            for row in rows
        ]
        if dead:
            died = await self._graves.bury(tx, dead)
            _log.info("addresses_buried", lane=lane, called_dead=len(dead), died=died)
        return len(dead)
