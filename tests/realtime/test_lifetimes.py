"""How long a socket and a subscription may last, and who ends them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import pytest
from msgspec import Struct

from nova.kernel.clock import ManualClock
from nova.kernel.errors import Unauthenticated
from nova.ports.channels import Position, Retention
from nova.ports.fanout import Unsubscribed
from nova.web.actors import User
from nova.web.auth import Subscription
from nova.web.realtime.hub import Hub
from support.http import People
from support.memory import MemoryChannels
from support.sockets import ROOM, Sockets, make_hub, sockets
from support.waiting import until
from support.wire_client import Rude, rude

START = datetime(2026, 1, 1, tzinfo=UTC)


class Leased(People):
    """Tokens `<name>@<seconds>` expire that long after the start; names alone never."""

    async def user(self, token: str) -> User:
        name, at, seconds = token.partition("@")
        if name not in self.ids:
            raise Unauthenticated
        expires = START.timestamp() + float(seconds) if at else None
        return User(self.ids[name], token, expires)


class Inbox(Struct):
    """A feature's family of channels: each user's own."""

    name: str = "user"
    retention: Retention = Retention(100, 60)
    presence: bool = False
    of_users: bool = True

    @property
    def at_connect(self) -> Callable[[User], Sequence[str]]:
        return lambda user: [f"user:{user.id}"]

    async def may_subscribe(self, user: User, channel: str) -> bool:
        return channel == f"user:{user.id}"


class SlowChannels(MemoryChannels):
    """Whose positions are `asked` for, and known once they are `answering`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.answering = asyncio.Event()
        self.answering.set()

    async def position(self, channel: str) -> Position:
        self.asked += 1
        await self.answering.wait()
        return await super().position(channel)


class World(Struct):
    server: Sockets
    channels: SlowChannels
    clock: ManualClock
    people: Leased

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for _ in range(self.hub.ping_s):
            self.hub.timers.tick()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    people, channels, clock = Leased("ada", "ben"), SlowChannels(), ManualClock(START)
    hub = make_hub(channels, people, families=[Inbox()], namespaces=[ROOM], clock=clock)
    channels.published = hub.deliver
    async with sockets(hub, people) as server:
        yield World(server, channels, clock, people)


def open_as(world: World, token: str | None) -> AbstractAsyncContextManager[Rude]:
    return rude(world.server.host, world.server.port, token)


async def test_the_server_subscribes_a_user_and_recovers_what_was_missed(world: World) -> None:
    channel = f"user:{world.people['ada']}"
    async with open_as(world, None) as ada:
        subs = (await ada.connect("ada"))["subs"]
        assert list(subs) == [channel]
        epoch = subs[channel]["epoch"]
    await world.hub.channels.publish(channel, b"1")
    async with open_as(world, None) as ada:
        since = {channel: {"recover": True, "epoch": epoch, "offset": 0}}
        ada.say({"id": 1, "connect": {"token": "ada", "subs": since}})
        again = (await ada.heard())["connect"]["subs"][channel]
        assert again["recovered"]
        assert [each["data"] for each in again["publications"]] == [1]
        await world.hub.channels.publish(channel, b"2")
        assert (await ada.heard())["push"]["pub"]["data"] == 2


async def test_nobody_is_pinged_before_they_know_that_they_are_connected(world: World) -> None:
    world.channels.answering.clear()
    async with open_as(world, None) as ada:
        ada.say({"id": 1, "connect": {"token": "ada"}})
        await until(lambda: world.channels.asked)
        world.later(0)
        world.channels.answering.set()
        assert b'"connect"' in (await ada.frame()).payload
        world.later(0)
        assert (await ada.frame()).payload == b"{}"


async def test_another_users_channel_is_closed(world: World) -> None:
    async with open_as(world, "ben") as ben:
        ben.say({"id": 2, "subscribe": {"channel": f"user:{world.people['ada']}"}})
        assert (await ben.heard())["error"]["code"] == 103


async def test_a_token_that_expires_ends_the_socket_unless_it_is_refreshed(world: World) -> None:
    async with open_as(world, "ada@60") as ada, open_as(world, "ben@60") as ben:
        ada.say({"id": 2, "refresh": {"token": "ada@600"}})
        assert (await ada.heard())["refresh"]["ttl"] == 600
        world.later(70)
        assert await ben.closed() == 3005
        ada.say({"id": 3, "ping": {}})
        assert (await ada.heard())["id"] == 3


async def test_a_refresh_for_somebody_else_ends_the_socket(world: World) -> None:
    async with open_as(world, "ada@60") as ada:
        ada.say({"id": 2, "refresh": {"token": "ben@600"}})
        assert await ada.closed() == 3500


async def test_a_client_that_never_connects_is_closed(world: World) -> None:
    async with open_as(world, None) as nobody:
        nobody.say({})  # a pong: the server has seen the socket when it answers the next
        async with open_as(world, "ada"):
            world.later(11)
            assert await nobody.closed() == 3502


async def test_a_client_that_answers_no_ping_is_closed(world: World) -> None:
    async with open_as(world, "ada") as ada:
        world.later(25)
        world.later(25)
        assert await ada.closed() == 3012


async def test_revoking_a_token_closes_its_sockets_and_no_others(world: World) -> None:
    async with open_as(world, "ada") as ada, open_as(world, "ben") as ben:
        world.hub.disconnect_token("ada")
        assert await ada.closed() == 3500
        ben.say({"id": 2, "ping": {}})
        assert (await ben.heard())["id"] == 2


async def test_a_user_who_may_no_longer_follow_hears_no_more(world: World) -> None:
    async with open_as(world, "ben") as ben:
        ben.say({"id": 2, "subscribe": {"channel": "room:one"}})
        await ben.heard()
        await ben.heard()  # his own join
        world.hub.order(Unsubscribed(world.people["ben"], "room:one", 2000, "not any more"))
        assert (await ben.heard())["push"]["unsubscribe"]["code"] == 2000
        await world.hub.publish("room:one", b"1")
        ben.say({"id": 3, "ping": {}})
        assert (await ben.heard())["id"] == 3


async def test_draining_sends_everybody_away_to_come_back(world: World) -> None:
    async with open_as(world, "ada") as ada, open_as(world, "ben") as ben:
        await world.hub.drain(0.1)
        assert [await ada.closed(), await ben.closed()] == [3001, 3001]


class Visits:
    """Subscription tokens are names; each may enter room:one, and wants something shown."""

    async def subscription(self, token: str) -> Subscription:
        user = PEOPLE[token.partition("-")[0]]
        return Subscription(user, "room:one", token, None, b'{\n  "team": "red"\n}')


PEOPLE = Leased("ada", "ben")


async def test_revoking_a_subscription_token_ends_what_it_opened_and_no_more() -> None:
    hub = make_hub(MemoryChannels(), PEOPLE, namespaces=[ROOM], tickets=Visits())
    async with sockets(hub, PEOPLE) as server, rude(server.host, server.port, "ada") as ada:
        ada.say({"id": 2, "subscribe": {"channel": "room:one", "token": "ada-1"}})
        await ada.heard()
        joined = (await ada.heard())["push"]["join"]
        assert joined["info"]["chan_info"] == {"team": "red"}
        hub.disconnect_token("ada-2")
        hub.disconnect_token("ada-1")
        assert (await ada.heard())["push"]["unsubscribe"]["code"] == 2501
        await hub.publish("room:one", b"1")
        ada.say({"id": 3, "ping": {}})
        assert (await ada.heard())["id"] == 3


class Hasty(People):
    """Whoever is asked for twice was revoked in between, just before the socket was there."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        self.asked = 0

    async def user(self, token: str) -> User:
        self.asked += 1
        if self.asked > 1:
            raise Unauthenticated
        return await super().user(token)


async def test_a_revocation_during_connect_closes_the_socket() -> None:
    people = Hasty("ada")
    hub = make_hub(MemoryChannels(), people)
    async with sockets(hub, people) as server, rude(server.host, server.port, None) as ada:
        ada.say({"id": 1, "connect": {"token": "ada"}})
        assert await ada.closed() == 3500
