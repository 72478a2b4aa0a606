"""The same questions as to the index in process, to one in a Neo4j server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from time import perf_counter

import numpy as np

from nova.app import graph as app_graph
from nova.bench.graph_index import HOPS, PAGE, TOP
from nova.bench.people import follows
from nova.bench.receipts import percentile
from nova.kernel.events import Partition, Position
from nova.ports.checkpoint import Checkpoint
from nova.ports.graph import GraphUnavailable, KeptGraphIndex
from nova.settings import Settings

WARMING = 500
TOGETHER = 16
PAUSE_S = 1.0
"""After this, a server that did not answer is asked again."""


async def measure(url: str, people: int, asked: int) -> dict[str, float]:
    """Empty the index at an address, fill and ask it, and leave it to be filled by its owner.

    Times are those of the wall: most of the work is another process's.
    """
    async with app_graph.outside(Settings(graph=url)) as index:
        if index is None:
            raise RuntimeError("the index of each process is measured anyhow")
        try:
            return await _filled(index, people) | await _asked(index, people, asked)
        finally:
            await index.begin(empty=True, force=True)


async def _filled(index: KeptGraphIndex, people: int) -> dict[str, float]:
    graph = follows(people)
    followers = graph.followers().tolist()
    start = perf_counter()
    await index.begin(empty=True, force=True)
    for number, row in enumerate(graph.rows(), 1):
        await index.fill(number, row.tobytes(), followers[number])
    await index.finish(
        Checkpoint("bench", {Partition("graph", 0): Position("1")}, datetime.now(UTC))
    )
    return {
        "people": people,
        "edges": len(graph.followees),
        "load_s": perf_counter() - start,
    }


async def _asked(index: KeptGraphIndex, people: int, asked: int) -> dict[str, float]:
    random = np.random.default_rng(7)
    some = random.integers(1, people + 1, (asked, 2)).tolist()
    warming = random.integers(1, people + 1, (WARMING, 2)).tolist()

    async def took(call: Callable[[int, int], Awaitable[object]]) -> Sequence[float]:
        await _times(call, warming)
        return await _times(call, some)

    async def fof_of(one: int, _other: int) -> object:
        return await index.suggest(one, hidden=(), most=TOP)

    fof = await took(fof_of)
    mutuals = await took(lambda one, _: index.mutuals(one, most=PAGE))
    common = await took(lambda one, other: index.common(one, other, most=PAGE))
    path = await took(lambda one, other: index.path(one, other, around=(), hops=HOPS))
    start = perf_counter()
    await asyncio.gather(*(_times(fof_of, some[each::TOGETHER]) for each in range(TOGETHER)))
    return {
        "fof_p50_ms": 1e3 * percentile(fof, 0.50),
        "fof_p95_ms": 1e3 * percentile(fof, 0.95),
        "fof_per_s": len(some) / (perf_counter() - start),
        "mutuals_p95_ms": 1e3 * percentile(mutuals, 0.95),
        "common_p95_ms": 1e3 * percentile(common, 0.95),
        "path_p95_ms": 1e3 * percentile(path, 0.95),
    }


async def _times(
    call: Callable[[int, int], Awaitable[object]], pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """Return the seconds of each call; one that was given up counts as long as it took."""
    took = []
    for one, other in pairs:
        start = perf_counter()
        try:
            await call(one, other)
        except GraphUnavailable:
            await asyncio.sleep(PAUSE_S)
        took.append(perf_counter() - start)
    return took
