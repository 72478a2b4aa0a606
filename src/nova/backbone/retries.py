"""Further attempts at records that failed alone, once their time has come."""

import asyncio
from collections.abc import Callable, Sequence

from nova.backbone import dead_letters
from nova.backbone.database import Database
from nova.backbone.listening import Listening
from nova.kernel.errors import Unavailable
from nova.kernel.events import Record
from nova.ports.database import Pool


class Retries:
    """Tries the records of one consumer again."""

    def __init__(self, listening: Listening, db: Database, kept: Callable[[], None]) -> None:
        """`kept` is to be called when there is one more to wait for."""
        self.consumer = listening.consumer
        self.types = listening.types
        self.kept = kept
        self._listening = listening
        self._db = db
        self._due = asyncio.Event()

    def wake(self) -> None:
        """Have it try those whose time has come."""
        self._due.set()

    async def turn(self) -> None:
        """Wait until some are due, and try one after the other."""
        await self._due.wait()
        self._due.clear()
        while await self._try_one():
            self.kept()  # perhaps, for yet another attempt

    async def _try_one(self) -> bool:
        """Try one record; False when none is due."""
        record: Record | None = None
        listening = self._listening
        try:
            async with self._db.transaction() as tx:
                record = await dead_letters.due(tx, listening.consumer, listening.types)
                if record is None:
                    return False
                await tx.run(dead_letters.DONE, listening.consumer, record.id)
                dead = await listening.hear(tx, [record])
        except Unavailable:
            raise
        except Exception as wrong:
            if record is None:
                raise
            listening.counts.failed()
            await self._failed_again(record, wrong)
            return True
        listening.counts.handled(1)
        listening.counts.died(dead)
        return True

    async def _failed_again(self, record: Record, wrong: Exception) -> None:
        async with self._db.transaction() as tx:
            if await tx.run(dead_letters.DONE, self.consumer, record.id):
                await self._listening.give_up_or_wait(tx, record, wrong)


class RetryClock:
    """Wakes the retries of those consumers that have a record due: one look for all of them."""

    def __init__(self, pool: Pool, *, wait_s: float) -> None:
        """`wait_s` is the longest time between two looks."""
        self._pool = pool
        self._wait_s = wait_s
        self.all: list[Retries] = []
        self._again = asyncio.Event()

    def add(self, listening: Listening, db: Database) -> Retries:
        """Return further retries that this clock wakes."""
        self.all.append(retries := Retries(listening, db, self._again.set))
        return retries

    async def turn(self) -> None:
        """Look once, and wait until another look is worth it."""
        self._again.clear()
        await self._wait(min([self._wait_s, *await self._look()]))

    async def _look(self) -> Sequence[float]:
        """Wake those with a record due, and return in how many seconds others have one."""
        consumers = [each.consumer for each in self.all]
        types = [" ".join(each.types) for each in self.all]
        rows = await self._pool.fetch(dead_letters.NEXT_DUE, consumers, types)
        due = {row["consumer"]: row["seconds"] for row in rows}
        for retries in self.all:
            if due.get(retries.consumer, 1) <= 0:
                retries.wake()
        return [seconds for seconds in due.values() if seconds > 0]

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._again.wait()
        except TimeoutError:
            return
