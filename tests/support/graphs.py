"""The engines that may hold the graph index, for the suites that loop over them."""

import asyncio
import fcntl
import os
import tempfile
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engines.engine import Missing
from engines.neo4j import Server
from nova.adapters.local.graph import LocalGraph
from nova.adapters.neo4j.graph import Neo4jGraph, open_graph
from nova.kernel.events import Partition, Position
from nova.ports.checkpoint import Checkpoint
from nova.ports.graph import Edge, GraphIndex

IN_PROCESS, NEO4J = "in process", "Neo4j"
ENGINES = (IN_PROCESS, NEO4J)
SOMEWHERE = Checkpoint(
    "a log of the tests", {Partition("graph", 0): Position("1")}, datetime(2026, 1, 1, tzinfo=UTC)
)
PATIENT_S = 300.0
"""For an answer: what tests ask is not to depend on how busy the machine is."""


def neo4j_url() -> str:
    """Return the address of the run's Neo4j; who has none skips, unless the engines run."""
    if url := os.environ.get("NOVA_TEST_NEO4J"):
        return url
    if "NOVA_TEST_ENGINES" in os.environ:
        pytest.fail("the engines run, and Neo4j is not among them")
    pytest.skip("no Neo4j here: 'make test-engines' starts one")


@asynccontextmanager
async def neo4j_alone() -> AsyncIterator[str]:
    """Yield the address of the run's Neo4j; its one database is nobody else's meanwhile."""
    url = neo4j_url()
    path = Path(tempfile.gettempdir()) / f"nova-test-neo4j-{urlsplit(url).port}.lock"
    with path.open("w") as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)
        yield url


@asynccontextmanager
async def emptied_neo4j() -> AsyncIterator[Neo4jGraph]:
    """Yield an index in Neo4j with nothing in it, which has to be filled."""
    async with neo4j_alone() as url, open_graph(url, answer_s=PATIENT_S) as index:
        await index.begin(empty=True, force=True)
        async with index._writing() as tx:
            await tx.run("match (i:NovaIndex) delete i")
        index._fills = False
        yield index


@asynccontextmanager
async def empty_index(engine: str) -> AsyncIterator[GraphIndex]:
    """Yield an index with nobody in it, which answers."""
    if engine == IN_PROCESS:
        yield LocalGraph()
        return
    async with emptied_neo4j() as index:
        await index.begin(empty=True)
        await index.finish(SOMEWHERE)
        yield index


@contextmanager
def own_neo4j() -> Iterator[Server]:
    """Yield a Neo4j of one's own, not started yet: to be killed."""
    neo4j_url()
    with tempfile.TemporaryDirectory(prefix="nova-own-neo4j-") as folder:
        Path(folder).chmod(0o755)  # it may run as another user
        try:
            server = Server(Path(folder) / "neo4j")
        except Missing as missing:
            pytest.fail(str(missing))
        try:
            yield server
        finally:
            server.stop()


async def follow(index: GraphIndex, *pairs: tuple[int, int]) -> None:
    await index.apply([Edge(one, other, follows=True) for one, other in pairs])


async def unfollow(index: GraphIndex, *pairs: tuple[int, int]) -> None:
    await index.apply([Edge(one, other, follows=False) for one, other in pairs])


def numbers(*each: int) -> bytes:
    return array("I", each).tobytes()


async def followed(index: GraphIndex, number: int) -> set[int]:
    """Return all whom somebody follows: those whom they and they themselves follow."""
    return set(await index.common(number, number, most=100_000))
