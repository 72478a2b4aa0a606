"""Indexes outside of the database: fed by one process at a time, from where they stand."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Protocol

import msgspec
from structlog import get_logger

from nova.backbone.statistics import Counts
from nova.kernel.events import Fact, Heard, Record
from nova.ports.checkpoint import Checkpoint
from nova.ports.event_log import EventLog, Vector

_log = get_logger()
MOST = 1_000
STORE_EVERY_S = 30.0
"""How far the checkpoint may stay behind what was only skipped."""
LOOK_EVERY_S = 1.0
MARGIN = timedelta(hours=1)
"""By so much a transaction's facts may be older than its commit."""


class KeptIndex(Protocol):
    """What is to be kept in step with the database. Raises Unavailable while it is away."""

    async def checkpoint(self) -> Checkpoint | None:
        """Return where it stands; None when it has to be filled."""

    async def fill(self, at: Checkpoint) -> None:
        """Fill it from the database as it is now, which is not older than `at`."""

    async def hear(self, heard: Sequence[Heard[Any]], *, after: Checkpoint, to: Checkpoint) -> None:
        """Bring it from one checkpoint to the next, together with what these facts are about."""


async def end_of(log: EventLog, kinds: Sequence[type[Fact]]) -> Checkpoint:
    """Return the end of the log, for who hears facts of these types."""
    topics = {kind.topic for kind in kinds}
    return Checkpoint(await log.identity(), await log.end(topics), await log.now())


class ExternalProjection:
    """Reads the log from where the index stands, however long it was away.

    Where it stands is kept in the index alone, so one that was lost, replaced, or restored from
    a backup goes on from its own checkpoint. When the log no longer reaches back there, it is
    filled.
    """

    def __init__(
        self,
        log: EventLog,
        kinds: Sequence[type[Fact]],
        index: KeptIndex,
        *,
        counts: Counts,
        retention_days: int,
    ) -> None:
        self.counts = counts
        self._log = log
        self._reader = log.reader(kinds)
        self._kinds = kinds
        self._index = index
        self._keep = timedelta(days=retention_days) - MARGIN
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in kinds}
        self._is_feeding = False
        self._store_at = 0.0

    async def run(self) -> None:
        """Feed the index until cancelled: by one process at a time, though more do no harm."""
        self._is_feeding = True
        try:
            checkpoint = await self._begin()
            read_to = checkpoint.to
            while True:
                checkpoint, read_to = await self._run_once(checkpoint, read_to)
        except Exception:
            self.counts.stuck()
            raise
        finally:
            self._is_feeding = False

    async def watch(self) -> None:
        """Look whether the index is there, so that this process's numbers say so."""
        try:
            await self._index.checkpoint()
        except Exception:
            self.counts.stuck()
            raise
        if not self._is_feeding:
            self.counts.caught_up()
        await asyncio.sleep(LOOK_EVERY_S)

    async def _begin(self) -> Checkpoint:
        """Return where the index stands, filled if need be."""
        found, end = await self._index.checkpoint(), await end_of(self._log, self._kinds)
        if (
            found is not None
            and found.log == end.log
            and found.to.keys() == end.to.keys()
            and found.at > end.at - self._keep
        ):
            return found
        self.counts.found(end.at)
        await self._index.fill(end)
        return end

    async def _run_once(self, checkpoint: Checkpoint, read_to: Vector) -> tuple[Checkpoint, Vector]:
        batch = await self._reader.read(read_to, MOST)
        read_to = {**read_to, **batch.to}
        if batch.records:
            checkpoint = await self._heard(batch.records, checkpoint, read_to)
        if not batch.is_last:
            return checkpoint, read_to
        self.counts.caught_up()
        if monotonic() > self._store_at:
            checkpoint = await self._stored(checkpoint, read_to)
        await self._reader.wait()
        return checkpoint, read_to

    async def _heard(
        self, records: Sequence[Record], after: Checkpoint, read_to: Vector
    ) -> Checkpoint:
        self.counts.found(records[0].at)
        to = Checkpoint(after.log, read_to, max(after.at, *(each.at for each in records)))
        await self._index.hear(self._decoded(records), after=after, to=to)
        self.counts.handled(len(records))
        return to

    async def _stored(self, checkpoint: Checkpoint, read_to: Vector) -> Checkpoint:
        """Note in the index that there was nothing for it up to there."""
        to = Checkpoint(checkpoint.log, read_to, await self._log.now())
        await self._index.hear((), after=checkpoint, to=to)
        self._store_at = monotonic() + STORE_EVERY_S
        return to

    def _decoded(self, records: Sequence[Record]) -> list[Heard[Any]]:
        """Decode facts; one that cannot be is logged, and left out: it would block all others."""
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
