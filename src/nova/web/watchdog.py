"""A watchdog for the event loop: while it stands still, nobody is served, and no probe answers."""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from math import inf
from time import monotonic
from traceback import format_stack

from prometheus_client import CollectorRegistry, Counter
from structlog import get_logger

LONG_S = 1.0
"""A loop that did not turn for so long is blocked."""
TOLD_S = 60.0
"""For so long after its end a block is told to who asks whether this process is ready."""


class LoopBlocked(Exception):
    """Something held the event loop a short while ago."""


class Watchdog:
    """Notices from a thread that the loop does not turn, and logs the stack of what holds it."""

    def __init__(self, registry: CollectorRegistry, *, long_s: float = LONG_S) -> None:
        self._long_s = long_s
        self._beat = inf
        self._started = asyncio.Event()
        self._ended = self._lasted = 0.0
        self._over = threading.Event()
        self._log = get_logger()
        self._blocks = Counter(
            "nova_loop_blocked",
            f"Times that the event loop stood still for {LONG_S:g} s or longer.",
            registry=registry,
        )
        self._seconds = Counter(
            "nova_loop_blocked_seconds",
            "Seconds that it stood still in these times.",
            registry=registry,
        )

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Watch the running loop as long as the block runs, from the call of `started` on."""
        watching = threading.get_ident()
        thread = threading.Thread(target=self._watch, args=(watching,), name="watchdog")
        beating = asyncio.create_task(self._beats(), name="watchdog")
        thread.start()
        try:
            yield
        finally:
            beating.cancel()
            self._over.set()
            thread.join()
            with suppress(asyncio.CancelledError):
                await beating

    def started(self) -> None:
        """Judge from now on: whoever starts may hold the loop, and nobody waits for it yet."""
        self._started.set()

    async def ping(self) -> str:
        """Say that the loop turns. Raises LoopBlocked for a while after it did not."""
        ago = monotonic() - self._ended
        if self._lasted and ago < TOLD_S:
            raise LoopBlocked(
                f"It stood still for {self._lasted:.1f} s, {ago:.0f} s ago; the log has the stack."
            )
        return "It turns."

    async def _beats(self) -> None:
        await self._started.wait()
        self._beat = monotonic()
        while True:
            await asyncio.sleep(self._long_s / 4)
            lasted, self._beat = monotonic() - self._beat, monotonic()
            if lasted >= self._long_s:
                self._ended, self._lasted = self._beat, lasted
                self._blocks.inc()
                self._seconds.inc(lasted)
                self._log.warning("loop_turns_again", seconds=round(lasted, 3))

    def _watch(self, thread: int) -> None:
        told = 0.0
        while not self._over.wait(self._long_s / 4):
            beat = self._beat
            if beat == told or monotonic() - beat < self._long_s:
                continue
            told = beat  # once for each time
            stack = "".join(format_stack(sys._current_frames().get(thread)))  # noqa: SLF001  # there is no public way to another thread's stack
            self._log.error("loop_blocked", seconds=round(monotonic() - beat, 3), stack=stack)
