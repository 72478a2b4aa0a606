"""Blocks, mutes and close friends: who reaches whom, and who sees what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.features.accounts.people import People
from nova.features.graph import Followees, Sights, Silences
from nova.kernel.clock import ManualClock, SystemClock
from nova.web.access import find_for
from nova.web.actors import Meeting
from support.connected import Connected, connected
from support.notified import SERVER
from support.waiting import until


async def test_a_block_ends_follows_and_requests_both_ways(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "ada")
    await here.ask("cleo", "PUT", "me/privacy", json={"private": True})
    await here.follow("ben", "cleo")
    await here.ask("ben", "PUT", "me/blocks/ada")
    await here.ask("cleo", "PUT", "me/blocks/ben")
    assert await here.counts("ada") == (0, 0)
    assert await here.counts("ben") == (0, 0)
    assert await here.names("cleo", "me/follow-requests") == []
    assert await here.names("ben", "me/blocks") == ["ada"]
    relation = await here.ask(SERVER, "GET", "ada/relation/ben")
    assert (relation["blocked_by"], relation["follows"]) == (True, False)


async def test_to_who_is_blocked_the_other_is_not_there(here: Connected) -> None:
    await here.follow("ben", "cleo")
    await here.ask("ben", "PUT", "me/blocks/ada")
    for method, path in (
        ("PUT", "me/following/ben"),
        ("PUT", "me/close-friends/ben"),
        ("GET", "me/relation/ben"),
        ("GET", "me/path/ben"),
        ("GET", "me/common/ben"),
        ("GET", "ben/followers"),
        ("GET", "ben/following"),
        ("GET", "ben/mutuals"),
        ("GET", "ben/connections"),
    ):
        answer = await here.ask("ada", method, path, status=404)
        assert answer["code"] == "no_such_user", path
    assert await here.names("ada", "cleo/followers") == []
    assert await here.names("dora", "cleo/followers") == ["ben"]


async def test_who_blocks_cannot_follow_before_the_block_is_lifted(here: Connected) -> None:
    await here.ask("ben", "PUT", "me/blocks/ada")
    refused = await here.ask("ben", "PUT", "me/following/ada", status=409)
    assert refused["code"] == "you_block_them"
    await here.ask("ben", "DELETE", "me/blocks/ada")
    await here.follow("ben", "ada")
    await here.follow("ada", "ben")
    assert await here.counts("ben") == (1, 1)


async def test_what_a_blocked_person_does_rings_nowhere_and_says_why(here: Connected) -> None:
    world = here.world
    await world.like("before")
    await world.told("ben", 1)  # from here on it is remembered that Ben blocks nobody
    await here.ask("ben", "PUT", "me/blocks/ada")
    await world.like("after")
    await world.like("other", by="cleo")
    await world.like("back", of="ada", by="ben")
    await world.settled()
    story = await world.all.traces.event("after")
    assert (story.outcome, story.reason, story.rule) == ("suppressed", "blocked", "blocks")

    async def is_taken_back() -> bool:
        return [each["event_id"] for each in await world.inbox("ben")] == ["other"]

    await until(is_taken_back)  # what is there already goes a moment after the block
    assert [each["event_id"] for each in await world.inbox("ada")] == []
    await here.ask("ben", "DELETE", "me/blocks/ada")
    await world.like("again")
    await world.settled()
    assert (await world.all.traces.event("again")).outcome == "stored"


async def test_a_mute_silences_until_it_ends(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with connected(dsn, clock) as here:
        until = clock.now() + timedelta(hours=1)
        await here.follow("ben", "ada")
        relation = await here.ask("ben", "PUT", "me/mutes/ada", json={"until": until.isoformat()})
        assert relation["mutes"]
        assert relation["follows"]
        assert await here.names("ben", "me/mutes") == ["ada"]
        await here.world.like("muted")
        await here.world.settled()
        assert (await here.world.all.traces.event("muted")).reason == "muted"
        clock.advance(3_601)
        await here.world.like("heard")
        await here.world.settled()
        assert (await here.world.all.traces.event("heard")).outcome == "stored"
        assert await here.names("ben", "me/mutes") == []
        await here.world.graph.forget_expired()
        assert await here.world.pool.value("select count(*) from graph.ties") == 0


async def test_a_mute_without_an_end_lasts_until_it_is_lifted(here: Connected) -> None:
    await here.ask("ben", "PUT", "me/mutes/ada", json={})
    assert (await here.ask("ben", "GET", "me/relation/ada"))["mutes"]
    assert not (await here.ask("ben", "DELETE", "me/mutes/ada"))["mutes"]


async def test_a_mute_that_would_be_over_is_refused(here: Connected) -> None:
    await here.ask("ben", "PUT", "me/mutes/ada", json={})
    past = {"until": "2020-01-01T00:00:00Z"}
    refused = await here.ask("ben", "PUT", "me/mutes/ada", status=422, json=past)
    assert refused["code"] == "mute_is_over"
    assert (await here.ask("ben", "GET", "me/relation/ada"))["mutes"]


async def test_close_friends_are_for_their_owner_alone(here: Connected) -> None:
    await here.ask("ada", "PUT", "me/close-friends/ben")
    assert await here.names("ada", "me/close-friends") == ["ben"]
    assert not (await here.ask("ben", "GET", "me/relation/ada"))["close_friend"]
    for path in ("close-friends", "blocks", "mutes", "follow-requests", "follow-requests/sent"):
        await here.ask("ben", "GET", f"ada/{path}", status=404)
    await here.ask("ada", "DELETE", "me/close-friends/ben")
    assert await here.names("ada", "me/close-friends") == []


async def test_a_follower_can_be_removed(here: Connected) -> None:
    await here.follow("ada", "ben")
    await here.ask("ben", "DELETE", "me/followers/ada")
    assert await here.counts("ben") == (0, 0)


async def test_a_block_holds_in_every_process_once_it_is_told(here: Connected, dsn: str) -> None:
    ada, ben = here.world.ids["ada"], here.world.ids["ben"]
    async with connected(dsn) as other:
        assert await other.world.graph.silences.blocked([(ben, ada)]) == {}
        await here.ask("ben", "PUT", "me/blocks/ada")

        async def told() -> bool:
            return bool(await other.world.graph.silences.blocked([(ben, ada)]))

        await until(told)


async def test_a_block_leaves_each_out_of_the_lists_that_the_other_sees(here: Connected) -> None:
    for each in ("ben", "dora"):
        await here.follow(each, "cleo")
        await here.follow("cleo", each)
        await here.follow("ada", each)
    await here.ask("ada", "PUT", "me/blocks/ben")
    await here.follow("eve", "ben", "dora")
    for path in ("cleo/followers", "cleo/following", "cleo/mutuals", "me/common/eve"):
        assert await here.names("ada", path) == ["dora"], path
    assert await here.names("dora", "cleo/followers") == ["dora", "ben"]
    await here.ask("eve", "PUT", "me/blocks/cleo")
    assert await here.names("cleo", "ben/followers") == ["cleo"]  # not Eve, who blocks her


@pytest.mark.parametrize("is_indexed", [True, False])
async def test_a_way_does_not_tell_whom_a_private_account_follows(
    here: Connected, *, is_indexed: bool
) -> None:
    await here.follow("ada", "ben")
    await here.follow("ben", "cleo")
    await here.follow("cleo", "dora")
    await here.follow("dora", "eve")
    if is_indexed:
        await until(lambda: _holds(here, edges=4))
    else:
        await here.index.clear()
    for each in ("cleo", "eve"):
        await here.ask(each, "PUT", "me/privacy", json={"private": True})

    async def way(who: str, to: str) -> list[str]:
        found = await here.ask(who, "GET", f"me/path/{to}")
        return [each["external_id"] for each in found["people"]]

    assert (await here.ask("ada", "GET", "me/path/eve", status=404))["code"] == "no_path"
    assert await way("ada", "cleo") == ["ada", "ben", "cleo"]  # Ben's list is open
    assert await way("ben", "eve") == ["ben", "cleo", "dora", "eve"]  # Cleo let him follow
    by_server = await here.ask(SERVER, "GET", "ada/path/eve")
    assert by_server["hops"] == 4


async def _holds(here: Connected, *, edges: int) -> bool:
    return here.index.edges == edges


@pytest.mark.parametrize("until", ["9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59Z"])
async def test_a_mute_until_a_time_that_no_clock_shows_is_refused(
    here: Connected, until: str
) -> None:
    refused = await here.ask("ada", "PUT", "me/mutes/ben", status=422, json={"until": until})
    assert refused["code"] == "mute_too_long"
    assert await here.names("ada", "me/mutes") == []
    assert not (await here.ask("ada", "GET", "me/relation/ben"))["mutes"]


class Counting:
    """A pool that counts the statements that are read."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self.read = 0

    async def fetch(self, sql: str, *args: Any) -> Any:
        self.read += 1
        return await self._pool.fetch(sql, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


@pytest.mark.parametrize("meeting", [Meeting.REACH, Meeting.INSIDE])
async def test_nobody_takes_as_many_look_ups_as_who_hides(
    here: Connected, meeting: Meeting
) -> None:
    await here.ask("ben", "PUT", "me/blocks/ada")
    await here.ask("cleo", "PUT", "me/privacy", json={"private": True})
    async with here.world.db.transaction() as tx:
        await tx.run("update accounts.users set suspended = true where external_id = 'dora'")
    pool: Any = Counting(here.world.pool)
    db = Database(pool, PostgresOutbox(), wrote=lambda _: None, published=lambda _: None)
    clock, people = SystemClock(), People(db)
    sights = Sights(db, clock, Followees(db), Silences(db, clock))
    hidden = ["nobody", "ben", "dora"] + (["cleo"] if meeting is Meeting.INSIDE else [])
    for _ in range(2):  # at first nobody is remembered, and then all who are there
        for name in hidden:
            before = pool.read
            found = await find_for(people, sights, here.world.ids["ada"], name, meeting)
            assert (name, found, pool.read - before) == (name, None, 2)
