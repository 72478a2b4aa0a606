"""Tasks go on after whatever goes wrong in them, and end when they are closed."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from nova.backbone.tasks import Tasks
from nova.kernel.errors import Unavailable
from support.waiting import until


@pytest.mark.parametrize("wrong", [Unavailable(), LookupError(), None])
async def test_a_turn_that_loses_its_cancellation_is_the_last_one(wrong: Exception | None) -> None:
    """As one does that gives back a lease on its way out, and whose database is away."""
    turns: list[int] = []

    async def turn() -> None:
        turns.append(1)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if len(turns) > 1:
                raise
        if wrong:
            raise wrong

    tasks = Tasks(CollectorRegistry())
    tasks.forever("tidy", turn)
    await until(lambda: turns)
    closing = asyncio.create_task(tasks.close())
    await until(lambda: closing.done() or len(turns) > 1)
    assert closing.done()
    assert len(turns) == 1


async def test_a_turn_whose_work_was_cancelled_is_not_the_last_one() -> None:
    """As a job's is that lost its lease."""
    turns: list[int] = []

    async def turn() -> None:
        turns.append(1)
        work = asyncio.create_task(asyncio.sleep(0))
        work.cancel()
        await work

    tasks = Tasks(CollectorRegistry())
    tasks.forever("tidy", turn)
    await until(lambda: len(turns) > 1 or tasks._tasks[0].done())
    await tasks.close()
    assert len(turns) > 1
