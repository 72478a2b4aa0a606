"""Who got what, and when: counted with as little work per message as possible."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from time import perf_counter

EVENT = re.compile(rb'"event_id":"bench-(\d+)"')


class Receipts:
    """Every event that was sent, and how often and how fast it reached a socket."""

    def __init__(self) -> None:
        self._sent: list[float] = []
        self._seen = bytearray()
        self.latencies: list[float] = []
        self.received = 0
        self.duplicated = 0
        self.longest_stall = 0.0
        """Seconds in which nothing came although something was due, at the longest."""
        self._flowed = 0.0
        self._all = asyncio.Event()

    def send(self, count: int, at: float | None = None) -> range:
        """Number `count` events that are sent now (or were due `at`)."""
        first = len(self._sent)
        if not self.outstanding:
            self._flowed = perf_counter()
        self._sent += [perf_counter() if at is None else at] * count
        self._seen += bytes(count)
        self._all.clear()
        return range(first, first + count)

    def on_message(self, message: bytes) -> None:
        now = perf_counter()
        if self.outstanding:
            self.longest_stall = max(self.longest_stall, now - self._flowed)
        self._flowed = now
        for match in EVENT.finditer(message):
            number = int(match[1])
            if self._seen[number]:
                self.duplicated += 1
                continue
            self._seen[number] = 1
            self.received += 1
            self.latencies.append(now - self._sent[number])
        if self.received == len(self._sent):
            self._all.set()

    async def complete(self, within_s: float) -> None:
        """Return when everything sent was received, or after `within_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._all.wait()

    @property
    def outstanding(self) -> int:
        return len(self._sent) - self.received


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
