"""Consumer groups: facts handed to listeners in transactions that also move the cursor."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import groupby
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct
from structlog import get_logger

from nova.backbone import letters
from nova.backbone.database import Database, Tx
from nova.backbone.doorbell import Bell
from nova.backbone.log import END, Cursor, Stretch, read
from nova.backbone.neighbours import Neighbours
from nova.backbone.outbox import PARTITIONS, partition_of
from nova.backbone.ownership import Ownership
from nova.backbone.statistics import Counts
from nova.backbone.step import Overtaken
from nova.kernel.errors import Unavailable
from nova.kernel.events import Fact, Heard, Record

_log = get_logger()
_STORE_EVERY_S = 30.0  # how far a cursor may stay behind what it only skipped

Listener = Callable[[Tx, Sequence[Heard[Any]]], Awaitable[None]]
"""Handles a run of facts of one type, in order, inside the transaction that moves the cursor."""


class Pace(Struct, frozen=True, kw_only=True):
    """How a group goes about it."""

    batch: int = 100
    """Records in one transaction; while more are waiting, it doubles up to `most`."""
    most: int = 1000
    wait_s: float = 1.0
    """Longest time between two looks when nothing rings."""
    rest_s: float = 0.003
    """After a look that found several records, so that further ones collect: a look costs almost
    the same for one as for ten. After a lone one there is no rest."""
    attempts: int = 5
    """Attempts at a record before it becomes a dead letter."""
    readers: int = 1
    """Readers of a process, each with its share of the partitions: one computes while another
    waits for the database."""
    retry_s: float = 0.1
    """Before the second attempt; doubles with each further one, up to an hour."""


class Group:
    """One consumer: its listeners see every fact of their types, and their effects happen once.

    A record that fails is tried again later while its partition flows on: later facts of
    the same key do not wait for it.
    """

    def __init__(
        self,
        name: str,
        hears: Mapping[type[Fact], Listener],
        *,
        db: Database,
        neighbours: Neighbours,
        counts: Counts,
        pace: Pace,
        reader: int = 0,
        readers: int = 1,
    ) -> None:
        """`reader` is its number among the `readers` of this process."""
        self.name = name
        self.bell = Bell(pace.wait_s, hears, self._concerns)
        self.counts = counts
        self._listeners = {kind.__name__: listener for kind, listener in hears.items()}
        self._decoders = {kind.__name__: msgspec.json.Decoder(kind).decode for kind in hears}
        self._types = list(self._listeners)
        self._db = db
        self._reader = reader
        self._readers = readers
        self._ownership = Ownership(
            db.pool, neighbours, name, among=range(reader, PARTITIONS, readers)
        )
        self._pace = pace
        self._size = pace.batch
        self._retry = asyncio.Event()
        self._store_at = monotonic() + _STORE_EVERY_S
        neighbours.on_change(self.bell.ring)

    @property
    def has_heard_all(self) -> bool:
        """Whether nothing that it was rung for waits in any partition it could ever own."""
        return self._ownership.is_whole and self.bell.is_quiet

    async def turn(self) -> None:
        """Look at the log once, handle what is there, and wait until it is worth another look."""
        try:
            await self._look()
        except Overtaken:
            _log.info("partitions_taken_over", consumer=self.name)
            self._ownership.doubt()
        except BaseException:
            self._ownership.doubt()
            self.counts.stuck(self._reader)
            raise

    def _concerns(self, fact: Fact) -> bool:
        return partition_of(fact.key) % self._readers == self._reader

    async def _look(self) -> None:
        self.bell.answer()
        await self._ownership.settle()
        partitions, after, upto = self._ownership.next()
        if not partitions:
            await self.bell.wait(0, 0)
            return
        stretch = await read(
            self._db.pool,
            after,
            upto=upto,
            partitions=partitions,
            types=self._types,
            most=self._size,
            consumer=self.name,
        )
        if stretch.records:
            self.counts.found(stretch.records[0].at, self._reader)
            await self._handle(stretch.records, partitions)
        if len(stretch.records) == self._size:
            self._size = min(self._size * 2, self._pace.most)
            return
        self._size = self._pace.batch
        if len(stretch.records) > 1:
            await asyncio.sleep(self._pace.rest_s)
        await self._rest(stretch, partitions, upto)

    async def _rest(self, stretch: Stretch, partitions: Sequence[int], upto: Cursor) -> None:
        """Note that there is nothing more below the snapshot's xmin, and wait."""
        passed = min(upto, Cursor(stretch.xmin - 1, END.position))
        self._ownership.skipped(partitions, passed)
        if upto == END:
            self.counts.caught_up(self._reader)
            if monotonic() > self._store_at:
                await self._ownership.store()
                self._store_at = monotonic() + _STORE_EVERY_S
            await self.bell.wait(stretch.xmin, stretch.xmax)

    async def _handle(self, records: Sequence[Record], partitions: Sequence[int]) -> None:
        """Handle records in one transaction; in halves, down to one, where that fails."""
        to = Cursor(records[-1].xact, records[-1].position)
        try:
            async with self._db.transaction() as tx:
                dead = await self._hear(tx, records)
                tx.step = self._ownership.step(partitions, to)
        except (Unavailable, Overtaken):
            raise
        except Exception as wrong:  # noqa: BLE001  # the edge of the listeners; counted below
            self.counts.failed()
            if len(records) == 1:
                await self._set_aside(records[0], wrong, partitions)
                return
            half = len(records) // 2
            await self._handle(records[:half], partitions)
            await self._handle(records[half:], partitions)
            return
        self._ownership.moved(partitions, to)
        self.counts.handled(len(records))
        self.counts.died(dead)

    async def _hear(self, tx: Tx, records: Sequence[Record]) -> int:
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
                    await letters.bury(tx, self.name, record, letters.told(wrong))
                    _log.error("dead_letter", consumer=self.name, id=str(record.id), type=kind)
                    dead += 1
                    continue
                heard.append(Heard(fact, record.id, record.at, record.trace, record.attempt))
            if heard:
                await self._listeners[kind](tx, heard)
        return dead

    async def _set_aside(self, record: Record, wrong: Exception, partitions: Sequence[int]) -> None:
        """Keep a record for later, and move the cursor past it."""
        to = Cursor(record.xact, record.position)
        async with self._db.transaction() as tx:
            await self._give_up_or_wait(tx, record, wrong)
            tx.step = self._ownership.step(partitions, to)
        self._ownership.moved(partitions, to)
        self._retry.set()

    async def _give_up_or_wait(self, tx: Tx, record: Record, wrong: Exception) -> None:
        about = {"consumer": self.name, "id": str(record.id), "type": record.type}
        if record.attempt >= self._pace.attempts:
            await letters.bury(tx, self.name, record, letters.told(wrong))
            _log.error("dead_letter", **about, error=type(wrong).__name__)
            tx.after_commit(self.counts.died)
            return
        delay_s = self._pace.retry_s * 2 ** (record.attempt - 1)
        await letters.set_aside(tx, self.name, record, delay_s)
        _log.warning("event_failed", **about, attempt=record.attempt, error=type(wrong).__name__)

    async def retry(self) -> None:
        """Try one record again whose time has come, or wait for the next."""
        self._retry.clear()
        seconds = await self._db.value(letters.NEXT_DUE, self.name)
        if seconds is None or seconds > 0:
            await self._until_due(seconds or self._pace.wait_s)
            return
        record: Record | None = None
        try:
            async with self._db.transaction() as tx:
                record = await letters.due(tx, self.name)
                if record:
                    await tx.run(letters.DONE, self.name, record.id)
                    dead = await self._hear(tx, [record])
        except Unavailable:
            raise
        except Exception as wrong:
            if record is None:
                raise
            self.counts.failed()
            await self._failed_again(record, wrong)
            return
        if record:
            self.counts.handled(1)
            self.counts.died(dead)

    async def _failed_again(self, record: Record, wrong: Exception) -> None:
        async with self._db.transaction() as tx:
            if not await tx.run(letters.DONE, self.name, record.id):
                return
            await self._give_up_or_wait(tx, record, wrong)

    async def _until_due(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(min(seconds, self._pace.wait_s)):
                await self._retry.wait()
        except TimeoutError:
            return
