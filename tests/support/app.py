"""A host app as the tests play it: it has people, and calls Nova for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from nova.bench.client import Subscriber
from nova.bench.processes import Server
from nova.web.tokens import mint
from support.waiting import SOON_S

MOST_PATIENCE = 30
"""Times that a refused request is made again, each after as long as the refusal asked for."""


class Patient(httpx.AsyncHTTPTransport):
    """Tries again what was refused with 503, as a good client does."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(MOST_PATIENCE):
            answer = await super().handle_async_request(request)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            await answer.aclose()
            await asyncio.sleep(float(answer.headers["retry-after"]))
        return answer


class Phone:
    """A person's device with an open socket; it keeps what it heard."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def on_message(self, message: bytes) -> None:
        for line in message.split(b"\n"):
            push = msgspec.json.decode(line).get("push")
            if push and "pub" in push:
                self.heard.append(push["pub"]["data"])
                self._news.set()

    @property
    def rings(self) -> list[str]:
        """The ids of the events whose notifications arrived, in order."""
        return [
            data["notification"]["event_id"]
            for data in self.heard
            if data["type"] == "notification"
        ]

    async def until(self, true: Callable[["Phone"], bool]) -> None:
        """Wait until what was heard makes `true` true."""
        async with asyncio.timeout(SOON_S):
            while not true(self):
                self._news.clear()
                await self._news.wait()


class App:
    """Calls the API with the server key, or for a person with a token."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = f"http://{server.host}:{server.port}"

    def token(self, user: str, **claims: Any) -> str:
        return mint(self.server.token_secret, user, **claims)

    def client(self, user: str | None = None, *, patient: bool = True) -> httpx.AsyncClient:
        bearer = self.server.server_key if user is None else self.token(user)
        return httpx.AsyncClient(
            base_url=self.url,
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=SOON_S,
            transport=Patient() if patient else None,
        )

    async def people(self, count: int) -> list[str]:
        """Create users and return the ids that the host app knows them by."""
        names = [f"person-{uuid4()}" for _ in range(count)]
        users = [{"external_id": name, "name": name} for name in names]
        async with self.client() as client:
            answer = await client.post("/v1/users/bulk", json={"users": users})
        answer.raise_for_status()
        return names

    async def send(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        """Post events and return the result of each."""
        async with self.client() as client:
            answer = await client.post("/v1/events", json=list(events))
        answer.raise_for_status()
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def inbox(self, user: str) -> list[dict[str, Any]]:
        """Return everything in a person's inbox, newest first."""
        found: list[dict[str, Any]] = []
        query: dict[str, str | int] = {"limit": 100}
        async with self.client(user) as client:
            while True:
                answer = await client.get("/v1/notifications", params=query)
                answer.raise_for_status()
                page = answer.json()
                found += page["data"]
                if not page.get("next_cursor"):
                    return found
                query["cursor"] = page["next_cursor"]

    async def counts(self, user: str) -> dict[str, int]:
        async with self.client(user) as client:
            answer = await client.get("/v1/notifications/counts")
        answer.raise_for_status()
        counts: dict[str, int] = answer.json()
        return counts

    @asynccontextmanager
    async def phone(self, user: str) -> AsyncIterator[Phone]:
        phone = Phone()
        socket = await Subscriber.open(
            self.server.host, self.server.port, self.token(user), phone.on_message
        )
        try:
            yield phone
        finally:
            socket.close()


def like(to: str, by: str, **more: Any) -> dict[str, Any]:
    event: dict[str, Any] = {
        "id": str(uuid4()),
        "event_type": "like",
        "recipient_id": to,
        "actor_id": by,
        "related_entity_id": "post-1",
        "timestamp": "2026-01-01T00:00:00Z",
        "metadata": {},
    }
    return event | more
