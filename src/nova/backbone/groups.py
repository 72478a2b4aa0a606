"""Consumer groups: facts handed to listeners in transactions that also move the cursor."""

import asyncio
from collections.abc import Sequence
from time import monotonic

from msgspec import Struct
from structlog import get_logger

from nova.backbone.cursor_commit import Fenced
from nova.backbone.database import Database
from nova.backbone.listening import Listening
from nova.backbone.neighbours import Neighbours
from nova.backbone.ownership import Ownership
from nova.backbone.retries import Retries
from nova.kernel.errors import Unavailable
from nova.kernel.events import Fact, Partition, Record
from nova.ports.event_log import EventLog, Vector

_log = get_logger()
_STORE_EVERY_S = 30.0  # how far a cursor may stay behind what it only skipped


class Pace(Struct, frozen=True, kw_only=True):
    """How a group goes about it."""

    batch: int = 100
    """Records in one transaction; while more are waiting, it doubles up to `most`."""
    most: int = 1000
    wait_s: float = 1.0
    """Between two looks for what no process told of, and for retries that are due."""
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
    """One consumer in one topic: its listeners see every fact of their types, with effects once.

    A record that fails is tried again later while its partition flows on: later facts of
    the same key do not wait for it.
    """

    def __init__(
        self,
        listening: Listening,
        kinds: Sequence[type[Fact]],
        *,
        log: EventLog,
        db: Database,
        neighbours: Neighbours,
        retries: Retries,
        pace: Pace,
        reader: int = 0,
    ) -> None:
        """`kinds` are those of one topic; `reader` is one of the `pace.readers` of this process."""
        self.name = listening.consumer
        self.topic = kinds[0].topic
        self.counts = listening.counts
        self._listening = listening
        self._db = db
        partitions = log.partitions(self.topic)
        among = partitions[reader :: pace.readers]
        numbers = None if pace.readers == 1 else [each.number for each in among]
        self._log = log.reader(kinds, numbers=numbers, consumer=self.name)
        self.wake = self._log.wake
        self._ownership = Ownership(
            db.pool, neighbours, self.name, partitions=partitions, among=among
        )
        self._waiting_as = (self.topic, reader)
        self._pace = pace
        self._size = pace.batch
        self._retries = retries
        self._store_at = monotonic() + _STORE_EVERY_S
        neighbours.on_change(self.wake)

    @property
    def has_heard_all(self) -> bool:
        """Whether nothing that it was rung for waits in any partition it could ever own."""
        return self._ownership.is_whole and self._log.is_quiet

    @property
    def is_settled(self) -> bool:
        """Whether it owns what it should, as far as this process knows."""
        return self._ownership.is_settled

    async def turn(self) -> None:
        """Read the log once, handle what is there, and wait until it is worth another read."""
        try:
            await self._read()
        except Fenced:
            _log.info("partitions_taken_over", consumer=self.name, topic=self.topic)
            self._ownership.doubt()
        except BaseException:
            self._ownership.doubt()
            self.counts.stuck(self._waiting_as)
            raise

    async def _read(self) -> None:
        await self._ownership.settle()
        batch = await self._log.read(self._ownership.at, self._size)
        if batch.records:
            self.counts.found(batch.records[0].at, self._waiting_as)
            await self._handle(batch.records, batch.to)
        else:
            self._ownership.skipped(batch.to)
        if len(batch.records) == self._size:
            self._size = min(self._size * 2, self._pace.most)
            return
        self._size = self._pace.batch
        if len(batch.records) > 1:
            await asyncio.sleep(self._pace.rest_s)
        if batch.is_last:
            self.counts.caught_up(self._waiting_as)
            if monotonic() > self._store_at:
                await self._ownership.store()
                self._store_at = monotonic() + _STORE_EVERY_S
            await self._log.wait()

    async def _handle(self, records: Sequence[Record], to: Vector) -> None:
        """Handle records in one transaction; in halves, down to one, where that fails."""
        try:
            async with self._db.transaction() as tx:
                dead = await self._listening.hear(tx, records)
                tx.cursors = self._ownership.commit(to)
        except (Unavailable, Fenced):
            raise
        except Exception as wrong:  # noqa: BLE001  # the edge of the listeners; counted below
            self.counts.failed()
            if len(records) == 1:
                await self._set_aside(records[0], wrong, to)
                return
            half = len(records) // 2
            await self._handle(records[:half], _after(records[:half]))
            await self._handle(records[half:], to)
            return
        self._ownership.moved(to)
        self.counts.handled(len(records))
        self.counts.died(dead)

    async def _set_aside(self, record: Record, wrong: Exception, to: Vector) -> None:
        """Keep a record for later, and move the cursor past it."""
        async with self._db.transaction() as tx:
            await self._listening.give_up_or_wait(tx, record, wrong)
            tx.cursors = self._ownership.commit(to)
        self._ownership.moved(to)
        self._retries.kept()


def _after(records: Sequence[Record]) -> Vector:
    return {Partition(each.topic, each.partition): each.position for each in records}
