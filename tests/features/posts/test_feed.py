"""The home feed: what is in it, at once; its pages; and word of new posts."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from nova.features.posts import Knobs
from nova.features.posts.pull import Pull
from nova.features.posts.rings import Rings
from nova.ports.channels import Publication
from support.posted import Town, town
from support.waiting import until

WAYS = {
    "pull": Knobs(),
    "push": Knobs(push=True),
    "push, wide authors pulled": Knobs(push=True, most_followers=1),
    "push, everybody pulled": Knobs(push=True, most_followers=0),
    "push, feeds cut short": Knobs(push=True, kept=3),
}


@pytest.fixture(params=WAYS)
async def here(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[Town]:
    """Yield a town whose feeds are made in each of the ways."""
    async with town(dsn, feeds=WAYS[request.param]) as one:
        if one.world.posts.push is not None:
            one.world.posts.push.trimmed = 1.0
        yield one


@pytest.fixture
async def pulling(dsn: str) -> AsyncIterator[Town]:
    async with town(dsn) as one:
        yield one


async def test_a_feed_holds_whom_one_follows_and_oneself_newest_first(here: Town) -> None:
    await here.follow("ada", "ben", "cleo")
    for who, text in (("ben", "1"), ("dora", "2"), ("ada", "3"), ("cleo", "4"), ("ben", "5")):
        await here.post(who, text)
    assert await here.feed("ada") == ["5", "4", "3", "1"]
    assert await here.feed("ada", limit=1) == ["5", "4", "3", "1"]
    assert await here.feed("eve") == []


Act = Callable[[Town, str], Awaitable[object]]

HIDES: dict[str, Act] = {
    "unfollow": lambda here, _: here.ask("ada", "DELETE", "users/me/following/ben"),
    "removal": lambda here, _: here.ask("ben", "DELETE", "users/me/followers/ada"),
    "block": lambda here, _: here.ask("ada", "PUT", "users/me/blocks/ben"),
    "being blocked": lambda here, _: here.ask("ben", "PUT", "users/me/blocks/ada"),
    "mute": lambda here, _: here.ask("ada", "PUT", "users/me/mutes/ben", json={}),
    "visibility": lambda here, post: here.ask(
        "ben", "PATCH", f"posts/{post}", json={"visibility": "close_friends"}
    ),
    "deletion": lambda here, post: here.ask("ben", "DELETE", f"posts/{post}", status=204),
}


@pytest.mark.parametrize("act", HIDES)
async def test_what_hides_a_post_does_so_at_once(here: Town, act: str) -> None:
    await here.follow("ada", "ben", "cleo")
    post = await here.post("ben", "hidden")
    await here.post("cleo", "shown")
    assert await here.feed("ada") == ["shown", "hidden"]
    await HIDES[act](here, post)
    assert await here.feed("ada") == ["shown"]


async def test_a_follow_shows_at_once_what_was_posted_before(here: Town) -> None:
    await here.post("ben", "before")
    await here.post("ben", "for friends", visibility="close_friends")
    assert await here.feed("ada") == []
    await here.follow("ada", "ben")
    assert await here.feed("ada") == ["before"]
    await here.ask("ben", "PUT", "users/me/close-friends/ada")
    assert await here.feed("ada") == ["for friends", "before"]


async def test_pages_go_on_while_posts_arrive(here: Town) -> None:
    await here.follow("ada", "ben", "cleo")
    for number in range(30):
        await here.post("ben" if number % 3 else "cleo", str(number))
    read: list[str] = []
    query: dict[str, str | int] = {"limit": 4}
    while True:
        page = await here.ask("ada", "GET", "feeds/home", params=query)
        read += [each["text"] for each in page["data"]]
        await here.post("ben", "new")
        await here.post("ada", "mine")
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert read == [str(number) for number in reversed(range(30))]


@pytest.mark.parametrize("authors", [1, 2, 100])
async def test_small_rings_answer_like_large_ones(pulling: Town, authors: int) -> None:
    await pulling.follow("ada", "ben", "cleo", "dora")
    for number in range(25):
        await pulling.post("ben", f"ben {number}")
        if number % 5 == 0:
            await pulling.post("cleo", f"cleo {number}")
    await pulling.post("dora", "dora")
    before = await pulling.feed("ada", limit=7)
    assert len(before) == 31
    source = pulling.world.posts.feed.source
    assert isinstance(source, Pull)
    source.rings = Rings(authors)
    await source.fill()
    assert len(source.rings) <= max(authors + authors // 8, 4)
    assert await pulling.feed("ada", limit=7) == before
    assert await pulling.feed("ada", limit=100) == before


async def test_a_feed_that_starts_later_knows_the_newest_posts(pulling: Town, dsn: str) -> None:
    await pulling.follow("ada", "ben")
    for number in range(3):
        await pulling.post("ben", str(number))
    async with town(dsn) as other:
        assert await other.feed("ada") == ["2", "1", "0"]
        await pulling.post("ben", "3")

        async def arrived() -> bool:
            return await other.feed("ada") == ["3", "2", "1", "0"]

        await until(arrived)


class Sockets:
    """Stands where the hub does: who has the feed open, and what they were told."""

    def __init__(self, *open_: str) -> None:
        self.open = open_
        self.told: list[Publication] = []

    def subscribed(self, family: str) -> list[str]:
        assert family == "feed"
        return list(self.open)

    def deliver(self, publications: list[Publication]) -> None:
        self.told += publications


async def test_new_posts_are_told_to_who_has_the_feed_open(here: Town) -> None:
    ids = here.world.ids
    sockets = Sockets(*(f"feed:{ids[name]}" for name in ("ada", "ben", "cleo", "dora")))
    here.world.posts.live.sockets = sockets  # type: ignore[assignment]  # a stand-in
    await here.follow("ada", "ben")
    await here.follow("dora", "ben")
    await here.ask("dora", "PUT", "users/me/mutes/ben", json={})
    await here.post("ben", "friends only", visibility="close_friends")
    first = await here.post("ben", "1")

    def told(name: str) -> list[bytes]:
        channel = f"feed:{ids[name]}"
        return [each.data for each in sockets.told if each.channel == channel]

    await until(lambda: any(first.encode() in each for each in told("ada")))
    assert told("ben")  # the author's other devices
    assert told("cleo") == told("dora") == []
    assert all(each.offset == 0 for each in sockets.told)
    for number in range(10):
        last = await here.post("ben", str(number))
    await until(lambda: any(last.encode() in each for each in told("ada")))
    assert len(told("ada")) < 11  # coalesced
