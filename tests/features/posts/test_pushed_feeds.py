"""Feeds that are written ahead: always what the truth says, whatever happened in between."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from nova.features.posts import Knobs
from nova.features.posts.push import Push
from nova.kernel.clock import ManualClock
from support.posted import Town, town

PEOPLE = ("ada", "ben", "cleo", "dora", "eve")
ENTRIES = "select count(*) from posts.entries where owner = $1"


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[Town]:
    async with town(dsn, feeds=Knobs(push=True, most_followers=2, kept=4)) as one:
        pushing(one).trimmed = 1.0
        yield one


def pushing(here: Town) -> Push:
    source = here.world.posts.feed.source
    assert isinstance(source, Push)
    return source


async def entries(here: Town, who: str) -> int:
    return int(await here.world.pool.value(ENTRIES, here.world.ids[who]))


async def truth(here: Town, who: str) -> list[str]:
    """Return the texts that a feed has to have, from the tables alone."""
    rows = await here.world.pool.fetch(
        """
        select p.body from posts.posts p join graph.people a on a.user_id = p.author
          left join graph.people me on me.user_id = $1
         where p.author = $1 or exists (select from graph.follows f
                where f.follower = me.number and f.followee = a.number)
         order by p.id desc
        """,
        here.world.ids[who],
    )
    return [row["body"] for row in rows]


@pytest.mark.parametrize("seed", range(4))
async def test_a_pushed_feed_is_what_the_truth_says(here: Town, seed: int) -> None:
    random = Random(seed)  # noqa: S311  # an example
    mine: dict[str, list[str]] = {name: [] for name in PEOPLE}
    for number in range(120):
        one, other = random.sample(PEOPLE, 2)
        match random.choice(["post"] * 5 + ["follow"] * 3 + ["unfollow", "delete", "read"]):
            case "post":
                mine[one].append(await here.post(one, str(number)))
            case "follow":
                await here.follow(one, other)
            case "unfollow":
                await here.ask(one, "DELETE", f"users/me/following/{other}")
            case "delete" if mine[one]:
                post = mine[one].pop(random.randrange(len(mine[one])))
                await here.ask(one, "DELETE", f"posts/{post}", status=204)
            case "read":
                limit = random.randrange(1, 9)
                assert await here.feed(one, limit=limit) == await truth(here, one)
    for name in PEOPLE:
        assert await here.feed(name, limit=3) == await truth(here, name)
        assert await entries(here, name) <= 4


async def test_a_post_is_there_before_it_was_pushed(here: Town) -> None:
    await here.follow("ada", "ben")
    await here.post("ben", "before")
    assert await here.feed("ada") == ["before"]
    async with here.world.db.transaction() as tx:  # holds the log's readers back
        await tx.value("select pg_current_xact_id()")
        await here.post("ben", "now")
        await here.post("ada", "mine")
        page = await here.ask("ada", "GET", "feeds/home")
    assert [each["text"] for each in page["data"]] == ["mine", "now", "before"]
    assert await here.feed("ada") == ["mine", "now", "before"]


async def test_only_who_reads_is_written_to(here: Town) -> None:
    await here.world.meet("Fay")
    await here.follow("fay", "ben")
    await here.follow("ada", "ben")
    await here.post("ben", "1")
    assert await here.feed("ada") == ["1"]
    assert (await entries(here, "ada"), await entries(here, "fay")) == (1, 0)
    assert await here.feed("fay") == ["1"]
    assert await entries(here, "fay") == 1


async def test_the_posts_of_a_wide_author_are_pulled_for_ever(here: Town) -> None:
    await here.follow("ada", "ben")
    await here.post("ben", "few follow")
    await here.feed("ada")
    for name in ("cleo", "dora"):
        await here.follow(name, "ben")
    await here.post("ben", "many follow")
    assert await here.feed("ada") == ["many follow", "few follow"]
    assert await entries(here, "ada") == 1
    for name in ("cleo", "dora"):
        await here.ask(name, "DELETE", "users/me/following/ben")
    await here.post("ben", "few again")
    assert await here.feed("ada") == ["few again", "many follow", "few follow"]
    assert await entries(here, "ada") == 1
    async with town(here.dsn, feeds=Knobs(push=True, most_followers=2)) as later:
        assert await later.feed("ada") == ["few again", "many follow", "few follow"]


async def test_an_import_has_feeds_built_anew(here: Town) -> None:
    await here.post("ben", "from before")
    assert await here.feed("ada") == []
    await here.importing("ada", "ben")
    assert await here.feed("ada") == ["from before"]


async def test_an_idle_feed_is_forgotten_and_comes_again(dsn: str) -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    async with town(dsn, clock, feeds=Knobs(push=True)) as here:
        await here.follow("ada", "ben")
        await here.post("ben", "1")
        assert await here.feed("ada") == ["1"]
        for days, kept in ((10, 1), (10, 1), (15, 0)):
            clock.advance(timedelta(days=days).total_seconds())
            await pushing(here).forget_idle()
            assert await entries(here, "ada") == kept
            assert await here.feed("ada") == ["1"]


async def test_a_server_that_pulls_forgets_what_was_written_ahead(here: Town, dsn: str) -> None:
    await here.follow("ada", "ben")
    await here.post("ben", "1")
    assert await here.feed("ada") == ["1"]
    async with town(dsn) as other:
        await here.pushed()
        assert await other.feed("ada") == ["1"]
        assert await entries(other, "ada") == 0


async def test_who_is_erased_leaves_no_feed(here: Town) -> None:
    await here.follow("ada", "ben")
    await here.post("ben", "1")
    assert await here.feed("ada") == ["1"]
    async with here.world.db.transaction() as tx:
        await here.world.posts.erasing.erase(tx, here.world.ids["ada"])
        await here.world.posts.erasing.erase(tx, here.world.ids["ben"])
    assert await entries(here, "ada") == 0
    assert await here.feed("ada") == []
