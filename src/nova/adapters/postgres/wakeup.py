"""When to read the log again: at once after a commit, soon while open transactions hold it back."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import monotonic

from nova.backbone.outbox import partition_of
from nova.kernel.events import Fact
from nova.ports.database import Pool

CHANNEL = "nova_log"
THROTTLE_S = 0.05
"""Between two NOTIFYs of a process: one per row would be the limit of the log's throughput."""
LOOKS = 30
"""Looks at the log's topics in the time in which a reader reads at least once."""
FEW = 64
"""Of more facts in one commit, all readers of their types are woken, without a look at each."""

# Which of the topics have records of transactions that were not yet decided at the last look. Each
# topic is one probe of an index; sorted, so that the planner takes it.
NEWS = """
select pg_snapshot_xmin(pg_current_snapshot())::text as xmin, array(
    select t.topic from unnest($1::text[]) as t (topic) cross join lateral (
        select from backbone.event_log l where l.topic = t.topic and l.xact >= $2::text::xid8
        order by l.xact desc, l.position desc limit 1
    ) newest
) as topics
"""

_SOONEST_S, _SOON_S = 0.001, 0.05  # between reads while newer rows are known to be held back


class Wakeup:
    """Wakes one reader. However often it was woken, one read answers all of it."""

    def __init__(
        self, wait_s: float, kinds: Sequence[type[Fact]], numbers: Collection[int] | None = None
    ) -> None:
        """`wait_s` is the longest wait; it is cut short by facts of `kinds` alone.

        `numbers` are the partitions whose facts cut it short, if not all.
        """
        self.kinds = tuple(kinds)
        self.topics = {kind.topic for kind in kinds}
        self._wait_s = wait_s
        self._numbers = None if numbers is None else frozenset(numbers)
        self._woken = asyncio.Event()
        self._woken.set()
        self._is_owing = True  # whoever begins has not yet read what there is
        self._is_answering = False
        self._until = self._seen = 0
        self._pause = _SOONEST_S

    def concerns(self, fact: Fact) -> bool:
        return self._numbers is None or partition_of(fact.key) in self._numbers

    @property
    def is_quiet(self) -> bool:
        """Whether its reader has handled all that it was woken for by facts."""
        return not self._is_owing and not self._is_answering and self._seen >= self._until

    def wake(self) -> None:
        """Have the reader read, though nothing new is known."""
        self._woken.set()

    def wake_for_facts(self) -> None:
        """Have the reader read what was committed."""
        self._is_owing = True
        self._woken.set()

    def answer(self) -> None:
        """Note, before a read, whether that read answers a wake-up."""
        self._is_answering = self._is_answering or self._is_owing
        self._is_owing = False
        self._woken.clear()

    async def wait(self, xmin: int, xmax: int) -> None:
        """Wait for the next read, after one that took everything decided below `xmin`.

        Whoever woke it had committed before that read, hence below its `xmax`. Until xmin gets
        there, rows may be held back by an older transaction that is still open.
        """
        if self._is_answering:
            self._until, self._is_answering = xmax, False
        self._seen = xmin
        if xmin < self._until:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 1.5, _SOON_S)
            return
        self._pause = _SOONEST_S
        try:
            async with asyncio.timeout(self._wait_s):
                await self._woken.wait()
        except TimeoutError:
            return


class Wakeups:
    """Wakes the readers of this process at once, and those of others by a throttled NOTIFY.

    One look at all topics finds what nobody told of. So readers of a quiet topic ask nothing.
    """

    def __init__(self, pool: Pool, *, wait_s: float) -> None:
        """`wait_s` is the time between two such looks."""
        self._pool = pool
        self._wait_s = wait_s
        self._look_at = 0.0
        self._decided = "0"
        self._others: Callable[[], bool] = lambda: False
        self._all: list[Wakeup] = []
        self._by_kind: dict[type[Fact], list[Wakeup]] = {}
        self._written = asyncio.Event()

    def add(self, wakeup: Wakeup) -> None:
        self._all.append(wakeup)
        self._by_kind.clear()

    def reader(self, kinds: Sequence[type[Fact]], numbers: Collection[int] | None = None) -> Wakeup:
        """Return, added, that of a reader of the log."""
        self.add(wakeup := Wakeup(self._wait_s * LOOKS, kinds, numbers))
        return wakeup

    def committed(self, facts: Sequence[Fact]) -> None:
        """Wake the readers of these facts, here and soon in other processes."""
        if len(facts) > FEW:
            for kind in {type(fact) for fact in facts}:
                for wakeup in self._of(kind):
                    wakeup.wake_for_facts()
        else:
            for fact in facts:
                for wakeup in self._of(type(fact)):
                    if wakeup.concerns(fact):
                        wakeup.wake_for_facts()
        self._written.set()

    async def start(self, others: Callable[[], bool]) -> None:
        """`others` tells whether any other process is known to be there."""
        self._others = others
        await self._pool.listen(CHANNEL, self._notified)

    async def run_once(self) -> None:
        """Notify the other processes, once for everything that was committed meanwhile; look."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._look_at - monotonic())):
                await self._written.wait()
        if self._written.is_set():
            self._written.clear()
            if self._others():
                await self._pool.notify(CHANNEL)
            await asyncio.sleep(THROTTLE_S)
        if monotonic() >= self._look_at:
            await self._look()

    async def _look(self) -> None:
        """Wake the readers of those topics in which there is something new."""
        self._look_at = monotonic() + self._wait_s
        row = await self._pool.row(NEWS, sorted(self._topics()), self._decided)
        if row is None:
            return
        self._decided = row["xmin"]
        for wakeup in self._all:
            if not wakeup.topics.isdisjoint(row["topics"]):
                wakeup.wake()

    def _topics(self) -> set[str]:
        return {topic for wakeup in self._all for topic in wakeup.topics}

    def _of(self, kind: type[Fact]) -> list[Wakeup]:
        """Return, and remember, those whose readers read facts of a type."""
        found = self._by_kind.get(kind)
        if found is None:
            found = [wakeup for wakeup in self._all if issubclass(kind, wakeup.kinds)]
            self._by_kind[kind] = found
        return found

    def _wake_all(self) -> None:
        for wakeup in self._all:
            wakeup.wake_for_facts()

    def _notified(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        if not own:
            self._wake_all()
