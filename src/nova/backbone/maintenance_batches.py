"""Run a maintenance statement in small batches, and pause after each batch."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

MOST = 1_000
"""Rows that one statement touches: a short transaction holds no reader of the log back."""
LEAST = 50
LONG_S = 0.05
"""A statement that took longer is followed by one of half as many rows, down to LEAST."""
REST_S = 0.01
RESTS = 3.0
"""After a statement, for this many times what it took: the rest of the time is live traffic's."""


async def in_portions(portion: Callable[[int], Awaitable[int]]) -> int:
    """Call with a number of rows until it touches fewer; return how many it touched in all.

    `portion` runs one statement, or one short transaction, that touches at most so many rows.
    """
    total, most = 0, MOST
    while True:
        begun = monotonic()
        touched = await portion(most)
        total += touched
        if touched < most:
            return total
        most = await rest(monotonic() - begun, most)


async def rest(took_s: float, most: int = MOST) -> int:
    """Leave the database to others for a while; return how many rows to touch next."""
    await asyncio.sleep(max(REST_S, RESTS * took_s))
    return max(LEAST, most // 2) if took_s > LONG_S else min(MOST, most * 2)
