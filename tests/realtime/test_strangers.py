"""Strangers on the socket: who may be one, and how little they may do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import time
from typing import Any

import pytest
from msgspec import Struct

from nova.features.accounts.models import Revocation
from nova.kernel.text import Line
from nova.ports.channels import Retention
from nova.ports.database import Pool
from nova.web.actors import NOBODY, User
from nova.web.realtime.codes import INVALID_TOKEN
from nova.web.realtime.socket_limits import Limits
from nova.web.tokens import TokenInvalid, mint
from support.accounts import SECRET, Process
from support.memory import MemoryChannels
from support.sockets import CLOSED, ROOM, Sockets, make_hub, sockets
from support.wire_client import Rude, rude


class Told(Struct):
    """A feature's channels, that every user may follow."""

    name: str = "told"
    retention: Retention = Retention(100, 60)
    presence: bool = True
    of_users: bool = True

    def at_connect(self, user: User) -> list[str]:
        return [f"told:{user.id}"]

    async def may_subscribe(self, user: User, channel: str) -> bool:
        return channel == f"told:{user.id}"


class Echo(Struct):
    method: str = "echo"
    params: Any = Line
    cost: int = 1

    async def handler(self, _user: User, said: str) -> str:
        return said


class World(Struct):
    server: Sockets
    process: Process

    async def refused(self, token: str) -> int:
        """Return the code with which a socket is closed that connects with this token."""
        async with self.socket() as client:
            client.say({"id": 1, "connect": {"token": token}})
            return await client.closed()

    @asynccontextmanager
    async def socket(self, token: str | None = None) -> AsyncIterator[Rude]:
        async with rude(self.server.host, self.server.port, token) as client:
            yield client


@asynccontextmanager
async def opened(pool: Pool, *, strangers: bool) -> AsyncIterator[World]:
    process = Process(pool, strangers=strangers)
    channels = MemoryChannels()
    hub = make_hub(
        channels,
        process.auth,
        families=[Told()],
        namespaces=[ROOM, CLOSED],
        rpcs=[Echo()],
        limits=Limits(anonymous=strangers),
        tickets=process.auth,
    )
    channels.published = hub.deliver
    async with sockets(hub, process.auth) as server:
        yield World(server, process)


@pytest.fixture
async def open_world(pool: Pool) -> AsyncIterator[World]:
    """A world that lets strangers connect."""
    async with opened(pool, strangers=True) as world:
        yield world


def nameless(**claims: Any) -> str:
    return mint(SECRET, **{"sub": "", **claims})


async def asked(client: Rude, **command: Any) -> Any:
    client.say({"id": 9, **command})
    while (heard := await client.heard()).get("id") != 9:
        pass
    return heard


@pytest.mark.parametrize("token", ["", nameless(), nameless(sub=None)])
async def test_strangers_are_closed_out_unless_they_are_let_in(pool: Pool, token: str) -> None:
    async with opened(pool, strangers=False) as world:
        assert await world.refused(token) == INVALID_TOKEN.code


@pytest.mark.parametrize("token", ["", nameless(), nameless(sub=None)])
async def test_a_stranger_uses_the_apps_channels_and_has_no_name(
    open_world: World, token: str
) -> None:
    async with open_world.socket() as client:
        connected = await client.connect(token)
        assert "subs" not in connected
        assert "subscribe" in await asked(client, subscribe={"channel": "room:one"})
        assert "publish" in await asked(client, publish={"channel": "room:one", "data": 1})
        present = (await asked(client, presence={"channel": "room:one"}))["presence"]["presence"]
        assert [info.get("user", "") for info in present.values()] == [""]


async def test_what_belongs_to_users_is_closed_to_strangers(open_world: World) -> None:
    async with open_world.socket(nameless()) as client:
        reached = await asked(client, subscribe={"channel": f"told:{NOBODY}"})
        assert reached["error"]["code"] == 103
        looked = await asked(client, presence={"channel": f"told:{NOBODY}"})
        assert looked["error"]["code"] == 103
        called = await asked(client, rpc={"method": "echo", "data": "hi"})
        assert called["error"]["code"] == 108


async def test_users_are_served_as_ever_where_strangers_may_connect(open_world: World) -> None:
    ada = await open_world.process.user("ada")
    async with open_world.socket() as client:
        assert list((await client.connect(mint(SECRET, "ada")))["subs"]) == [f"told:{ada.id}"]
        assert (await asked(client, rpc={"method": "echo", "data": "hi"}))["rpc"]["data"] == "hi"


@pytest.mark.parametrize("token", [mint("another secret of thirty-two chars", ""), "not a token"])
async def test_a_token_that_names_nobody_still_needs_our_signature(
    open_world: World, token: str
) -> None:
    assert await open_world.refused(token) == INVALID_TOKEN.code


async def test_a_strangers_token_expires_and_can_be_revoked(open_world: World) -> None:
    async with open_world.socket() as client:
        expired = await asked(client, connect={"token": nameless(exp=int(time()) - 60)})
        assert expired["error"]["code"] == 109
        assert (await client.connect(nameless()))["expires"]
    token = nameless(jti="one")
    await open_world.process.credentials.revoke(Revocation(jti="one"))
    assert await open_world.refused(token) == INVALID_TOKEN.code


async def test_a_strangers_ticket_opens_its_channel_to_strangers_only(open_world: World) -> None:
    await open_world.process.user("ada")
    ticket, hers = nameless(channel="closed:one"), mint(SECRET, "ada", channel="closed:one")
    async with open_world.socket("") as stranger, open_world.socket(mint(SECRET, "ada")) as ada:
        subscribe = {"channel": "closed:one"}
        for client, token in ((stranger, hers), (ada, ticket), (stranger, "")):
            reply = await asked(client, subscribe={**subscribe, "token": token})
            assert reply["error"]["code"] == 103
        for client, token in ((stranger, ticket), (ada, hers)):
            assert "subscribe" in await asked(client, subscribe={**subscribe, "token": token})


async def test_over_http_a_token_that_names_nobody_counts_for_nothing(open_world: World) -> None:
    token = nameless()
    auth = open_world.process.auth
    async with open_world.socket(token):
        assert auth.known(f"Bearer {token}") is None
        with pytest.raises(TokenInvalid) as caught:
            await auth.bearer(f"Bearer {token}")
        assert caught.value.claim == "sub"
