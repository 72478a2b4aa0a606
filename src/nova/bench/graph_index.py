"""The graph index in a process that holds nothing else: what it takes, and how quick it is."""

import asyncio
import resource
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time

import numpy as np
from numpy.typing import NDArray

from nova.adapters.local.graph import LocalGraph
from nova.adapters.local.graph_file import GraphFile
from nova.bench.people import follows
from nova.bench.receipts import percentile

TOP = 20
PAGE = 50
HOPS = 6


def measure(people: int, asked: int) -> dict[str, float]:
    """Make and keep a graph in one process, then load and ask it in another one."""
    with TemporaryDirectory(prefix="nova-bench-") as folder:
        file = Path(folder) / "graph"
        made = _elsewhere(_make, file, people)
        return made | _elsewhere(_ask, file, people, asked)


def _elsewhere(call: Callable[..., dict[str, float]], *args: object) -> dict[str, float]:
    """Run a call in a process of its own, so that its memory is its own, too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        return other.submit(call, *args).result()


def _make(file: Path, people: int) -> dict[str, float]:
    graph = follows(people)
    index = LocalGraph()

    async def run() -> None:
        await fill(index, graph.rows())
        await GraphFile(index, file).keep("bench")

    asyncio.run(run())
    return {
        "people": people,
        "edges": len(graph.followees),
        "most_followed": int(graph.followers().max()),
        "most_following": int(graph.counts.max()),
    }


async def fill(index: LocalGraph, rows: Sequence[NDArray[np.uint32]]) -> None:
    """Fill an index with whom each person follows, counting from 1."""
    for number, row in enumerate(rows, 1):
        await index.fill(number, row.tobytes(), 0)


def _ask(file: Path, people: int, asked: int) -> dict[str, float]:
    return asyncio.run(_answers(file, people, asked))


async def _answers(file: Path, people: int, asked: int) -> dict[str, float]:
    index = LocalGraph()
    start = perf_counter()
    if not await GraphFile(index, file).load():
        raise RuntimeError("the index that was kept cannot be loaded")
    load_s = perf_counter() - start
    some = np.random.default_rng(7).integers(1, people + 1, (asked, 2)).tolist()
    fof = await _took(lambda one, _: index.suggest(one, hidden=(), most=TOP), some)
    mutuals = await _took(lambda one, _: index.mutuals(one, most=PAGE), some)
    common = await _took(lambda one, other: index.common(one, other, most=PAGE), some)
    path = await _took(lambda one, other: index.path(one, other, around=(), hops=HOPS), some)
    return {
        "fof_p50_ms": 1e3 * percentile(fof, 0.50),
        "fof_p95_ms": 1e3 * percentile(fof, 0.95),
        "mutuals_p95_ms": 1e3 * percentile(mutuals, 0.95),
        "common_p95_ms": 1e3 * percentile(common, 0.95),
        "path_p95_ms": 1e3 * percentile(path, 0.95),
        # All that the process ever took, Python and what it loads included.
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "load_s": load_s,
    }


async def _took(
    call: Callable[[int, int], Awaitable[object]], pairs: Sequence[tuple[int, int]]
) -> list[float]:
    """Return the CPU seconds of each call: it waits for nothing, whoever else uses the machine."""
    took = []
    for one, other in pairs:
        start = thread_time()
        await call(one, other)
        took.append(thread_time() - start)
    return took
