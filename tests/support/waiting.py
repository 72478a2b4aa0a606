"""Waiting for something that nobody announces."""

import asyncio
from collections.abc import Awaitable, Callable

SOON_S = 300.0
"""After which a test gives up on what it waits for, on a machine that is busy with others."""


async def until(
    holds: Callable[[], object | Awaitable[object]], *, within_s: float = SOON_S
) -> None:
    """Return once `holds` answers something true; TimeoutError tells that it never did.

    The tests share a server, and a transaction that one of them leaves open, as a killed or
    stopped process does, holds back the log of all until the server ends it after 30 s.
    """
    async with asyncio.timeout(within_s):
        while not await _answer(holds()):  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.01)


async def _answer(given: object | Awaitable[object]) -> object:
    return await given if isinstance(given, Awaitable) else given
