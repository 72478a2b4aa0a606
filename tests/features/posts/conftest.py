"""A town of people who post."""

from collections.abc import AsyncIterator

import pytest

from support.posted import Town, town


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Town]:
    async with town(dsn) as one:
        yield one
