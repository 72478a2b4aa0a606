"""Projections in a process's memory: filled from the truth, then fed every fact by the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from nova.backbone.doorbell import Bell
from nova.backbone.log import END, Cursor, read
from nova.backbone.outbox import PARTITIONS
from nova.kernel.events import Fact, Heard
from nova.ports.database import Pool

MOST = 1_000

START = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"

KEEP_S = 900.0
"""Between two times that something is kept."""

Hear = Callable[[Sequence[Heard[Any]]], Awaitable[None]]
Fill = Callable[[], Awaitable[Cursor | None]]
Keep = Callable[[Cursor], Awaitable[None]]


class Projection:
    """Reads the whole log for this process alone; how far it got is kept nowhere.

    What it feeds may hear of a fact twice, or of one that the fill had seen: it has to look at
    the truth, or to bear it.
    """

    def __init__(
        self,
        pool: Pool,
        kinds: Sequence[type[Fact]],
        *,
        fill: Fill,
        hear: Hear,
        wait_s: float,
        keep: Keep | None = None,
    ) -> None:
        """`fill` returns from where on it wants to hear, if that is not from now on.

        `keep` is called every so often, if anything was heard, and at the end.
        """
        self.bell = Bell(wait_s, kinds)
        self._kinds = tuple(kinds)
        self._pool = pool
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in kinds}
        self._fill = fill
        self._hear = hear
        self._at: Cursor | None = None
        self._keep = keep
        self._is_kept = True

    async def turn(self) -> None:
        """Fill at first; from then on, hand over what is new, and wait."""
        if self._at is None:
            # Taken before the fill: everything committed since then comes again.
            at = Cursor(await self._pool.value(START), END.position)
            self._at = await self._fill() or at
            self._is_kept = self._at != at
        self.bell.answer()
        stretch = await read(
            self._pool,
            self._at,
            partitions=range(PARTITIONS),
            types=list(self._decoders),
            most=MOST,
        )
        if stretch.records:
            self._is_kept = False
            await self._hear(
                [
                    Heard(self._decoders[one.type](one.payload), one.id, one.at, one.trace, 1)
                    for one in stretch.records
                ]
            )
            self._at = Cursor(stretch.records[-1].xact, stretch.records[-1].position)
        if len(stretch.records) < MOST:
            self._at = max(self._at, Cursor(stretch.xmin - 1, END.position))
            await self.bell.wait(stretch.xmin, stretch.xmax)

    async def keep_now_and_then(self) -> None:
        await asyncio.sleep(KEEP_S)
        await self.keep()

    async def keep(self) -> None:
        """Keep what there is, unless nothing has changed since that was done."""
        if self._keep is not None and self._at is not None and not self._is_kept:
            self._is_kept = True
            await self._keep(self._at)
