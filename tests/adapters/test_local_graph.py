"""The graph index in process agrees with a model that counts everything out."""

import asyncio
from array import array
from collections import defaultdict
from contextlib import suppress
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova.adapters.local.graph import LocalGraph
from nova.adapters.local.graph_file import GraphFile
from nova.ports.graph import Edge, GraphFull

PEOPLE = 12
HOPS = 6

person = st.integers(1, PEOPLE)
pair = st.tuples(person, person).filter(lambda both: both[0] != both[1])
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("follow"), pair),
        st.tuples(st.just("unfollow"), pair),
        st.tuples(st.just("forget"), person),
        st.tuples(st.just("fill"), st.lists(pair, max_size=30, unique=True)),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=40,
)


class Model:
    """Whom each person follows, the newest last."""

    def __init__(self) -> None:
        self.out: defaultdict[int, list[int]] = defaultdict(list)

    def follow(self, follower: int, followee: int) -> None:
        if followee not in self.out[follower]:
            self.out[follower].append(followee)

    def unfollow(self, follower: int, followee: int) -> None:
        if followee in self.out[follower]:
            self.out[follower].remove(followee)

    def forget(self, person: int) -> None:
        self.out[person] = []
        for other in range(1, PEOPLE + 1):
            self.unfollow(other, person)

    def followers(self, person: int) -> int:
        return sum(person in followees for followees in self.out.values())

    def suggested(self, person: int, hidden: set[int]) -> dict[int, tuple[float, set[int]]]:
        """Return the score of each candidate, and who leads there."""
        found: dict[int, tuple[float, set[int]]] = {}
        for friend in self.out[person]:
            for one in self.out[friend]:
                score, by = found.get(one, (0.0, set()))
                found[one] = (score + 1 / len(self.out[friend]), by | {friend})
        left_out = {person, *self.out[person], *hidden}
        return {one: what for one, what in found.items() if one not in left_out}

    def distance(self, start: int, end: int, around: set[int]) -> int | None:
        reached, seen = {start}, {start}
        for hops in range(HOPS + 1):
            if end in reached:
                return hops
            reached = set(chain.from_iterable(self.out[each] for each in reached)) - seen - around
            seen |= reached
        return None


@given(deeds, person, person, st.sets(person, max_size=3))
@settings(deadline=None, max_examples=200)
async def test_it_answers_like_a_model_whatever_happened(
    tmp_path_factory: pytest.TempPathFactory,
    happened: list[tuple[str, object]],
    one: int,
    other: int,
    apart: set[int],
) -> None:
    model, index = Model(), LocalGraph()
    for what, about in happened:
        index = await happen(model, index, what, about, tmp_path_factory)
    assert index.edges == sum(map(len, model.out.values()))
    await suggestions_agree(model, index, one, apart)
    assert await index.mutuals(one, most=9) == [
        each for each in reversed(model.out[one]) if one in model.out[each]
    ]
    assert await index.common(one, other, most=9) == [
        each for each in reversed(model.out[one]) if each in model.out[other]
    ]
    await paths_agree(model, index, one, other, apart - {one, other})


async def happen(
    model: Model,
    index: LocalGraph,
    what: str,
    about: object,
    folders: pytest.TempPathFactory,
) -> LocalGraph:
    """Have something happen to both; return the index, which is another one after a restart."""
    match what, about:
        case "follow" | "unfollow", (int(follower), int(followee)):
            getattr(model, what)(follower, followee)
            await index.apply([Edge(follower, followee, follows=what == "follow")] * 2)
        case "forget", int(gone):
            model.forget(gone)
            await index.forget(gone)
        case "fill", list(pairs):
            model.out.clear()
            for follower, followee in pairs:
                model.follow(follower, followee)
            for number in range(1, PEOPLE + 1):
                row = array("I", model.out[number])
                await index.fill(number, row.tobytes(), model.followers(number))
        case _:
            return await restarted(index, folders.mktemp("kept") / "graph")
    return index


@given(deeds, st.integers(0, 4_000), person, person)
@settings(deadline=None, max_examples=200)
async def test_within_its_bound_it_answers_rightly_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory,
    happened: list[tuple[str, object]],
    most: int,
    one: int,
    other: int,
) -> None:
    model, index = Model(), LocalGraph(most)
    for what, about in happened:
        with suppress(GraphFull):
            index = await happen(model, index, what, about, tmp_path_factory)
    assert index.memory <= most
    try:
        await suggestions_agree(model, index, one, set())
        await paths_agree(model, index, one, other, set())
    except GraphFull:
        assert index.is_full
        assert (index.edges, index.memory) == (0, 0)
    else:
        assert index.edges == sum(map(len, model.out.values()))
    assert index.memory <= most


async def test_a_hub_of_a_million_is_followed_left_and_forgotten_beside_others() -> None:
    hub, crowd = 1, range(2, 1_000_002)
    index = LocalGraph()
    row = array("I", [hub]).tobytes()
    for number in crowd:
        await index.fill(number, row, 0)
    await index.apply([Edge(2, 3, follows=True), Edge(2, hub, follows=False)])
    await index.apply([Edge(2, hub, follows=True)])
    assert index.edges == len(crowd) + 1
    turns = 0

    async def other() -> None:
        nonlocal turns
        while index.edges > 1:
            assert await index.mutuals(4, most=1) == []
            turns += 1
            await asyncio.sleep(0)

    asking = asyncio.create_task(other())
    await asyncio.sleep(0)
    await index.forget(hub)
    await asking
    assert turns > 100
    assert index.edges == 1
    assert await index.mutuals(hub, most=9) == []
    assert await index.path(5, hub, around=(), hops=6) is None


async def test_what_is_full_refuses_everything_and_takes_nothing(tmp_path: Path) -> None:
    index = LocalGraph(100_000)
    chained = [Edge(number, number + 1, follows=True) for number in range(1, 10_000)]
    with pytest.raises(GraphFull):
        await index.apply(chained)
    assert (index.is_full, index.edges, index.memory) == (True, 0, 0)
    for refused in (
        index.suggest(1, hidden=(), most=9),
        index.mutuals(1, most=9),
        index.common(1, 2, most=9),
        index.path(1, 2, around=(), hops=6),
        index.fill(1, b"", 0),
        index.apply([Edge(1, 2, follows=True)]),
        index.forget(1),
        index.ping(),
        GraphFile(index, tmp_path / "graph").keep("here"),
    ):
        with pytest.raises(GraphFull):
            await refused
    assert not (tmp_path / "graph.new").exists()


async def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    index = LocalGraph()
    for number in range(1, 2_000):
        await index.apply([Edge(number, number + 1, follows=True)])
    await GraphFile(index, tmp_path / "graph").keep("here")
    small = LocalGraph(50_000)
    with pytest.raises(GraphFull):
        await GraphFile(small, tmp_path / "graph").load()
    assert (small.is_full, small.memory) == (True, 0)


async def restarted(index: LocalGraph, path: Path) -> LocalGraph:
    await GraphFile(index, path).keep("here")
    fresh = LocalGraph(index.most)
    file = GraphFile(fresh, path)
    assert file.mark() == "here"
    try:
        assert await file.load()
    except GraphFull:
        assert fresh.is_full
    return fresh


async def suggestions_agree(model: Model, index: LocalGraph, one: int, hidden: set[int]) -> None:
    found = await index.suggest(one, hidden=hidden, most=2 * PEOPLE)
    expected = model.suggested(one, hidden)
    known = [each for each in found if each.score]
    assert {each.number for each in known} == set(expected)
    for each in known:
        score, by = expected[each.number]
        assert each.score == pytest.approx(score)
        assert set(each.by) <= by
        assert len(each.by) + each.more == len(by)
        popularity = sorted((model.followers(friend) for friend in by), reverse=True)
        assert [model.followers(friend) for friend in each.by] == popularity[: len(each.by)]
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    popular = {each.number for each in found if not each.score}
    others = set(range(1, PEOPLE + 1)) - {one, *model.out[one], *hidden, *expected}
    assert popular == {each for each in others if model.followers(each)}


async def paths_agree(
    model: Model, index: LocalGraph, one: int, other: int, around: set[int]
) -> None:
    way = await index.path(one, other, around=around, hops=HOPS)
    hops = model.distance(one, other, around)
    assert (None if way is None else len(way) - 1) == hops
    if way is not None:
        assert way[0] == one
        assert way[-1] == other
        assert not around & set(way)
        assert all(after in model.out[before] for before, after in pairwise(way))


async def test_fewer_are_returned_where_fewer_are_asked_for() -> None:
    index = LocalGraph()
    await index.apply([Edge(1, other, follows=True) for other in (2, 3, 4)])
    await index.apply([Edge(other, 1, follows=True) for other in (2, 3, 4)])
    assert await index.mutuals(1, most=2) == [4, 3]
    assert await index.common(1, 1, most=1) == [4]
    assert len(await index.suggest(2, hidden=(), most=1)) == 1


async def test_memory_that_changes_leave_behind_is_won_back() -> None:
    index = LocalGraph()
    row = array("I", range(2, 1_002)).tobytes()
    used: list[int] = []
    for _ in range(50):
        await index.fill(1, b"", 0)
        await index.fill(2, row, 0)
        await index.apply([Edge(1, 5_000, follows=True), Edge(1, 5_000, follows=False)])
        for number in range(2, 1_002):
            await index.apply([Edge(number, 5_001 + len(used), follows=True)])
        for number in range(2, 1_002):
            await index.forget(number)
        used.append(index.memory)
    assert index.edges == 0
    assert used[-1] < 2 * used[1]


@pytest.mark.parametrize("damage", ["missing", "short", "flipped", "older", "garbage"])
async def test_a_file_that_is_not_whole_is_not_used(tmp_path: Path, damage: str) -> None:
    index = LocalGraph()
    await index.apply([Edge(1, 2, follows=True), Edge(2, 3, follows=True)])
    path = tmp_path / "graph"
    await GraphFile(index, path).keep("here")
    content = path.read_bytes()
    match damage:
        case "missing":
            path.unlink()
        case "short":
            path.write_bytes(content[:-1])
        case "flipped":
            path.write_bytes(content[:4_096] + b"\xff" + content[4_097:])
        case "older":
            path.write_bytes(content.replace(b'"format":1', b'"format":0'))
        case _:
            path.write_bytes(b"garbage")
    fresh = LocalGraph()
    await fresh.apply([Edge(7, 8, follows=True)])
    file = GraphFile(fresh, path)
    assert file.mark() is None or not await file.load()
    assert fresh.edges == 1
