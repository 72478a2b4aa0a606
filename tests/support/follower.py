"""A client as the SDKs are: it comes back when its socket closes, and recovers what it missed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from support.app import App
from support.clients import websocket
from support.waiting import SOON_S

PAUSE_S = 0.02


class Follower:
    """Keeps what reached one person; every publication has to be the next one, and no other."""

    def __init__(self, app: Callable[[], Awaitable[App]], user: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.codes: list[int] = []
        """How its sockets were closed, as far as the server said so."""
        self.connections = 0
        self._app = app
        self._user = user
        self._channel = self._epoch = ""
        self._offset = 0
        self._news = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def rings(self) -> list[str]:
        """The ids of the events whose notifications arrived, in order."""
        return [
            each["notification"]["event_id"]
            for each in self.heard
            if each["type"] == "notification"
        ]

    async def connected(self, times: int = 1) -> None:
        await self._until(lambda: self.connections >= times)

    async def closed(self) -> None:
        """Wait until a socket was closed."""
        await self._until(lambda: bool(self.codes))

    async def rung(self, *events: dict[str, Any]) -> None:
        """Wait until these, among others, have arrived."""
        ids = {each["id"] for each in events}
        await self._until(lambda: ids <= {*self.rings})

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SOON_S):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def follow(self) -> None:
        """Listen until cancelled."""
        while True:
            app = await self._app()
            url = app.url.replace("http", "ws") + "/connection/websocket"
            try:
                async with websocket(url, max_size=None) as socket:
                    await self._listen(socket, app.token(self._user))
            except ConnectionClosed as closed:
                if closed.rcvd is not None:
                    self.codes.append(closed.rcvd.code)
            except (OSError, EOFError, InvalidHandshake, InvalidMessage):
                pass  # nobody is there yet
            self._news.set()
            await asyncio.sleep(PAUSE_S)

    async def _listen(self, socket: ClientConnection, token: str) -> None:
        since = {"recover": True, "epoch": self._epoch, "offset": self._offset}
        subs = {self._channel: since} if self._channel else {}
        await socket.send(json.dumps({"id": 1, "connect": {"token": token, "subs": subs}}))
        async for message in socket:
            for line in str(message).splitlines():
                said = json.loads(line)
                if not said:
                    await socket.send("{}")
                elif "error" in said:
                    return
                elif "connect" in said:
                    self._begin(said["connect"]["subs"])
                elif "pub" in said["push"]:
                    self._take(said["push"]["pub"])
                self._news.set()

    def _begin(self, subs: dict[str, Any]) -> None:
        [(channel, position)] = subs.items()
        if self._channel:
            assert position.get("recovered"), position
            for each in position.get("publications", ()):
                self._take(each)
        self._channel, self._epoch = channel, position["epoch"]
        assert self.connections == 0 or position.get("offset", 0) == self._offset
        self._offset = position.get("offset", 0)
        self.connections += 1

    def _take(self, publication: dict[str, Any]) -> None:
        assert publication["offset"] == self._offset + 1
        self._offset += 1
        self.heard.append(publication["data"])


@asynccontextmanager
async def following(app: Callable[[], Awaitable[App]], user: str) -> AsyncIterator[Follower]:
    """Follow a person's channel while the block runs; what goes wrong with it fails the block."""
    follower = Follower(app, user)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.follow())
        await follower.connected()
        yield follower
        task.cancel()
