"""Following, requests and lists, on a real PostgreSQL."""

import asyncio
from itertools import pairwise

import pytest

from nova.ports.graph import Edge
from support.connected import Connected
from support.notified import SERVER
from support.waiting import until

NEW = "notification"


async def test_a_follow_is_counted_listed_and_rings(here: Connected) -> None:
    relation = await here.ask("ada", "PUT", "me/following/ben")
    assert relation["follows"]
    assert not relation["followed_by"]
    assert await here.counts("ada") == (0, 1)
    assert await here.counts("ben") == (1, 0)
    assert await here.names("ada", "me/following") == ["ben"]
    assert await here.names("cleo", "ben/followers") == ["ada"]
    (rung,) = await here.world.told("ben", 1)
    assert rung["notification"]["title"] == "Ada follows you"
    assert rung["notification"]["actor_id"] == str(here.world.ids["ada"])


async def test_a_follow_twice_or_again_is_one_and_rings_once(here: Connected) -> None:
    await here.follow("ada", "ben", "ben")
    assert await here.counts("ben") == (1, 0)
    await here.world.told("ben", 1)
    await here.ask("ada", "DELETE", "me/following/ben")
    await here.ask("ada", "DELETE", "me/following/ben")
    assert await here.counts("ben") == (0, 0)
    await here.follow("ada", "ben")
    await here.follow("cleo", "ben")

    def rung() -> list[str]:
        told = here.world.socket("ben")
        return [each["notification"]["actor_id"] for each in told if each["type"] == NEW]

    await until(lambda: str(here.world.ids["cleo"]) in rung())
    assert rung() == [str(here.world.ids["ada"]), str(here.world.ids["cleo"])]


async def test_a_follow_that_was_taken_back_before_it_rang_may_ring_when_it_is_done_again(
    here: Connected,
) -> None:
    for _ in range(4):
        await here.follow("ada", "ben")
        await here.ask("ada", "DELETE", "me/following/ben")
    await here.follow("ada", "ben")
    (rung, *_) = await here.world.told("ben", 1)
    assert rung["notification"]["actor_id"] == str(here.world.ids["ada"])


async def test_nobody_follows_themselves_or_somebody_who_is_not_there(here: Connected) -> None:
    own = await here.ask("ada", "PUT", "me/following/ada", status=422)
    assert own["code"] == "yourself"
    unknown = await here.ask("ada", "PUT", "me/following/zoe", status=404)
    assert unknown["code"] == "no_such_user"
    assert await here.counts("ada") == (0, 0)


async def test_a_private_account_is_asked_and_may_say_yes(here: Connected) -> None:
    await here.ask("ben", "PUT", "me/privacy", json={"private": True})
    relation = await here.ask("ada", "PUT", "me/following/ben")
    assert (relation["follows"], relation["requested"]) == (False, True)
    assert await here.counts("ben") == (0, 0)
    assert await here.names("ben", "me/follow-requests") == ["ada"]
    assert await here.names("ada", "me/follow-requests/sent") == ["ben"]
    (rung,) = await here.world.told("ben", 1)
    assert rung["notification"]["title"] == "Ada wants to follow you"
    for path in ("followers", "following", "mutuals", "connections"):
        refused = await here.ask("ada", "GET", f"ben/{path}", status=404)
        assert refused["code"] == "no_such_user"

    await here.ask("ben", "POST", "me/follow-requests/ada/approve")
    (rung,) = await here.world.told("ada", 1)
    assert rung["notification"]["title"] == "Ben lets you follow"
    assert await here.counts("ben") == (1, 0)
    assert await here.names("ada", "ben/followers") == ["ada"]
    assert await here.names("ben", "me/follow-requests") == []


async def test_a_request_may_be_declined_or_taken_back(here: Connected) -> None:
    await here.ask("ben", "PUT", "me/privacy", json={"private": True})
    await here.follow("ada", "ben")
    await here.follow("cleo", "ben")
    await here.ask("ben", "POST", "me/follow-requests/ada/decline")
    await here.ask("cleo", "DELETE", "me/following/ben")
    assert await here.names("ben", "me/follow-requests") == []
    gone = await here.ask("ben", "POST", "me/follow-requests/cleo/approve", status=404)
    assert gone["code"] == "no_such_request"
    assert await here.counts("ben") == (0, 0)


async def test_two_private_people_who_ask_each_other_may_both_say_yes(here: Connected) -> None:
    for name in ("ada", "ben"):
        await here.ask(name, "PUT", "me/privacy", json={"private": True})
    await here.follow("ada", "ben")
    await here.follow("ben", "ada")
    await here.ask("ada", "POST", "me/follow-requests/ben/approve")
    await here.ask("ben", "POST", "me/follow-requests/ada/approve")
    assert await here.counts("ada") == (1, 1)
    assert await here.names("ada", "me/mutuals") == ["ben"]


async def test_lists_go_on_where_they_stopped(here: Connected) -> None:
    names = [f"Fan{number}" for number in range(7)]
    await here.world.meet(*names)
    for name in names:
        await here.follow(name.lower(), "ben")
    newest_first = [name.lower() for name in reversed(names)]
    assert await here.names("ben", "me/followers", limit=2) == newest_first
    page = await here.ask("ben", "GET", "me/followers", params={"limit": 2})
    for path, query in (
        ("me/followers", {"cursor": page["next_cursor"][:-4] + "AAAA"}),
        ("me/following", {"cursor": page["next_cursor"]}),
    ):
        refused = await here.ask("ben", "GET", path, params=query, status=400)
        assert refused["code"] == "bad_cursor"


async def test_common_connections_are_those_whom_both_follow(here: Connected) -> None:
    await here.follow("ada", "cleo", "dora")
    await here.follow("ben", "dora", "eve")
    assert await here.names("ada", "me/common/ben") == ["dora"]


async def test_a_path_leads_along_follows_and_around_blocks(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    await here.follow("cleo", "dora")
    path = await here.ask("ada", "GET", "me/path/dora")
    assert path["hops"] == 3
    assert [each["external_id"] for each in path["people"]] == ["ada", "ben", "cleo", "dora"]
    assert (await here.ask("dora", "GET", "me/path/ada", status=404))["code"] == "no_path"
    await here.ask("cleo", "PUT", "me/blocks/ada")
    assert (await here.ask("ada", "GET", "me/path/dora", status=404))["code"] == "no_path"


async def test_a_path_that_only_the_index_knows_is_none(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    await here.settled("ada", "cleo")
    ada, cleo = [
        await here.world.pool.value(
            "select number from graph.people where user_id = $1", here.world.ids[name]
        )
        for name in ("ada", "cleo")
    ]
    await here.index.apply([Edge(ada, cleo, follows=True)])
    assert (await here.ask("ada", "GET", "me/path/cleo"))["hops"] == 2


@pytest.mark.parametrize("hops", [1, 2, 6, 7])
async def test_a_path_has_up_to_six_hops(here: Connected, hops: int) -> None:
    chain = [f"link{number}" for number in range(hops + 1)]
    await here.world.meet(*chain)
    for one, other in pairwise(chain):
        await here.follow(one, other)
    path = await here.ask(chain[0], "GET", f"me/path/{chain[-1]}", status=200 if hops <= 6 else 404)
    if hops <= 6:
        assert [each["external_id"] for each in path["people"]] == chain


async def test_counts_are_exact_however_many_change_them_at_once(here: Connected) -> None:
    names = [f"Fan{number}" for number in range(20)]
    await here.world.meet(*names)

    async def fickle(name: str) -> None:
        for whom in ("ben", "ada", "cleo"):
            await here.ask(name, "PUT", f"me/following/{whom}")
            await here.ask(name, "DELETE", "me/following/ben")
        await here.ask(name, "PUT", "me/following/ben")

    await asyncio.gather(*(fickle(name.lower()) for name in names))
    for name in ("ada", "ben", "cleo"):
        assert await here.counts(name) == (20, 0)
        assert len(await here.names(SERVER, f"{name}/followers")) == 20
    assert await here.counts("fan0") == (0, 3)


async def test_who_is_erased_leaves_exact_counts_behind(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    await here.follow("dora", "ada")
    async with here.world.db.transaction() as tx:
        await here.world.graph.erase(tx, here.world.ids["ben"])
    assert await here.counts("ada") == (1, 0)
    assert await here.counts("cleo") == (0, 0)


async def test_who_has_many_followers_loses_them_some_at_a_time(here: Connected) -> None:
    names = [f"Fan{number}" for number in range(7)]
    await here.world.meet(*names)
    for name in names:
        await here.follow(name.lower(), "ben", "ada")
    await here.follow("ben", "cleo")
    await here.world.graph.lighten(here.world.ids["ben"], at_once=3)
    assert await here.counts("ben") == (0, 1)
    assert await here.counts("fan3") == (0, 1)
    assert await here.counts("ada") == (7, 0)
    await here.world.graph.lighten(here.world.ids["dora"])
    await here.world.graph.lighten(here.world.ids["cleo"])
    assert await here.counts("ben") == (0, 0)


async def test_a_person_gets_a_copy_of_what_is_held(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.ask("ada", "PUT", "me/blocks/cleo")
    copy = await here.world.graph.export(here.world.ids["ada"])
    assert [each["user"] for each in copy["following"]] == [here.world.ids["ben"]]
    assert [each["user"] for each in copy["block"]] == [here.world.ids["cleo"]]
