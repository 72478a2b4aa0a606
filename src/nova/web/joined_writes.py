"""Joined writes: what goes to one connection in one turn of the event loop leaves in one write."""

import asyncio
from typing import Protocol


class Writer(Protocol):
    """A connection that gathers what is written to it."""

    def flush(self) -> None:
        """Write what was gathered; raises nothing."""


class JoinedWrites:
    """Counts the turns of the loop, and has connections flush at the end of a turn.

    One for all connections of a loop. A write to the kernel costs several times what it costs to
    gather a frame. So the first frame of a turn leaves at once, since it may be the only one, and
    what follows in the same turn is joined.
    """

    def __init__(self) -> None:
        self.turn = 0
        """The number of the turn; it grows only after turns in which something was written."""
        self.is_open = False
        """Whether the end of this turn is awaited; see `begin`."""
        self._waiting: list[Writer] = []  # bounded: each connection once or twice a turn

    def begin(self) -> None:
        """Have this turn end; to be called before the first write of a turn."""
        self.is_open = True
        asyncio.get_running_loop().call_soon(self._end)

    def add(self, writer: Writer) -> None:
        """Flush a connection at the end of this turn."""
        if not self.is_open:
            self.begin()
        self._waiting.append(writer)

    def _end(self) -> None:
        self.turn += 1
        self.is_open = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.flush()
