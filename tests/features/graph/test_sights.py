"""What other features ask the graph: whom somebody follows, and what stands between two."""

from nova.features.graph import Followees
from support.connected import Connected, connected
from support.waiting import until


async def test_followees_are_right_at_once_in_this_process_and_soon_in_others(
    here: Connected, dsn: str
) -> None:
    ids = here.world.ids
    mine = here.world.graph.followees
    async with connected(dsn) as other:
        theirs = other.world.graph.followees
        assert await mine.of(ids["ada"]) == await theirs.of(ids["ada"]) == ()
        await here.follow("ada", "ben", "cleo")
        assert set(await mine.of(ids["ada"])) == {ids["ben"], ids["cleo"]}

        async def told() -> bool:
            return set(await theirs.of(ids["ada"])) == {ids["ben"], ids["cleo"]}

        await until(told)
    await here.ask("ben", "PUT", "me/blocks/ada")
    assert await mine.of(ids["ada"]) == (ids["cleo"],)
    await here.ask("cleo", "DELETE", "me/followers/ada")
    assert await mine.of(ids["ada"]) == ()


async def test_an_approved_request_is_a_follow(here: Connected) -> None:
    ids, followees = here.world.ids, here.world.graph.followees
    await here.ask("ben", "PUT", "me/privacy", json={"private": True})
    await here.follow("ada", "ben")
    assert await followees.of(ids["ada"]) == ()
    await here.ask("ben", "POST", "me/follow-requests/ada/approve")
    assert await followees.of(ids["ada"]) == (ids["ben"],)


async def test_what_is_remembered_has_a_bound(here: Connected) -> None:
    ids = here.world.ids
    for name in ("ada", "ben", "cleo"):
        await here.follow(name, "dora", "eve")
    few = Followees(here.world.db, most=7)
    for _ in range(2):
        for name in ("ada", "ben", "cleo"):
            assert set(await few.of(ids[name])) == {ids["dora"], ids["eve"]}
            assert len(few._kept) <= 2
    few.forget(str(ids["ada"]))
    few.forget("everybody")
    await here.follow("ada", "ben")
    assert len(await few.of(ids["ada"])) == 3
