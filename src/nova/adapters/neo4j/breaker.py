"""Spares callers the wait for a server that did not answer the last one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from nova.adapters.neo4j.faults import unavailable
from nova.ports.graph import GraphUnavailable

PAUSE_S = 1.0


class Breaker:
    """After a failure all but one caller a second are refused at once, until one succeeds."""

    def __init__(self) -> None:
        self._broken = False
        self._next_at = 0.0

    def close(self) -> None:
        """Let everybody through: the server answers."""
        self._broken = False

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        if self._broken:
            if monotonic() < self._next_at:
                raise unavailable("It did not answer a moment ago.")
            self._next_at = monotonic() + PAUSE_S
        try:
            yield
        except GraphUnavailable:
            self._broken, self._next_at = True, monotonic() + PAUSE_S
            raise
        self._broken = False
