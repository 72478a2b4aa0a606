"""Limit the work per turn of the event loop, shared by all connections."""

import asyncio
from collections import deque
from collections.abc import Callable

PER_TURN = 64
"""Units of work in a turn: a frame, a command or some chunks are one, others are named below."""
REQUEST = 16
"""A request, or a socket's `connect`."""
OPENING = 4
"""A connection that is accepted."""
SHARE = 16
"""Units that one connection may take before others get their turn."""


class LoopBudget:
    """Bounds the work of a turn; what is beyond waits for a later turn, first come, first served.

    One for all connections of a loop: so a flood on some delays the others by one turn, however
    many they are. The bound is soft by one piece of work.
    """

    def __init__(self) -> None:
        self.spent = 0
        """Units of work in this turn."""
        self.turns = 0
        """Turns in which there was work, ever."""
        self.total = 0
        """Units of all turns so far."""
        self.most = 0
        """The most units of any turn so far."""
        self._waiting: deque[Callable[[], None]] = deque()  # bounded: one of each connection
        self._scheduled = False

    @property
    def used_up(self) -> bool:
        return self.spent >= PER_TURN

    @property
    def idle(self) -> bool:
        """Whether nothing was done in this turn, and nothing waits."""
        return not self.spent and not self._waiting

    def spend(self, units: int) -> None:
        """Count work that was done."""
        self.spent += units
        if not self._scheduled:
            self._schedule()

    def later(self, work: Callable[[], None]) -> None:
        """Have work done in a later turn, after what waits already."""
        self._waiting.append(work)
        if not self._scheduled:
            self._schedule()

    async def turn(self) -> None:
        """Return in a later turn, after what waits already."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.later(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.turns += 1
        self.total += self.spent
        self.most = max(self.most, self.spent)
        self.spent = 0
        for _ in range(len(self._waiting)):
            if self.spent >= PER_TURN:
                break
            self._waiting.popleft()()
        if (self._waiting or self.spent) and not self._scheduled:
            self._schedule()
