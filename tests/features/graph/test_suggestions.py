"""People you may know: found by the index, kept in step by the log."""

import pytest
from prometheus_client import CollectorRegistry

from nova.adapters.local.graph import LocalGraph
from nova.features.graph import Feed, Standby
from support.connected import Connected, connected
from support.waiting import until


async def test_friends_of_friends_are_suggested_with_reasons(here: Connected) -> None:
    await here.follow("ada", "ben", "cleo", "dora")
    for name in ("ben", "cleo", "dora"):
        await here.follow(name, "eve")

    async def reasoned() -> bool:
        return await here.suggested("ada") == {"eve": "followed by Ben, Cleo and 1 more"}

    await until(reasoned)


async def test_who_is_followed_by_choosier_people_comes_first(here: Connected) -> None:
    await here.world.meet("Fay", "Gil")
    await here.follow("ada", "ben", "cleo")
    await here.follow("ben", "dora", "fay", "gil")
    await here.follow("cleo", "eve")

    async def first() -> bool:
        return list(await here.suggested("ada", limit=1)) == ["eve"]

    await here.settled("ada", "dora", "eve", "fay", "gil")
    await until(first)


@pytest.mark.parametrize(
    ("who", "method", "path"),
    [
        ("ada", "PUT", "me/following/cleo"),
        ("ada", "PUT", "me/blocks/cleo"),
        ("cleo", "PUT", "me/blocks/ada"),
        ("ada", "PUT", "me/mutes/cleo"),
        ("ben", "DELETE", "me/following/cleo"),
        ("ben", "PUT", "me/blocks/cleo"),
    ],
)
async def test_a_suggestion_goes_with_what_happens(
    here: Connected, who: str, method: str, path: str
) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo", "dora")
    await here.settled("ada", "cleo", "dora")
    await here.ask(who, method, path, json={} if "mutes" in path else None)
    await here.settled("ada", "dora")


async def test_what_is_dismissed_never_comes_again(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo", "dora")
    await here.settled("ada", "cleo", "dora")
    await here.ask("ada", "DELETE", "me/suggestions/cleo", status=204)
    assert list(await here.suggested("ada")) == ["dora"]


async def test_who_follows_nobody_is_suggested_the_popular(here: Connected) -> None:
    await here.follow("ada", "ben", "cleo")
    await here.follow("dora", "ben")
    await here.settled("eve", "ben", "cleo")
    assert await here.suggested("eve") == {"ben": "popular", "cleo": "popular"}


async def test_an_index_that_starts_later_answers_alike(here: Connected) -> None:
    await here.follow("ada", "ben", "cleo")
    await here.follow("ben", "dora", "eve")
    await here.follow("cleo", "eve")
    await until(lambda: here.index.edges == 5)
    fresh = LocalGraph()
    await Feed(here.world.db, fresh).fill()
    number = await here.world.pool.value(
        "select number from graph.people where user_id = $1", here.world.ids["ada"]
    )
    assert fresh.edges == 5
    assert await fresh.suggest(number, hidden=(), most=9) == await here.index.suggest(
        number, hidden=(), most=9
    )


async def test_the_truth_answers_for_an_index_that_has_reached_its_bound(dsn: str) -> None:
    async with connected(dsn, most_bytes=500) as here:
        await here.follow("ada", "ben", "cleo")
        await here.follow("ben", "dora", "eve")
        await here.follow("cleo", "eve")
        await until(lambda: here.index.is_full)
        assert await here.suggested("ada") == {
            "eve": "followed by Ben and Cleo",
            "dora": "followed by Ben",
        }
        # What comes later is in no index either, and in every answer.
        await here.ask("ben", "DELETE", "me/following/dora")
        assert list(await here.suggested("ada")) == ["eve"]
        assert (await here.ask("ada", "GET", "me/path/eve"))["hops"] == 2
        assert here.index.memory == 0


async def test_an_index_that_is_not_filled_yet_is_not_asked(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    whole = False
    empty = Standby(
        here.world.db,
        LocalGraph(),
        CollectorRegistry(),
        is_whole=lambda: whole,
        catches_up=False,
    )
    number = await here.world.pool.value(
        "select number from graph.people where user_id = $1", here.world.ids["ada"]
    )
    [found] = await empty.suggest(number, hidden=(), most=9)
    assert found.score == 1.0
    whole = True
    assert await empty.suggest(number, hidden=(), most=9) == []


async def test_a_new_name_is_shown_in_suggestions_and_reasons(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    await here.settled("ada", "cleo")
    async with here.world.db.transaction() as tx:
        await tx.run("update accounts.users set name = 'Benedict' where external_id = 'ben'")
        tx.signal("user", str(here.world.ids["ben"]))

    async def renamed() -> bool:
        return await here.suggested("ada") == {"cleo": "followed by Benedict"}

    await until(renamed)
