"""What every engine does alike that carries messages between processes."""

import asyncio
from collections.abc import AsyncIterator
from random import Random
from secrets import randbits

import pytest

from nova.ports.broadcast import EVERYBODY, Message
from support.broadcasts import ENGINES, Member, Members, members
from support.waiting import until


@pytest.fixture(params=ENGINES)
async def join(request: pytest.FixtureRequest, dsn: str) -> AsyncIterator[Members]:
    async with members(request.param, dsn) as made:
        yield made


def said(channel: str, *numbers: int) -> list[Message]:
    return [Message(channel, b"%d" % number) for number in numbers]


async def test_who_follows_a_channel_hears_it_and_nobody_else(join: Members) -> None:
    one, other, third = await join(), await join(), await join()
    await one.engine.follow(["room:tea", "room:milk"])
    await other.engine.follow(["room:milk"])
    await third.publish(
        *said("room:tea", 1), *said("room:milk", 2), *said("room:none", 3), *said(EVERYBODY, 4)
    )
    await until(lambda: len(one.heard) == 3 and len(other.heard) == 2)
    assert sorted(one.heard) == sorted([*said("room:tea", 1), *said("room:milk", 2), *said("", 4)])
    assert sorted(other.heard) == sorted([*said("room:milk", 2), *said("", 4)])
    assert third.heard == []


async def test_nobody_hears_what_they_published_themselves(join: Members) -> None:
    one, other = await join(), await join()
    for each in (one, other):
        await each.engine.follow(["room:tea"])
    await one.publish(*said("room:tea", 1))
    await other.publish(*said("room:tea", 2))
    await until(lambda: one.heard and other.heard)
    assert (one.heard, other.heard) == (said("room:tea", 2), said("room:tea", 1))


async def test_what_is_published_after_following_is_heard(join: Members) -> None:
    one, other = await join(), await join()
    for number in range(40):
        channel = f"room:{number}"
        await one.engine.follow([channel])
        await other.publish(*said(channel, number))
    await until(lambda: len(one.heard) == 40)
    assert [each.data for each in sorted(one.heard, key=lambda each: int(each.data))] == [
        b"%d" % number for number in range(40)
    ]


async def test_who_follows_no_longer_hears_no_more(join: Members) -> None:
    one, other = await join(), await join()
    await one.engine.follow(["room:tea", "room:milk"])
    await one.engine.unfollow(["room:tea", "room:never"])
    await other.publish(*said("room:tea", 1), *said("room:milk", 2))
    await until(lambda: one.heard)
    assert one.heard == said("room:milk", 2)
    await one.engine.follow(["room:tea"])
    await other.publish(*said("room:tea", 3))
    await until(lambda: len(one.heard) == 2)
    assert one.heard[1:] == said("room:tea", 3)


async def test_following_twice_is_hearing_once(join: Members) -> None:
    one, other = await join(), await join()
    for _ in range(2):
        await one.engine.follow(["room:tea", "room:tea"])
    await other.publish(*said("room:tea", 1, 2))
    await until(lambda: len(one.heard) == 2)
    assert one.heard == said("room:tea", 1, 2)


async def test_each_channel_keeps_its_order_whatever_else_is_published(join: Members) -> None:
    one, *others = [await join() for _ in range(3)]
    channels = [f"room:{number}" for number in range(20)]
    await one.engine.follow(channels)
    random = Random(4)  # noqa: S311  # an example

    async def publish(who: int, member: Member) -> None:
        for batch in range(25):
            messages = [
                Message(random.choice(channels), b"%d %d" % (who, batch * 40 + number))
                for number in range(40)
            ]
            await member.publish(*messages)

    await asyncio.gather(*(publish(who, each) for who, each in enumerate(others)))
    await until(lambda: len(one.heard) == 2_000)
    for channel in channels:
        for who in range(2):
            numbers = [
                int(each.data.split()[1])
                for each in one.heard
                if each.channel == channel and each.data.startswith(b"%d " % who)
            ]
            assert numbers == sorted(numbers)
    assert len(set(one.heard)) == 2_000


@pytest.mark.parametrize(
    "channel",
    [
        "",
        " ",
        "room:{tag}",
        "{}",
        "*",
        "room:'; drop table backbone.messages; --",
        "room:\N{HOT BEVERAGE}\r\nPING\r\n",
        "x" * 255,
        "\N{HOT BEVERAGE}" * 255,
    ],
)
async def test_channels_are_called_what_they_like(join: Members, channel: str) -> None:
    one, other = await join(), await join()
    await one.engine.follow([channel])
    await other.publish(Message(channel, bytes(range(256))), Message(channel, b""))
    await until(lambda: len(one.heard) == 2)
    assert one.heard == [Message(channel, bytes(range(256))), Message(channel, b"")]


async def test_large_messages_and_many_arrive_whole_and_once(join: Members) -> None:
    one, other = await join(), await join()
    await one.engine.follow(["room:tea"])
    large = Message("room:tea", randbits(8 * 200_000).to_bytes(200_000, "big"))
    await other.publish(large, *said("room:tea", *range(1_500)), large)
    await until(lambda: len(one.heard) == 1_502)
    assert one.heard == [large, *said("room:tea", *range(1_500)), large]


async def test_who_joins_anew_follows_nothing_yet(join: Members) -> None:
    one, other = await join(), await join()
    await one.engine.follow(["room:tea"])
    await one.engine.join(one.id)
    await other.publish(*said("room:tea", 1), *said(EVERYBODY, 2))
    await until(lambda: one.heard)
    assert one.heard == said(EVERYBODY, 2)
    await one.engine.follow(["room:tea"])
    await other.publish(*said("room:tea", 3))
    await until(lambda: len(one.heard) == 2)
    assert one.heard[1:] == said("room:tea", 3)


async def test_a_thousand_channels_are_followed_at_once(join: Members) -> None:
    one, other = await join(), await join()
    channels = [f"room:{number}" for number in range(1_000)]
    await one.engine.follow(channels)
    await other.publish(*(Message(each, b"1") for each in channels))
    await until(lambda: len(one.heard) == 1_000)
    await one.engine.unfollow(channels[1:])
    await other.publish(*(Message(each, b"2") for each in reversed(channels)))
    await until(lambda: len(one.heard) > 1_000)
    assert one.heard[1_000:] == [Message("room:0", b"2")]


async def test_it_says_what_it_is(join: Members) -> None:
    assert await (await join()).engine.ping()
