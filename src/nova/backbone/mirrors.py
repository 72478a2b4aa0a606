"""Indexes outside of the database: fed by one process at a time, from where they stand."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Protocol

import msgspec
from structlog import get_logger

from nova.backbone.doorbell import Bell
from nova.backbone.log import END, Cursor, read
from nova.backbone.outbox import PARTITIONS
from nova.backbone.statistics import Counts
from nova.kernel.events import Fact, Heard, Record
from nova.ports.database import Pool
from nova.ports.places import Place

_log = get_logger()
MOST = 1_000
STORE_EVERY_S = 30.0
"""How far the place may stay behind what was only skipped."""
LOOK_EVERY_S = 1.0
MARGIN = timedelta(hours=1)
"""By so much a transaction's facts may be older than its commit."""

# Which log this is, and up to where everything is decided. A restored copy, an upgraded cluster
# and a standby that took over may lack what an index has seen, so each is another log.
HERE = """
select (select system_identifier from pg_control_system())::text
    || '/' || (select oid from pg_database where datname = current_database())
    || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) as log,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1 as xact, now() as at
"""


class Keeper(Protocol):
    """What is to be kept in step with the truth. Raises Unavailable while it cannot be reached."""

    async def place(self) -> Place | None:
        """Return where it stands; None when it has to be filled."""

    async def fill(self, at: Place) -> None:
        """Fill it from the truth as it is now, which is not older than `at`."""

    async def hear(self, heard: Sequence[Heard[Any]], *, after: Place, to: Place) -> None:
        """Bring it from one place to the next, together with what these facts are about."""


async def here(pool: Pool) -> Place:
    """Return the end of the log."""
    row = await pool.row(HERE)
    if row is None:
        raise RuntimeError("the database did not say where its log ends")
    return Place(row["log"], row["xact"], END.position, row["at"])


class Mirror:
    """Reads the log from where the index stands, however long it was away.

    Where it stands is kept in the index alone, so one that was lost, replaced, or restored from
    a backup goes on from its own place. When the log no longer reaches back there, it is filled.
    """

    def __init__(
        self,
        pool: Pool,
        kinds: Sequence[type[Fact]],
        keeper: Keeper,
        *,
        counts: Counts,
        retention_days: int,
        wait_s: float,
    ) -> None:
        self.bell = Bell(wait_s, kinds)
        self.counts = counts
        self._pool = pool
        self._keeper = keeper
        self._keep = timedelta(days=retention_days) - MARGIN
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in kinds}
        self._feeding = False
        self._store_at = 0.0

    async def run(self) -> None:
        """Feed the index until cancelled: by one process at a time, though more do no harm."""
        self._feeding = True
        try:
            place = await self._begun()
            read_to = Cursor(place.xact, place.position)
            while True:
                place, read_to = await self._turn(place, read_to)
        except Exception:
            self.counts.stuck()
            raise
        finally:
            self._feeding = False

    async def watch(self) -> None:
        """Look whether the index is there, so that this process's numbers say so."""
        try:
            await self._keeper.place()
        except Exception:
            self.counts.stuck()
            raise
        if not self._feeding:
            self.counts.caught_up()
        await asyncio.sleep(LOOK_EVERY_S)

    async def _begun(self) -> Place:
        """Return where the index stands, filled if need be."""
        place, end = await self._keeper.place(), await here(self._pool)
        if place is not None and place.log == end.log and place.at > end.at - self._keep:
            return place
        self.counts.found(end.at)
        await self._keeper.fill(end)
        return end

    async def _turn(self, place: Place, read_to: Cursor) -> tuple[Place, Cursor]:
        self.bell.answer()
        stretch = await read(
            self._pool,
            read_to,
            partitions=range(PARTITIONS),
            types=list(self._decoders),
            most=MOST,
        )
        if stretch.records:
            last = stretch.records[-1]
            place = await self._heard(stretch.records, place)
            read_to = Cursor(last.xact, last.position)
        if len(stretch.records) == MOST:
            return place, read_to
        read_to = max(read_to, Cursor(stretch.xmin - 1, END.position))
        self.counts.caught_up()
        if monotonic() > self._store_at:
            place = await self._stored(place, read_to)
        await self.bell.wait(stretch.xmin, stretch.xmax)
        return place, read_to

    async def _heard(self, records: Sequence[Record], after: Place) -> Place:
        self.counts.found(records[0].at)
        last = records[-1]
        to = Place(after.log, last.xact, last.position, max(after.at, last.at))
        await self._keeper.hear(self._decoded(records), after=after, to=to)
        self.counts.handled(len(records))
        return to

    async def _stored(self, place: Place, read_to: Cursor) -> Place:
        """Note in the index that there was nothing for it up to there."""
        at: datetime = await self._pool.value("select now()")
        to = Place(place.log, read_to.xact, read_to.position, at)
        await self._keeper.hear((), after=place, to=to)
        self._store_at = monotonic() + STORE_EVERY_S
        return to

    def _decoded(self, records: Sequence[Record]) -> list[Heard[Any]]:
        """Decode facts; one that cannot be is told, and left out: it would block all others."""
        found = []
        for one in records:
            try:
                fact = self._decoders[one.type](one.payload)
            except msgspec.DecodeError as wrong:
                _log.error("fact_unreadable", id=str(one.id), type=one.type, error=str(wrong))
                self.counts.died()
                continue
            found.append(Heard(fact, one.id, one.at, one.trace, 1))
        return found
