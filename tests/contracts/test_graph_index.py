"""What every engine of the graph index does alike."""

from collections.abc import AsyncIterator
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from nova.features.graph import HEARS, Feed, Mirrored
from nova.features.graph.store_walks import suggested
from nova.kernel.events import BEGINNING, Heard, Position, Record
from nova.ports.graph import Edge, GraphIndex
from support.connected import Connected, connected
from support.graphs import (
    ENGINES,
    IN_PROCESS,
    SOMEWHERE,
    emptied_neo4j,
    empty_index,
    follow,
    followed,
    numbers,
    unfollow,
)
from support.waiting import until

WRITTEN = "select count(*) from backbone.event_log where type = any($1::text[])"

ADA, BEN, CLEO, DORA, EVE, FAY, GIL, HAL = range(1, 9)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
async def index(engine: str) -> AsyncIterator[GraphIndex]:
    async with empty_index(engine) as one:
        yield one


@pytest.fixture
async def here(engine: str, dsn: str) -> AsyncIterator[Connected]:
    """Yield a running world, whose index is kept in step by the log."""
    if engine == IN_PROCESS:
        async with connected(dsn) as one:
            yield one
        return
    async with emptied_neo4j() as outside, connected(dsn, outside=outside) as one:
        yield one


async def known(index: GraphIndex, number: int, *hidden: int, most: int = 20) -> dict[int, float]:
    """Return the scores of those whom somebody may know."""
    found = await index.suggest(number, hidden=hidden, most=most)
    assert len({one.number for one in found}) == len(found)
    return {one.number: round(one.score, 6) for one in found if one.score}


async def test_friends_of_friends_are_found_with_reasons(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (ADA, CLEO), (ADA, DORA))
    await follow(index, (BEN, EVE), (CLEO, EVE), (DORA, EVE), (CLEO, FAY), (HAL, CLEO))
    [first, second, *_] = await index.suggest(ADA, hidden=(), most=9)
    assert (first.number, round(first.score, 6)) == (EVE, 2.5)
    # Cleo is first: most people follow her.
    assert (list(first.by), first.more) == ([CLEO, BEN], 1)
    assert (second.number, second.score, list(second.by), second.more) == (FAY, 0.5, [CLEO], 0)


async def test_the_same_edges_twice_change_nothing(index: GraphIndex) -> None:
    for _ in range(2):
        await follow(index, (ADA, BEN), (BEN, CLEO), (BEN, CLEO))
        await unfollow(index, (ADA, EVE), (BEN, DORA))
    assert await known(index, ADA) == {CLEO: 1.0}
    for _ in range(2):
        await unfollow(index, (BEN, CLEO))
    assert await known(index, ADA) == {}
    assert await followed(index, BEN) == set()


async def test_of_one_batch_the_last_word_counts(index: GraphIndex) -> None:
    await index.apply([Edge(ADA, BEN, follows=each) for each in (True, False, True)])
    await index.apply([Edge(ADA, CLEO, follows=each) for each in (True, False)])
    assert await followed(index, ADA) == {BEN}


async def test_what_is_over_is_found_no_more(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (BEN, CLEO), (BEN, DORA))
    await unfollow(index, (BEN, CLEO))
    assert await known(index, ADA) == {DORA: 1.0}
    await follow(index, (BEN, CLEO))
    assert await known(index, ADA) == {CLEO: 0.5, DORA: 0.5}
    await unfollow(index, (ADA, BEN))
    assert await known(index, ADA) == {}


async def test_nobody_is_found_who_is_followed_or_hidden_or_oneself(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (ADA, CLEO), (BEN, ADA), (BEN, CLEO), (BEN, DORA), (BEN, EVE))
    assert set(await known(index, ADA)) == {DORA, EVE}
    assert set(await known(index, ADA, DORA)) == {EVE}
    found = await index.suggest(ADA, hidden=(DORA, EVE), most=9)
    assert [one.number for one in found] == []


async def test_whoever_hides_hundreds_still_finds_the_rest(index: GraphIndex) -> None:
    crowd = range(100, 480)
    await follow(index, (ADA, BEN), (ADA, CLEO))
    for friend in (BEN, CLEO):
        await index.fill(friend, numbers(*[each for each in crowd if each % 2 == friend % 2]), 1)
    everybody = {one.number for one in await index.suggest(ADA, hidden=(), most=500)}
    visible = everybody - {one for one in everybody if one % 20}
    assert visible
    found = await index.suggest(ADA, hidden=everybody - visible, most=len(visible))
    assert visible <= {one.number for one in found}


async def test_who_follows_nobody_finds_the_most_followed(index: GraphIndex) -> None:
    await follow(index, (BEN, CLEO), (DORA, CLEO), (EVE, CLEO), (DORA, BEN), (EVE, BEN))
    for stranger in (HAL, 4_000):
        found = await index.suggest(stranger, hidden=(), most=9)
        assert [(one.number, one.score, list(one.by)) for one in found] == [
            (CLEO, 0.0, []),
            (BEN, 0.0, []),
        ]
    await unfollow(index, (BEN, CLEO), (DORA, CLEO))
    found = await index.suggest(HAL, hidden=(CLEO,), most=9)
    assert [one.number for one in found] == [BEN]


async def test_mutuals_and_common_ones_come_newest_first(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (ADA, CLEO))
    await follow(index, (ADA, DORA))
    await follow(index, (CLEO, ADA), (DORA, ADA), (EVE, ADA))
    assert await index.mutuals(ADA, most=9) == [DORA, CLEO]
    assert await index.mutuals(ADA, most=1) == [DORA]
    await follow(index, (EVE, DORA), (EVE, BEN), (EVE, FAY))
    assert await index.common(ADA, EVE, most=9) == [DORA, BEN]
    assert await index.common(EVE, ADA, most=9) == [BEN, DORA]
    assert await index.common(ADA, EVE, most=1) == [DORA]


async def test_a_way_leads_along_follows_for_up_to_six_hops(index: GraphIndex) -> None:
    chain = [ADA, BEN, CLEO, DORA, EVE, FAY, GIL, HAL]
    await follow(index, *pairwise(chain))
    for hops in range(1, 7):
        assert await index.path(ADA, chain[hops], around=(), hops=6) == chain[: hops + 1]
        assert await index.path(ADA, chain[hops], around=(), hops=hops) == chain[: hops + 1]
        assert await index.path(ADA, chain[hops + 1], around=(), hops=hops) is None
    assert await index.path(HAL, ADA, around=(), hops=6) is None
    assert await index.path(ADA, ADA, around=(), hops=6) == [ADA]


async def test_a_way_goes_around_whom_it_must(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (BEN, EVE), (ADA, CLEO), (CLEO, DORA), (DORA, EVE))
    assert await index.path(ADA, EVE, around=(), hops=6) == [ADA, BEN, EVE]
    assert await index.path(ADA, EVE, around=(BEN, HAL), hops=6) == [ADA, CLEO, DORA, EVE]
    assert await index.path(ADA, EVE, around=(BEN, DORA), hops=6) is None


async def test_a_hub_is_found_and_led_through(index: GraphIndex) -> None:
    hub, crowd = 50, range(1_000, 4_000)
    await follow(index, *((each, hub) for each in crowd))
    await index.fill(hub, numbers(*crowd), len(crowd))
    await follow(index, (ADA, hub), (1_500, EVE))
    assert await index.path(ADA, EVE, around=(), hops=6) == [ADA, hub, 1_500, EVE]
    assert (await index.suggest(BEN, hidden=(), most=1))[0].number == hub
    found = await index.suggest(ADA, hidden=(), most=20)
    assert len(found) == 20
    assert {one.number for one in found} <= set(crowd)
    assert len(await index.mutuals(hub, most=50)) == 50


async def test_strangers_are_no_error(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN))
    assert await known(index, 4_000) == {}
    assert await index.mutuals(4_000, most=9) == []
    assert await index.common(ADA, 4_000, most=9) == []
    assert await index.path(ADA, 4_000, around=(), hops=6) is None
    assert await index.path(4_000, ADA, around=(5_000,), hops=6) is None
    await index.forget(6_000)


async def test_who_is_forgotten_is_in_no_answer(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (BEN, CLEO), (BEN, DORA), (CLEO, EVE), (EVE, CLEO))
    for _ in range(2):
        await index.forget(CLEO)
    assert await known(index, ADA) == {DORA: 1.0}
    assert await followed(index, EVE) == set()
    assert await index.path(BEN, EVE, around=(), hops=6) is None
    assert [one.number for one in await index.suggest(HAL, hidden=(), most=9)] == [BEN, DORA]


async def test_filling_in_replaces_what_was_there(index: GraphIndex) -> None:
    await follow(index, (ADA, BEN), (BEN, CLEO), (BEN, DORA))
    await index.fill(BEN, numbers(DORA, EVE), 1)
    assert await known(index, ADA) == {DORA: 0.5, EVE: 0.5}
    assert await index.mutuals(BEN, most=9) == []
    await index.fill(BEN, b"", 1)
    assert await followed(index, BEN) == set()
    await index.clear()
    assert await index.suggest(ADA, hidden=(), most=9) == []


async def test_it_agrees_with_the_truth_about_a_whole_town(index: GraphIndex) -> None:
    random = Random(7)  # noqa: S311  # an example
    town = range(1, 61)
    out = {one: random.sample(town, random.randrange(12)) for one in town}
    out = {one: [each for each in whom if each != one] for one, whom in out.items()}
    followers = {one: sum(one in whom for whom in out.values()) for one in town}
    for one, whom in out.items():
        await index.fill(one, numbers(*whom), followers[one])
    for one in town:
        scores: dict[int, float] = {}
        for friend in out[one]:
            for each in set(out[friend]) - {one, *out[one]}:
                scores[each] = scores.get(each, 0.0) + 1 / len(out[friend])
        assert await known(index, one, most=60) == {each: round(s, 6) for each, s in scores.items()}
        assert set(await index.mutuals(one, most=60)) == {
            each for each in out[one] if one in out[each]
        }
        assert set(await index.common(one, 1, most=60)) == set(out[one]) & set(out[1])


async def test_it_follows_what_people_do(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo", "dora", "eve")
    await here.settled("ada", "cleo", "dora", "eve")
    await here.ask("ben", "DELETE", "me/following/dora")
    await here.settled("ada", "cleo", "eve")
    await here.ask("eve", "PUT", "me/blocks/ben")
    await here.settled("ada", "cleo")
    await here.ask("cleo", "PUT", "me/blocks/ada")
    assert await here.suggested("ada") == {}
    await here.ask("cleo", "DELETE", "me/blocks/ada")
    await here.settled("ada", "cleo")


@pytest.mark.parametrize(
    "name",
    [
        "'}) detach delete p //",
        '"}) match (n) detach delete n return 1 //',
        "$number",
        "' or 1=1; drop table graph.follows; --",
        "\\u0027}) detach delete p //",
    ],
)
async def test_names_are_never_part_of_a_question(here: Connected, name: str) -> None:
    await here.world.meet(name)
    await here.follow("ada", "ben")
    await here.ask("ben", "PUT", "me/following/cleo")
    number = here.world.ids[name.lower()]
    await here.ask("ben", "PUT", f"me/following/{number}")
    await here.settled("ada", "cleo", name.lower())


async def test_facts_may_come_late_twice_and_in_any_order(
    engine: str, index: GraphIndex, dsn: str
) -> None:
    async with connected(dsn) as here:
        await here.follow("ada", "ben", "cleo", "dora")
        await here.follow("ben", "cleo", "eve")
        await here.ask("ben", "DELETE", "me/following/eve")
        await here.ask("ada", "DELETE", "me/following/dora")
        await here.follow("cleo", "eve", "dora")
        await here.follow("dora", "ada")
        await here.ask("dora", "PUT", "me/blocks/cleo")
        heard = await _facts(here)
        Random(3).shuffle(heard)  # noqa: S311  # an example
        replica = _Replica(engine, index, here)
        for batch in (heard[:4], heard[4:], heard[2:6], heard):
            await replica.hear(batch)
        for name in ("ada", "ben", "cleo", "dora", "eve"):
            number = await here.world.pool.value(
                "select number from graph.people where user_id = $1", here.world.ids[name]
            )
            true = await suggested(here.world.pool, number, (), 9)
            told = await index.suggest(number, hidden=(), most=9)
            assert {one.number: round(one.score, 6) for one in told} == {
                one.number: round(one.score, 6) for one in true
            }


async def _facts(here: Connected) -> list[Heard[Any]]:
    """Return everything that the log says, once all of it is decided."""
    kinds = {kind.__name__: kind for kind in HEARS}
    found: list[Record] = []

    async def whole() -> bool:
        log = here.world.backbone.log
        topics = {kind.topic for kind in HEARS}
        start = {each: BEGINNING for topic in topics for each in log.partitions(topic)}
        batch = await log.reader(HEARS).read(start, 1_000)
        found[:] = batch.records
        return bool(len(found) == await here.world.pool.value(WRITTEN, list(kinds)))

    await until(whole)
    return [
        Heard(msgspec.json.decode(one.payload, type=kinds[one.type]), one.id, one.at, None, 1)
        for one in found
    ]


class _Replica:
    """An index that hears what a test hands to it."""

    def __init__(self, engine: str, index: GraphIndex, here: Connected) -> None:
        self._feed = Feed(here.world.db, index) if engine == IN_PROCESS else None
        self._mirrored = Mirrored(here.world.db, index)  # type: ignore[arg-type]  # kept, if not in process
        self._at = SOMEWHERE

    async def hear(self, heard: list[Heard[Any]]) -> None:
        if self._feed is not None:
            await self._feed.hear(heard)
            return
        at = self._at
        to = replace(at, to={each: Position(f"{place}+") for each, place in at.to.items()})
        await self._mirrored.hear(heard, after=at, to=to)
        self._at = to
