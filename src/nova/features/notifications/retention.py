"""What grows is bounded: ids of events, stories and runs go when they are old enough."""

from datetime import datetime, timedelta

from msgspec import Struct

from nova.backbone import intake
from nova.backbone.database import Database
from nova.kernel.clock import Clock
from nova.ports.database import Queries

MOST = 5_000
"""Rows in one transaction: short ones do not hold the log's readers back."""

OLD_SUPPRESSED = """
delete from notifications.suppressed where ctid = any(array(
    select ctid from notifications.suppressed where accepted_at < $1 limit $2))
"""

# A run is as old as its newest notification may be.
OLD_RUNS = """
delete from notifications.runs as r where r.ctid = any(array(
    select ctid from notifications.runs where published_at < $1 limit $2))
"""


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
        gone = await drained(self._db, intake.FORGET, before)
        return gone + await drained(self._db, OLD_SUPPRESSED, before)

    async def forget_runs(self) -> int:
        age = max(self._ages.lifetime_s, self._ages.dedupe_s)
        return await drained(self._db, OLD_RUNS, self._clock.now() - timedelta(seconds=age))


async def drained(db: Queries, statement: str, before: datetime) -> int:
    """Run a statement that deletes up to MOST rows until it finds fewer."""
    gone = count = await db.run(statement, before, MOST)
    while count == MOST:
        count = await db.run(statement, before, MOST)
        gone += count
    return gone
