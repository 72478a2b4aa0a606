"""Batch when busy, at once when idle: concurrent calls share one statement, one commit."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from nova.kernel.errors import Unavailable

I = TypeVar("I")  # noqa: E741  # an item
R = TypeVar("R")

RETRY_AFTER_S = 1.0


class Batcher(Generic[I, R]):
    """Merges concurrent calls: a lone one runs at once, those made meanwhile run together.

    `run` gets up to `most` items, in the order of their calls, and returns a result or an
    exception for each. What it raises goes to every caller of that batch. Up to `lanes`
    batches run at a time; one beside others begins once items of the weight `worth` wait: a
    small batch costs almost as much as a large one. Items of callers who were cancelled while
    waiting are left out. When a batch raises one of `sheds`, those who wait in the queue get it,
    too: it took a while, and their own batch would take as long again.
    """

    def __init__(
        self,
        run: Callable[[list[I]], Awaitable[Sequence[R | Exception]]],
        *,
        most: int = 100,
        queue: int = 10_000,  # full: callers get Unavailable at once
        lanes: int = 1,
        worth: int = 1,
        weigh: Callable[[I], int] = lambda _item: 1,
        sheds: tuple[type[Exception], ...] = (),
    ) -> None:
        self._run = run
        self._most = most
        self._size = queue
        self._lanes = self._idle_lanes = lanes
        self._worth = worth
        self._weigh = weigh
        self._weight = 0  # of what waits
        self._sheds = sheds
        self._queue: deque[tuple[I, asyncio.Future[R]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def __call__(self, item: I) -> R:
        """Return the item's result, or raise its exception. Unavailable when the queue is full."""
        if self._idle_lanes == self._lanes and not self._queue:
            return await self._alone(item)
        result = self._enqueue([item])[0]
        self._start_lanes()
        return await result

    async def many(self, items: Sequence[I]) -> Sequence[R | Exception]:
        """Return a result or an exception for each item; all or none of them are queued."""
        results = self._enqueue(items)
        self._start_lanes()
        try:
            done = await asyncio.gather(*results, return_exceptions=True)
        except asyncio.CancelledError:
            for each in results:
                each.cancel()
            raise
        return [_item_outcome(each) for each in done]

    async def drained(self) -> None:
        """Return when everything that was queued has run."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _alone(self, item: I) -> R:
        self._idle_lanes -= 1
        try:
            (outcome,) = _counted(await self._run([item]), 1)
        except self._sheds as wrong:
            self._shed(wrong)
            raise
        finally:
            self._idle_lanes += 1
            self._start_lanes()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _enqueue(self, items: Sequence[I]) -> list[asyncio.Future[R]]:
        if len(self._queue) + len(items) > self._size:
            raise Unavailable("Nova is busy; its queue is full.", retry_after=RETRY_AFTER_S)
        future = asyncio.get_running_loop().create_future
        results: list[asyncio.Future[R]] = [future() for _ in items]
        self._queue.extend(zip(items, results, strict=True))
        self._weight += sum(map(self._weigh, items))
        return results

    def _start_lanes(self) -> None:
        """Start lanes for what waits: the first at once, another once it is worth it."""
        while self._queue and (
            self._idle_lanes == self._lanes or (self._idle_lanes and self._weight >= self._worth)
        ):
            self._idle_lanes -= 1
            task = asyncio.get_running_loop().create_task(self._lane(self._next_batch()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _lane(self, batch: list[tuple[I, asyncio.Future[R]]]) -> None:
        """Run batches until the queue is empty."""
        try:
            while batch:
                await self._together(batch)
                batch = self._next_batch()
        finally:
            self._idle_lanes += 1

    async def _together(self, batch: list[tuple[I, asyncio.Future[R]]]) -> None:
        try:
            outcomes = _counted(await self._run([item for item, _ in batch]), len(batch))
        except Exception as wrong:  # noqa: BLE001  # each caller of the batch gets it
            outcomes = [wrong] * len(batch)
            if isinstance(wrong, self._sheds):
                self._shed(wrong)
        except asyncio.CancelledError:
            for _, result in batch:
                result.cancel()
            raise
        for (_, result), outcome in zip(batch, outcomes, strict=True):
            if result.done():
                continue
            if isinstance(outcome, Exception):
                result.set_exception(outcome)
            else:
                result.set_result(outcome)

    def _shed(self, wrong: Exception) -> None:
        for _, result in self._queue:
            if not result.done():
                result.set_exception(wrong)
        self._queue.clear()
        self._weight = 0

    def _next_batch(self) -> list[tuple[I, asyncio.Future[R]]]:
        batch: list[tuple[I, asyncio.Future[R]]] = []
        while self._queue and len(batch) < self._most:
            item, result = self._queue.popleft()
            self._weight -= self._weigh(item)
            if not result.done():  # its caller has gone, and was told nothing
                batch.append((item, result))
        return batch


def _counted(outcomes: Sequence[R | Exception], items: int) -> Sequence[R | Exception]:
    if len(outcomes) != items:
        raise RuntimeError(f"{items} items were given {len(outcomes)} results")
    return outcomes


def _item_outcome(outcome: R | BaseException) -> R | Exception:
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        raise outcome
    return outcome
