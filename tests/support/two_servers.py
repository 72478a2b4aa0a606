"""Two servers on one database, and what their clients do and hear."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from support.app import App
from support.deployment import Deployment, deployed
from support.waiting import until
from support.wire_client import Rude, rude

LIVE = "live:tea"
ROOM = "room:tea"
NAMESPACES = """[
    {"name": "live", "publish": true, "presence": true, "join_leave": true},
    {"name": "room", "history_size": 100, "history_ttl_s": 600, "recovery": true}
]"""


class Pair:
    """A server, another one, and the people that both know."""

    def __init__(self, here: App, there: App, other: Deployment, people: list[str]) -> None:
        self.here = here
        self.there = there
        self.other = other
        self.people = people

    @asynccontextmanager
    async def following(self, app: App, who: str, channel: str = LIVE) -> AsyncIterator[Rude]:
        async with rude(app.server.host, app.server.port, app.token(who)) as client:
            client.say({"id": 9, "subscribe": {"channel": channel}})
            while (await client.heard()).get("id") != 9:
                pass
            yield client

    async def present(self, app: App) -> set[str]:
        """Return who follows the channel, as a server tells it."""
        async with app.client() as client:
            answer = await client.get(f"/v1/channels/{LIVE}/presence")
        assert answer.status_code == 200, answer.text
        return set(answer.json()["presence"])


@asynccontextmanager
async def two_servers(folder: Path, dsn: str, **settings: str) -> AsyncIterator[Pair]:
    # Clients of the tests answer no pings, and may be connected for long.
    settings |= {
        "NOVA_DATABASE": dsn,
        "NOVA_NAMESPACES": NAMESPACES,
        "NOVA_SOCKET_PING_S": "600",
    }
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    async with deployed(folder / "a", **settings) as first:
        here = await first.start()
        async with deployed(folder / "b", **settings) as second:
            second.secret = first.secret
            second.data.mkdir()
            (second.data / "server.key").write_text((first.data / "server.key").read_text())
            there = await second.start()
            yield Pair(here, there, second, await here.people(2))


async def push(client: Rude, kind: str) -> Any:
    """Return the next push of a kind."""
    while True:
        heard = await client.heard()
        if kind in heard.get("push", {}):
            return heard["push"][kind]


async def mutual(pair: Pair) -> None:
    """Wait until each server knows of the other: what only one follows is heard there."""
    ada, _ = pair.people

    async def heard_there() -> bool:
        async with pair.following(pair.there, ada) as client:
            await publish(pair.here, "hello")
            try:
                async with asyncio.timeout(0.5):
                    await push(client, "pub")
            except TimeoutError:
                return False
        return True

    await until(heard_there)


async def publish(app: App, data: Any, channel: str = LIVE) -> None:
    async with app.client() as client:
        answer = await client.post(f"/v1/channels/{channel}/publications", json={"data": data})
    assert answer.status_code == 200, answer.text
