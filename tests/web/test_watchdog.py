"""The watchdog of the event loop."""

import asyncio
import io
import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from nova.web import logging
from nova.web.watchdog import LoopBlocked, Watchdog

LONG_S = 0.1


@pytest.fixture
def log() -> Iterator[io.BytesIO]:
    stream = io.BytesIO()
    logging.configure(stream=stream)
    yield stream
    structlog.reset_defaults()


def lines(log: io.BytesIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


def hog(seconds: float) -> None:
    until = monotonic() + seconds
    while monotonic() < until:
        pass


async def test_what_holds_the_loop_is_named_counted_and_told(log: io.BytesIO) -> None:
    registry = CollectorRegistry()
    watchdog = Watchdog(registry, long_s=LONG_S)
    async with watchdog.watching():
        watchdog.started()
        await asyncio.sleep(0)
        assert await watchdog.ping() == "It turns."
        for _ in range(2):
            hog(4 * LONG_S)
            await asyncio.sleep(LONG_S)
        with pytest.raises(LoopBlocked, match="stood still for 0"):
            await watchdog.ping()
    blocked = [line for line in lines(log) if line["event"] == "loop_blocked"]
    assert len(blocked) == 2
    assert all("hog(4 * LONG_S)" in line["stack"] for line in blocked)
    assert registry.get_sample_value("nova_loop_blocked_total") == 2
    assert (registry.get_sample_value("nova_loop_blocked_seconds_total") or 0) > 4 * LONG_S


async def test_a_busy_loop_that_turns_is_left_alone(log: io.BytesIO) -> None:
    watchdog = Watchdog(CollectorRegistry(), long_s=60.0)
    async with watchdog.watching():
        watchdog.started()
        hog(LONG_S)
        await asyncio.sleep(0)
        assert await watchdog.ping() == "It turns."
    assert lines(log) == []


async def test_a_slow_start_is_no_block(log: io.BytesIO) -> None:
    registry = CollectorRegistry()
    watchdog = Watchdog(registry, long_s=LONG_S)
    async with watchdog.watching():
        hog(4 * LONG_S)
        await asyncio.sleep(LONG_S)
        watchdog.started()
        assert await watchdog.ping() == "It turns."
    assert lines(log) == []
    assert registry.get_sample_value("nova_loop_blocked_total") == 0
