"""Wait for a result with a timeout that does not count stalls of the event loop."""

import asyncio
from collections.abc import Awaitable
from math import ceil
from typing import TypeVar

T = TypeVar("T")

SLICE_S = 0.02
"""Time is counted in these, however long each took: a process that is held up, by its own work or
for the lack of a processor, cannot say that somebody else did not answer meanwhile."""


async def is_done(task: asyncio.Future[T], within_s: float) -> bool:
    """Wait until a task is done, and tell whether it is; it goes on if not."""
    for _ in range(ceil(within_s / SLICE_S)):
        await asyncio.wait({task}, timeout=SLICE_S)
        if task.done():
            return True
    return False


async def answered(work: Awaitable[T], within_s: float) -> T:
    """Return the result of `work`, or cancel it and raise TimeoutError."""
    task = asyncio.ensure_future(work)
    try:
        if await is_done(task, within_s):
            return task.result()
        raise TimeoutError
    finally:
        if not task.done():
            task.cancel()
