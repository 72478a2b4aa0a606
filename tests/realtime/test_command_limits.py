"""What a user may do over sockets: a budget for each user, which every command takes from."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from nova.kernel.text import Line
from nova.web.actors import User
from nova.web.realtime.commands import COSTS
from nova.web.realtime.messages import Command
from nova.web.realtime.socket_limits import Limits
from nova.web.routes import Limit
from support.http import People
from support.memory import MemoryChannels
from support.sockets import ROOM, Sockets, make_hub, sockets
from support.wire_client import Rude, rude

BURST = 20
BUDGET = Limit("users", per_s=0.001, burst=BURST)
ROOMY = {"channel": "room:one"}
COMMANDS: dict[str, Any] = {
    "subscribe": ROOMY,
    "unsubscribe": ROOMY,
    "publish": {**ROOMY, "data": 1},
    "history": {**ROOMY, "limit": 1},
    "presence": ROOMY,
    "presence_stats": ROOMY,
    "refresh": {"token": "ada"},
    "sub_refresh": {**ROOMY, "token": "ada"},
    "ping": {},
    "rpc": {"method": "echo", "data": "hi"},
}
PEOPLE = People("ada", "ben")


class Echo(Struct):
    method: str = "echo"
    params: Any = Line
    cost: int = 1

    async def handler(self, _user: User, said: str) -> str:
        return said


@asynccontextmanager
async def opened(**more: Any) -> AsyncIterator[Sockets]:
    channels = MemoryChannels()
    hub = make_hub(
        channels, PEOPLE, namespaces=[ROOM], rpcs=[Echo(), Echo("dear", cost=15)], **more
    )
    channels.published = hub.deliver
    async with sockets(hub, PEOPLE) as server:
        yield server


@pytest.fixture
async def server() -> AsyncIterator[Sockets]:
    async with opened(budget=BUDGET) as server:
        yield server


@asynccontextmanager
async def connected(server: Sockets, who: str) -> AsyncIterator[Rude]:
    async with rude(server.host, server.port) as client:
        await client.connect(who)
        yield client


async def asked(client: Rude, **command: Any) -> Any:
    client.say({"id": 9, **command})
    while (heard := await client.heard()).get("id") != 9:
        pass
    return heard


async def spent(client: Rude) -> None:
    """Use the budget up."""
    for _ in range(BURST):
        await asked(client, ping={})


def test_every_command_costs_something() -> None:
    commands = {field.name for field in msgspec.structs.fields(Command)} - {"id"}
    assert set(COSTS) == commands
    assert set(COMMANDS) == commands - {"connect", "send"}
    assert min(COSTS.values()) >= 1


@pytest.mark.parametrize("command", COMMANDS)
async def test_beyond_the_budget_a_command_is_refused_for_now(
    server: Sockets, command: str
) -> None:
    async with connected(server, "ada") as client, connected(server, "ben") as other:
        await spent(client)
        refused = await asked(client, **{command: COMMANDS[command]})
        assert refused["error"] == {"code": 111, "message": "too many requests", "temporary": True}
        assert "error" not in await asked(other, ping={})


async def test_all_sockets_of_a_user_share_the_budget(server: Sockets) -> None:
    async with connected(server, "ada") as client, connected(server, "ada") as second:
        await spent(client)
        assert (await asked(second, ping={}))["error"]["code"] == 111
        async with rude(server.host, server.port) as third:
            third.say({"id": 9, "connect": {"token": "ada"}})
            assert (await third.heard())["error"]["code"] == 111


async def test_a_costly_method_takes_more(server: Sockets) -> None:
    async with connected(server, "ada") as client:
        assert "rpc" in await asked(client, rpc={"method": "dear", "data": "hi"})
        assert (await asked(client, rpc={"method": "dear", "data": "hi"}))["error"]["code"] == 111
        assert "rpc" in await asked(client, rpc={"method": "echo", "data": "hi"})


async def test_a_stranger_has_a_budget_for_each_connection() -> None:
    async with (
        opened(budget=BUDGET, limits=Limits(anonymous=True)) as server,
        connected(server, "") as client,
        connected(server, "") as other,
    ):
        await spent(client)
        assert (await asked(client, ping={}))["error"]["code"] == 111
        assert "error" not in await asked(other, ping={})
