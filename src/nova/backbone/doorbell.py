"""When to look at the log again: at once after a commit, soon while others hold it back."""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from nova.kernel.events import Fact
from nova.ports.database import Pool

CHANNEL = "nova_log"
THROTTLE_S = (
    0.05  # a NOTIFY per row would be the log's ceiling; a doorbell need not ring that often
)
FEW = 64
"""Of more facts nobody asks whom each concerns: all who hear one of their types are woken."""

_SOONEST_S, _SOON_S = 0.001, 0.05  # between looks while newer rows are known to be held back


class Bell:
    """One reader's bell. Rings are coalesced: however many there were, one look answers them."""

    def __init__(
        self,
        wait_s: float,
        kinds: Iterable[type[Fact]],
        concerns: Callable[[Fact], bool] = lambda _fact: True,
    ) -> None:
        """`wait_s` is the longest time between two looks when nobody rings.

        It need not ring for facts of this process that are of other kinds than its reader's,
        or not its reader's concern.
        """
        self._wait_s = wait_s
        self.kinds = tuple(kinds)
        self.concerns = concerns
        self._rung = asyncio.Event()
        self._rung.set()
        self._owing = True  # whoever begins has not yet seen what there is
        self._answering = False
        self._until = self._seen = 0
        self._pause = _SOONEST_S

    @property
    def is_quiet(self) -> bool:
        """Whether its reader has handled all that it was ever rung for."""
        return not self._owing and not self._answering and self._seen >= self._until

    def ring(self) -> None:
        """Say that there is something to read."""
        self._owing = True
        self._rung.set()

    def wake(self) -> None:
        """Have the reader look, though nothing new is known."""
        self._rung.set()

    def answer(self) -> None:
        """Note, before a look, whether that look answers a ring."""
        self._answering = self._answering or self._owing
        self._owing = False
        self._rung.clear()

    async def wait(self, xmin: int, xmax: int) -> None:
        """Wait for the next look, after one that took everything decided below `xmin`.

        Whoever rang had committed before that look, hence below its `xmax`. Until xmin gets
        there, rows may be held back by an older transaction that is still open.
        """
        if self._answering:
            self._until, self._answering = xmax, False
        self._seen = xmin
        if xmin < self._until:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 1.5, _SOON_S)
            return
        self._pause = _SOONEST_S
        try:
            async with asyncio.timeout(self._wait_s):
                await self._rung.wait()
        except TimeoutError:
            return


class Doorbell:
    """Rings this process's bells at once, and those of other processes by a throttled NOTIFY."""

    def __init__(self, pool: Pool, *, others: Callable[[], bool]) -> None:
        """`others` tells whether any other process is known to be there."""
        self._pool = pool
        self._others = others
        self._bells: list[Bell] = []
        self._hearing: dict[type[Fact], list[Bell]] = {}
        self._wrote = asyncio.Event()

    def add(self, bell: Bell) -> None:
        self._bells.append(bell)
        self._hearing.clear()

    def ring(self, facts: Sequence[Fact]) -> None:
        """Say that these were committed, to those whom they concern."""
        if len(facts) > FEW:
            for kind in {type(fact) for fact in facts}:
                for bell in self._hear(kind):
                    bell.ring()
        else:
            for fact in facts:
                for bell in self._hear(type(fact)):
                    if bell.concerns(fact):
                        bell.ring()
        self.ring_others()

    def _hear(self, kind: type[Fact]) -> list[Bell]:
        """Return, and remember, the bells of those who read facts of a kind."""
        hearing = self._hearing.get(kind)
        if hearing is None:
            hearing = [bell for bell in self._bells if issubclass(kind, bell.kinds)]
            self._hearing[kind] = hearing
        return hearing

    def _ring_all(self) -> None:
        for bell in self._bells:
            bell.ring()

    def ring_others(self) -> None:
        """Say it to the other processes alone."""
        self._wrote.set()

    async def start(self) -> None:
        await self._pool.listen(CHANNEL, self._heard)

    async def turn(self) -> None:
        """Tell the other processes, once for everything that was committed meanwhile."""
        await self._wrote.wait()
        self._wrote.clear()
        if self._others():
            await self._pool.notify(CHANNEL)
        await asyncio.sleep(THROTTLE_S)

    def _heard(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        if not own:
            self._ring_all()
