"""The graph of a small world, with its API and its notifications."""

from collections.abc import AsyncIterator

import pytest

from support.connected import Connected, connected


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Connected]:
    async with connected(dsn) as one:
        yield one
