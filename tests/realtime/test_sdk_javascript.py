"""The JavaScript SDK, as it is, in Node: over WebSockets and over both fallbacks."""

import asyncio
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from nova.kernel.text import Line
from nova.web.actors import User
from nova.web.realtime.codes import FORCE_NO_RECONNECT, FORCE_RECONNECT
from support.http import People
from support.memory import MemoryChannels
from support.node import node_with_packages
from support.sockets import ROOM, Sockets, make_hub, sockets
from support.waiting import SOON_S

FOLDER = Path(__file__).parent / "js"
WAYS = [("ws", "json"), ("ws", "protobuf"), ("http_stream", "json"), ("sse", "json")]


class Said(Struct):
    text: Line


class Echo(Struct):
    method: str
    params: Any
    handler: Any
    cost: int = 1


async def echo(_user: User, said: Said) -> Said:
    return said


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the SDK installed as locked."""
    return node_with_packages(FOLDER)


class Browser:
    """The client program."""

    def __init__(self, lines: asyncio.StreamReader) -> None:
        self._lines = lines

    async def until(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(SOON_S):
            while line := await self._lines.readline():
                said: dict[str, Any] = json.loads(line)
                if said["event"] == event:
                    return said
        pytest.fail(f"ended before {event}")


@asynccontextmanager
async def client(node: str, server: Sockets, way: tuple[str, str]) -> AsyncIterator[Browser]:
    base = f"http://{server.host}:{server.port}"
    process = await asyncio.create_subprocess_exec(
        node, "client.mjs", *way, base, "ada", "room:js", cwd=FOLDER, stdout=PIPE
    )
    assert process.stdout is not None
    try:
        yield Browser(process.stdout)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("way", WAYS, ids="-".join)
async def test_the_sdk_does_all_it_can_and_comes_back_with_nothing_lost(
    node: str, way: tuple[str, str]
) -> None:
    people, channels = People("ada"), MemoryChannels()
    rpcs = [Echo("echo", Said, echo)]
    hub = make_hub(channels, people, namespaces=[ROOM], rpcs=rpcs)
    channels.published = hub.deliver
    async with sockets(hub, people) as server, client(node, server, way) as browser:
        connected = await browser.until("connected")
        assert connected["transport"] == {"ws": "websocket"}.get(way[0], way[0])
        await browser.until("subscribed")
        assert (await browser.until("history"))["data"] == [{"from": "node"}]
        assert (await browser.until("presence"))["clients"] == 1
        assert (await browser.until("stats")) == {"event": "stats", "clients": 1, "users": 1}
        assert (await browser.until("refused"))["code"] == 104
        assert (await browser.until("answered"))["data"] == {"text": "hi"}
        hub.disconnect_user(people["ada"], FORCE_RECONNECT)
        for number in range(3):
            await hub.publish("room:js", b"%d" % number)
        assert (await browser.until("connecting"))["code"] == FORCE_RECONNECT.code
        again = await browser.until("subscribed")
        assert (again["recovered"], again["wasRecovering"]) == (True, True)
        heard = [(await browser.until("publication"))["data"] for _ in range(3)]
        assert heard == [0, 1, 2]
        hub.disconnect_user(people["ada"], FORCE_NO_RECONNECT)
        assert (await browser.until("disconnected"))["code"] == FORCE_NO_RECONNECT.code
