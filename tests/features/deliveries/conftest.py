"""A world with phones and mailboxes in it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from nova.kernel.clock import ManualClock
from support.delivered import Delivered, delivered


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Delivered]:
    async with delivered(dsn) as one:
        yield one


@pytest.fixture
def clock() -> ManualClock:
    """For who moves on: it begins after the real time, at which devices are registered."""
    return ManualClock(datetime.now(UTC) + timedelta(minutes=5))
