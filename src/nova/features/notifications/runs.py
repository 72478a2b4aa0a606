"""Notes when batches were stored and published, a moment after their commit."""

import asyncio
from datetime import datetime
from uuid import UUID

from structlog import get_logger

from nova.features.notifications import store
from nova.kernel.errors import Unavailable
from nova.ports.database import Queries

MOST = 1_000
"""Runs that may wait to be noted; above it, the newest are not: traces then lack two moments."""


class Runs:
    """Writes runs down together, so that a lone event costs no second commit of its own.

    What a killed process had not yet written is missing from traces, and from nothing else.
    """

    def __init__(self, db: Queries, *, every_s: float = 0.2) -> None:
        self._db = db
        self._every_s = every_s
        self._waiting: list[tuple[UUID, datetime, datetime]] = []
        self._task: asyncio.Task[None] | None = None
        self._log = get_logger()

    def note(self, run: UUID, stored_at: datetime, published_at: datetime) -> None:
        if len(self._waiting) < MOST:
            self._waiting.append((run, stored_at, published_at))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Write what waits."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    async def flush(self) -> None:
        while self._waiting:
            runs, self._waiting = self._waiting, []
            try:
                await store.ran(self._db, runs)
            except Unavailable:
                self._log.warning("runs_not_noted", count=len(runs))

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(self._every_s)
                await self.flush()
        finally:
            self._task = None
