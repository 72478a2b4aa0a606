"""A world with phones and mailboxes in it."""

from collections.abc import AsyncIterator

import pytest

from support.delivered import Delivered, delivered


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Delivered]:
    async with delivered(dsn) as one:
        yield one
