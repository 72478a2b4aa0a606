"""The graph index in Neo4j: who may write to it, and what is told when it cannot be had."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from nova.adapters.neo4j.address import parsed
from nova.adapters.neo4j.graph import Neo4jGraph, open_graph
from nova.kernel.events import Partition, Position
from nova.ports.checkpoint import Checkpoint
from nova.ports.graph import Displaced, Edge, GraphUnavailable
from support.graphs import PATIENT_S, emptied_neo4j, followed, neo4j_url, numbers, own_neo4j

ONE, OTHER = Partition("graph", 0), Partition("accounts", 0)
FIRST = Checkpoint(
    "a log", {ONE: Position("5"), OTHER: Position("10")}, datetime(2026, 1, 1, tzinfo=UTC)
)
SECOND = replace(FIRST, to={**FIRST.to, OTHER: Position("20")})
THIRD = replace(FIRST, to={ONE: Position("6"), OTHER: Position("20")})

ADA, BEN, CLEO, DORA = range(1, 5)


@pytest.fixture
async def index() -> AsyncIterator[Neo4jGraph]:
    async with emptied_neo4j() as one:
        yield one


@pytest.fixture
async def other(index: Neo4jGraph) -> AsyncIterator[Neo4jGraph]:
    """Yield the same index as another process has it."""
    async with open_graph(neo4j_url(), answer_s=PATIENT_S) as one:
        yield one


async def test_it_stands_where_it_was_brought(index: Neo4jGraph, other: Neo4jGraph) -> None:
    assert await index.checkpoint() is None
    await index.begin(empty=True)
    await index.fill(ADA, numbers(BEN), 0)
    assert await other.checkpoint() is None
    await index.finish(FIRST)
    assert await other.checkpoint() == FIRST
    await index.bring([Edge(BEN, CLEO, follows=True)], [], after=FIRST, to=SECOND)
    assert await other.checkpoint() == SECOND
    assert await followed(other, BEN) == {CLEO}


async def test_a_late_batch_cannot_undo_what_came_after_it(
    index: Neo4jGraph, other: Neo4jGraph
) -> None:
    await index.begin(empty=True)
    await index.finish(FIRST)
    await index.bring([Edge(ADA, BEN, follows=True)], [], after=FIRST, to=SECOND)
    await index.bring([Edge(ADA, BEN, follows=False)], [], after=SECOND, to=THIRD)
    # One that was stopped after it had looked, and goes on now; and one that is sent again.
    for _ in range(2):
        with pytest.raises(Displaced):
            await other.bring([Edge(ADA, BEN, follows=True)], [], after=FIRST, to=SECOND)
    assert await followed(index, ADA) == set()
    assert await index.checkpoint() == THIRD
    elsewhere = replace(THIRD, log="another log")
    with pytest.raises(Displaced):
        await other.bring([Edge(ADA, BEN, follows=True)], [], after=elsewhere, to=elsewhere)


async def test_while_it_is_filled_nobody_is_answered_or_fills_it_too(
    index: Neo4jGraph, other: Neo4jGraph
) -> None:
    await index.begin(empty=True)
    await index.finish(FIRST)
    await index.begin(empty=False)
    for question in (
        other.suggest(ADA, hidden=(), most=1),
        other.mutuals(ADA, most=1),
        other.common(ADA, BEN, most=1),
        other.path(ADA, BEN, around=(), hops=6),
    ):
        with pytest.raises(GraphUnavailable, match="being filled"):
            await question
    with pytest.raises(Displaced):
        await other.bring([], [], after=FIRST, to=SECOND)
    with pytest.raises(Displaced):
        await other.begin(empty=True)
    assert "being filled" in await other.ping()
    await index.finish(SECOND)
    assert await other.mutuals(ADA, most=1) == []


async def test_who_was_displaced_writes_nothing_more(index: Neo4jGraph, other: Neo4jGraph) -> None:
    await index.begin(empty=True)
    await index.fill(ADA, numbers(BEN), 0)
    await other.begin(empty=True, force=True)
    await other.fill(ADA, numbers(CLEO), 0)
    with pytest.raises(Displaced):
        await index.finish(FIRST)
    await other.finish(SECOND)
    assert await followed(other, ADA) == {CLEO}
    assert await other.checkpoint() == SECOND


async def test_a_fill_that_broke_off_is_begun_again_or_left_to_who_has_done_it(
    index: Neo4jGraph, other: Neo4jGraph
) -> None:
    await index.begin(empty=True)
    await index.fill(ADA, numbers(BEN), 0)
    await index.begin(empty=True)  # it need not wait for itself
    await index.fill(ADA, numbers(CLEO), 0)
    await other.begin(empty=True, force=True)
    await other.fill(ADA, numbers(DORA), 0)
    await other.finish(FIRST)
    await index.bring([Edge(BEN, ADA, follows=True)], [CLEO], after=FIRST, to=SECOND)
    assert await followed(index, ADA) == {DORA}
    assert await followed(index, BEN) == {ADA}


async def test_filling_again_writes_what_differs(index: Neo4jGraph) -> None:
    await index.begin(empty=True)
    await index.fill(ADA, numbers(BEN, CLEO), 0)
    await index.fill(BEN, numbers(ADA), 1)
    await index.finish(FIRST)
    await index.begin(empty=False)
    await index.fill(ADA, numbers(CLEO, DORA), 1)
    await index.fill(BEN, numbers(ADA), 0)
    await index.finish(SECOND)
    assert await followed(index, ADA) == {CLEO, DORA}
    assert await followed(index, BEN) == {ADA}
    found = await index.suggest(9, hidden=(), most=9)
    assert [one.number for one in found] == [ADA]  # as often followed as it was told


async def test_what_a_question_is_given_is_never_part_of_it(index: Neo4jGraph) -> None:
    await index.begin(empty=True)
    await index.fill(ADA, numbers(BEN), 0)
    await index.fill(BEN, b"", 1)
    await index.finish(FIRST)
    evil = "1}) detach delete p //"
    assert await index.suggest(evil, hidden=[evil], most=1)  # type: ignore[arg-type,list-item]  # on purpose
    assert await index.path(evil, BEN, around=[evil], hops=6) is None  # type: ignore[arg-type,list-item]  # on purpose
    assert await index.common(evil, ADA, most=1) == []  # type: ignore[arg-type]  # on purpose
    assert await followed(index, ADA) == {BEN}


async def test_what_was_brought_survives_a_kill() -> None:
    with own_neo4j() as server:
        server.start()
        async with open_graph(server.url, answer_s=PATIENT_S) as index:
            await index.begin(empty=True)
            await index.finish(FIRST)
            await index.bring([Edge(ADA, BEN, follows=True)], [], after=FIRST, to=SECOND)
            server.kill()
            for _ in range(2):
                with pytest.raises(GraphUnavailable) as caught:
                    await index.mutuals(ADA, most=1)
                assert server.url.split(":")[2].split("@")[0] not in str(caught.value)
            with pytest.raises(GraphUnavailable, match="cannot be reached"):
                await index.bring([], [], after=SECOND, to=THIRD)
            server.start()
            assert await index.checkpoint() == SECOND
            assert await followed(index, ADA) == {BEN}


@pytest.mark.parametrize(
    ("text", "shown", "user", "password", "database"),
    [
        ("neo4j://neo4j:pa%40ss@db:7688", "neo4j://db:7688", "neo4j", "pa@ss", "neo4j"),
        ("bolt+s://ada:b%2Fc@db.example/graph", "bolt+s://db.example:7687", "ada", "b/c", "graph"),
        ("neo4j://[::1]:7687", "neo4j://[::1]:7687", "", "", "neo4j"),
    ],
)
def test_an_address_is_read(text: str, shown: str, user: str, password: str, database: str) -> None:
    found = parsed(text)
    assert (found.shown, found.user, found.password, found.database) == (
        shown,
        user,
        password,
        database,
    )


@pytest.mark.parametrize(
    "text",
    [
        "http://neo4j:s3cret@db",
        "neo4j://neo4j:s3cret@",
        "neo4j://neo4j:s3cret@db:port",
        "neo4j://neo4j:s3cret@db?x=1",
        "neo4j://neo4j:s3cret@[db",
    ],
)
def test_what_is_wrong_with_an_address_is_told_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r"^its|^it names|^it must") as caught:
        parsed(text)
    assert "s3cret" not in str(caught.value)
