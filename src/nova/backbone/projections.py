"""Projections in a process's memory: filled from the truth, then fed every fact by the log."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from nova.kernel.events import Fact, Heard
from nova.ports.event_log import EventLog, Vector

MOST = 1_000

KEEP_S = 900.0
"""Between two times that something is kept."""

Hear = Callable[[Sequence[Heard[Any]]], Awaitable[None]]
Fill = Callable[[], Awaitable[Vector | None]]
Keep = Callable[[Vector], Awaitable[None]]


class Projection:
    """Reads the whole log for this process alone; how far it got is kept nowhere.

    What it feeds may hear of a fact twice, or of one that the fill had seen: it has to look at
    the truth, or to bear it.
    """

    def __init__(
        self,
        log: EventLog,
        kinds: Sequence[type[Fact]],
        *,
        fill: Fill,
        hear: Hear,
        keep: Keep | None = None,
    ) -> None:
        """`fill` returns from where on it wants to hear, if that is not from now on.

        `keep` is called every so often, if anything was heard, and at the end.
        """
        self._log = log
        self._reader = log.reader(kinds)
        self._topics = {kind.topic for kind in kinds}
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in kinds}
        self._fill = fill
        self._hear = hear
        self._at: Vector | None = None
        self._keep = keep
        self._is_kept = True

    async def turn(self) -> None:
        """Fill at first; from then on, hand over what is new, and wait."""
        if self._at is None:
            # Taken before the fill: everything committed since then comes again.
            at = await self._log.end(self._topics)
            self._at = await self._fill() or at
            self._is_kept = self._at != at
        batch = await self._reader.read(self._at, MOST)
        if batch.records:
            self._is_kept = False
            await self._hear(
                [
                    Heard(self._decoders[one.type](one.payload), one.id, one.at, one.trace, 1)
                    for one in batch.records
                ]
            )
        self._at = {**self._at, **batch.to}
        if batch.is_last:
            await self._reader.wait()

    async def keep_now_and_then(self) -> None:
        await asyncio.sleep(KEEP_S)
        await self.keep()

    async def keep(self) -> None:
        """Keep what there is, unless nothing has changed since that was done."""
        if self._keep is not None and self._at is not None and not self._is_kept:
            self._is_kept = True
            await self._keep(self._at)
