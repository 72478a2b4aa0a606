import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova.kernel.batching import Batcher
from nova.kernel.errors import Unavailable


class Doubler:
    """Doubles numbers, refuses multiples of seven, and remembers its batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.running = 0
        self.most_running = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.batches.append(list(items))
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(0)
        await self.open.wait()
        self.running -= 1
        return [ValueError(item) if item % 7 == 0 else item * 2 for item in items]


def right(item: int, outcome: object) -> bool:
    if item % 7 == 0:
        return isinstance(outcome, ValueError) and outcome.args == (item,)
    return outcome == item * 2


@given(
    items=st.lists(st.integers(1, 100), max_size=60),
    most=st.integers(1, 12),
    lanes=st.integers(1, 4),
    worth=st.integers(1, 30),
)
def test_every_call_gets_its_own_outcome_once(
    items: list[int], most: int, lanes: int, worth: int
) -> None:
    async def scenario() -> None:
        run = Doubler()
        batcher = Batcher(run, most=most, lanes=lanes, worth=worth, weigh=lambda item: item % 9)
        outcomes = await asyncio.gather(*map(batcher, items), return_exceptions=True)
        assert all(map(right, items, outcomes))
        ran = [item for batch in run.batches for item in batch]
        assert ran == items
        assert all(0 < len(batch) <= most for batch in run.batches)
        assert run.most_running <= lanes

    asyncio.run(scenario())


async def test_a_batch_begins_beside_another_once_enough_waits() -> None:
    begun: list[list[int]] = []
    go_on = asyncio.Event()

    async def run(items: list[int]) -> list[int]:
        begun.append(items)
        await go_on.wait()
        return items

    batcher = Batcher(run, lanes=2, worth=5, weigh=lambda item: item)
    async with asyncio.TaskGroup() as calls:
        for item in (1, 2, 2):
            calls.create_task(batcher(item))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert begun == [[1]]
        calls.create_task(batcher(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert begun == [[1], [2, 2, 1]]
        go_on.set()
    assert len(begun) == 2


@given(
    groups=st.lists(st.lists(st.integers(1, 100), max_size=20), max_size=8),
    most=st.integers(1, 12),
    lanes=st.integers(1, 3),
)
def test_many_answers_each_item_in_order(groups: list[list[int]], most: int, lanes: int) -> None:
    async def scenario() -> None:
        run = Doubler()
        batcher = Batcher(run, most=most, lanes=lanes)
        answers = await asyncio.gather(*map(batcher.many, groups))
        for items, outcomes in zip(groups, answers, strict=True):
            assert len(items) == len(outcomes)
            assert all(map(right, items, outcomes))
        assert sum(map(len, run.batches)) == sum(map(len, groups))
        assert all(0 < len(batch) <= most for batch in run.batches)

    asyncio.run(scenario())


async def test_a_lone_call_runs_at_once_and_calls_made_meanwhile_run_together() -> None:
    run = Doubler()
    run.open.clear()
    batcher = Batcher(run)
    calls = [asyncio.ensure_future(batcher(item)) for item in (1, 2, 3, 4)]
    await asyncio.sleep(0)
    assert run.batches == [[1]]
    run.open.set()
    assert await asyncio.gather(*calls) == [2, 4, 6, 8]
    assert run.batches == [[1], [2, 3, 4]]


async def test_a_full_queue_refuses_at_once_and_accepts_none_of_many() -> None:
    run = Doubler()
    run.open.clear()
    batcher = Batcher(run, queue=3)
    calls = [asyncio.ensure_future(batcher(item)) for item in (1, 2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refusal:
        await batcher.many([4, 5])
    assert refusal.value.retry_after
    run.open.set()
    assert await asyncio.gather(*calls) == [2, 4, 6]
    assert await batcher(8) == 16


async def test_what_a_batch_raises_reaches_each_caller_and_the_next_batch_runs() -> None:
    runs = 0

    async def run(items: list[int]) -> Sequence[int | Exception]:
        nonlocal runs
        runs += 1
        await asyncio.sleep(0)
        if runs <= 2:
            raise Unavailable
        return items

    batcher = Batcher(run, most=2)
    outcomes = await asyncio.gather(*map(batcher, (1, 2, 3, 4, 5)), return_exceptions=True)
    assert [type(each) for each in outcomes] == [Unavailable] * 3 + [int, int]
    assert await batcher(6) == 6


async def test_too_few_results_fail_the_batch_instead_of_leaving_callers_waiting() -> None:
    async def run(items: list[int]) -> Sequence[int | Exception]:
        return items[1:]

    batcher = Batcher(run)
    assert all(isinstance(each, RuntimeError) for each in await batcher.many([1, 2, 3]))


async def test_an_item_whose_caller_gave_up_while_waiting_is_not_run() -> None:
    run = Doubler()
    run.open.clear()
    batcher = Batcher(run)
    first, second, third = (asyncio.ensure_future(batcher(item)) for item in (1, 2, 3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    run.open.set()
    assert [await first, await third] == [2, 6]
    assert run.batches == [[1], [3]]


async def test_a_cancelled_lone_call_hands_its_lane_to_those_that_wait() -> None:
    run = Doubler()
    run.open.clear()
    batcher = Batcher(run)
    first, second = (asyncio.ensure_future(batcher(item)) for item in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    run.open.set()
    assert await second == 4
    await batcher.drained()
    assert batcher.waiting == 0


async def test_those_who_wait_behind_a_lock_are_refused_with_who_waited_for_it() -> None:
    class Held(Exception):
        pass

    ran: list[list[int]] = []
    going = asyncio.Event()

    async def run(items: list[int]) -> Sequence[int]:
        ran.append(items)
        if len(ran) <= 2:
            await going.wait()
            raise Held
        return items

    batcher = Batcher(run, sheds=(Held,))
    for wanted in ([1], [5]):
        waiting = [asyncio.ensure_future(batcher(item)) for item in (*wanted, 2, 3)]
        await asyncio.sleep(0)
        going.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in outcomes] == [Held] * 3
        assert ran[-1] == wanted
        going.clear()
    assert await batcher(4) == 4
