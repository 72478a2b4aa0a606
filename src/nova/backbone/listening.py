"""A consumer's listeners: they get facts decoded; what fails is retried later, or dead-lettered."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from structlog import get_logger

from nova.backbone import dead_letters
from nova.backbone.database import Tx
from nova.backbone.statistics import Counts
from nova.kernel.events import Fact, Heard, Record

_log = get_logger()

Listener = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[None]]
"""Handles a run of facts of one type, in order, inside the transaction that moves the cursor."""


class Listening:
    """What one consumer does with records of the types that it hears."""

    def __init__(
        self,
        consumer: str,
        hears: Mapping[type[Fact], Listener],
        *,
        counts: Counts,
        attempts: int,
        retry_s: float,
    ) -> None:
        """A record has so many `attempts`, the second one `retry_s` after the first."""
        self.consumer = consumer
        self.counts = counts
        self.types = [kind.__name__ for kind in hears]
        self._listeners = {kind.__name__: listener for kind, listener in hears.items()}
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in hears}
        self._attempts = attempts
        self._retry_s = retry_s

    async def hear(self, tx: Tx, records: Sequence[Record]) -> int:
        """Call the listeners; bury what cannot be decoded, and return how many those are."""
        dead = 0
        runs = [(kind, list(run)) for kind, run in groupby(records, key=lambda each: each.type)]
        for number, (kind, run) in enumerate(runs, 1):
            tx.is_closing = number == len(runs)
            heard: list[Heard[Any]] = []
            decode = self._decoders[kind]
            for record in run:
                try:
                    fact = decode(record.payload)
                except msgspec.DecodeError as wrong:
                    await dead_letters.bury(tx, self.consumer, record, dead_letters.told(wrong))
                    _log.error("dead_letter", consumer=self.consumer, id=str(record.id), type=kind)
                    dead += 1
                    continue
                heard.append(Heard(fact, record.id, record.at, record.trace, record.attempt))
            if heard:
                await self._listeners[kind](tx, heard)
        return dead

    async def give_up_or_wait(self, tx: Tx, record: Record, wrong: Exception) -> None:
        """Keep a record that failed for its next attempt, or make it a dead letter."""
        about = {"consumer": self.consumer, "id": str(record.id), "type": record.type}
        if record.attempt >= self._attempts:
            await dead_letters.bury(tx, self.consumer, record, dead_letters.told(wrong))
            _log.error("dead_letter", **about, error=type(wrong).__name__)
            tx.after_commit(self.counts.died)
            return
        delay_s = self._retry_s * 2 ** (record.attempt - 1)
        await dead_letters.set_aside(tx, self.consumer, record, delay_s)
        _log.warning("event_failed", **about, attempt=record.attempt, error=type(wrong).__name__)
