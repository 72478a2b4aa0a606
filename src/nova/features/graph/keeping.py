"""Keeps the index over restarts, as long as the log still tells what happened since."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Struct
from structlog import get_logger

from nova.backbone.maintenance_batches import in_portions
from nova.features.graph import store_keeping
from nova.features.graph.feed import Feed
from nova.kernel.clock import Clock
from nova.kernel.ids import new_id
from nova.ports.checkpoint import decoded, encoded
from nova.ports.database import Queries
from nova.ports.event_log import Vector
from nova.ports.graph import GraphFull


class Shelf(Protocol):
    """Where the index is kept."""

    async def keep(self, mark: str) -> None:
        """Keep the index as it is, with a mark; changes made meanwhile may be in it or not."""

    def mark(self) -> str | None:
        """Return the mark of what is kept, if anything is."""

    async def load(self) -> bool:
        """Take over what is kept. False if it cannot be read; the index is then as it was.

        Raises GraphFull when it is too large.
        """


class _Mark(Struct, frozen=True):
    """Which keeping this is, and up to where in the log the index had heard everything."""

    id: UUID
    xmin: str
    at: str

    @property
    def to(self) -> Vector:
        return decoded(self.at)


class Keeper:
    """Begins with what was kept, where that is good, and else with the truth."""

    def __init__(
        self, db: Queries, clock: Clock, feed: Feed, shelf: Shelf, *, log_days: int
    ) -> None:
        """`log_days` is for how long the log is kept; half of that is relied on."""
        self._db = db
        self._clock = clock
        self._feed = feed
        self._shelf = shelf
        self._relied_on = timedelta(days=log_days) / 2
        self.has_begun = False
        """Whether the index knows everything, or at least that it cannot."""
        self._log = get_logger()

    async def begin(self) -> Vector | None:
        """Fill the index; return from where in the log on it has to hear, None for from now on."""
        try:
            at = await self._loaded()
        except GraphFull as full:
            self._feed.leave(full)
            at = None
        else:
            if at is None:
                await self._feed.fill()
        self.has_begun = True
        return at

    async def _loaded(self) -> Vector | None:
        kept = _read(self._shelf.mark())
        if kept is not None and await self._is_good(kept) and await self._shelf.load():
            self._log.info("graph_index_loaded", at=kept.at)
            return kept.to
        return None

    async def keep(self, at: Vector) -> None:
        """Keep the index, which has heard everything up to there."""
        if self._feed.is_full:
            return
        now = self._clock.now()
        id_ = new_id()
        xmin = await self._db.value(store_keeping.NOTE, id_, now)
        await self._shelf.keep(msgspec.json.encode(_Mark(id_, xmin, encoded(at))).decode())
        await in_portions(partial(self._db.run, store_keeping.FORGET, now - self._relied_on))

    async def _is_good(self, kept: _Mark) -> bool:
        return bool(
            await self._db.value(
                store_keeping.GOOD, kept.id, kept.xmin, self._clock.now() - self._relied_on
            )
        )


def _read(mark: str | None) -> _Mark | None:
    """Return what a mark says; of one that is damaged, as of none, nothing."""
    with suppress(msgspec.DecodeError):
        return None if mark is None else msgspec.json.decode(mark, type=_Mark)
    return None
