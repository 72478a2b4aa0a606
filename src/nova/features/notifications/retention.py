"""What grows is bounded: ids of events, stories and runs go when they are old enough."""

from datetime import timedelta
from functools import partial

from msgspec import Struct

from nova.backbone import intake
from nova.backbone.database import Database
from nova.backbone.maintenance_batches import in_portions
from nova.features.notifications import store_retention
from nova.kernel.clock import Clock


class Ages(Struct, frozen=True):
    """For how long things are kept, in seconds."""

    dedupe_s: float
    lifetime_s: float


class Retention:
    """Deletes what is too old, a little at a time."""

    def __init__(self, db: Database, clock: Clock, ages: Ages) -> None:
        self._db = db
        self._clock = clock
        self._ages = ages

    async def forget_events(self) -> int:
        """Forget ids of events, and why some were suppressed; return how many rows went."""
        before = self._clock.now() - timedelta(seconds=self._ages.dedupe_s)
        gone = await in_portions(partial(self._db.run, intake.FORGET, before))
        return gone + await in_portions(
            partial(self._db.run, store_retention.OLD_SUPPRESSED, before)
        )

    async def forget_runs(self) -> int:
        age = max(self._ages.lifetime_s, self._ages.dedupe_s)
        before = self._clock.now() - timedelta(seconds=age)
        return await in_portions(partial(self._db.run, store_retention.OLD_RUNS, before))
