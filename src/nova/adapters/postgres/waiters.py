"""Callers that wait for a connection: served in their order, each for a bounded time."""

import asyncio
from collections.abc import Callable, Iterator
from math import ceil

from nova.adapters.postgres.connection import Connection
from nova.adapters.postgres.timeouts import SLICE_S

Waiter = asyncio.Future[Connection]


class Waiters:
    """First come, first served. Who has waited for `wait_s` is handed to `expired`.

    The time is counted in slices (see `answered`): while this process is held up, by thousands who
    connect at once or for the lack of a processor, nobody can be served, so nobody is refused.
    """

    def __init__(self, wait_s: float, expired: Callable[[Waiter], None]) -> None:
        self._patience = ceil(wait_s / SLICE_S)
        self._expired = expired
        self._due: dict[Waiter, int] = {}  # in the order of coming, and so of due slices
        self._slice = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self._due))

    def add(self, waiter: Waiter) -> None:
        # The present slice has partly gone already.
        self._due[waiter] = self._slice + self._patience + (self._timer is not None)
        if self._timer is None:
            self._arm()

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter, if it is not forgotten yet."""
        self._due.pop(waiter, None)

    def pop(self) -> Waiter | None:
        """Return who waits for longest, who waits no more."""
        while self._due:
            waiter = next(iter(self._due))
            del self._due[waiter]
            if not waiter.done():
                return waiter
        return None

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SLICE_S, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._slice += 1
        while self._due:
            waiter, due = next(iter(self._due.items()))
            if due > self._slice:
                self._arm()
                return
            del self._due[waiter]
            self._expired(waiter)
