"""Spares callers the wait for a server that does not answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from nova.adapters.neo4j.faults import unavailable
from nova.ports.graph import GraphUnavailable

PAUSE_S = 1.0
IN_A_ROW = 3
"""So many failures make it broken; fewer may be the fault of single hard questions."""


class Breaker:
    """Once broken, all but one caller a second are refused at once, until one succeeds."""

    def __init__(self) -> None:
        self._failures = 0
        self._next_at = 0.0

    def close(self) -> None:
        """Let everybody through: the server answers."""
        self._failures = 0

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        if self._failures >= IN_A_ROW:
            if monotonic() < self._next_at:
                raise unavailable("It did not answer a moment ago.")
            self._next_at = monotonic() + PAUSE_S
        try:
            yield
        except GraphUnavailable:
            self._failures += 1
            self._next_at = monotonic() + PAUSE_S
            raise
        self._failures = 0
