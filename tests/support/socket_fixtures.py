"""Servers with sockets, over durable channels."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from nova.ports.channels import Publication
from nova.ports.database import Pool
from nova.web.realtime.hub import Hub
from support.durable import durable_channels
from support.http import People
from support.memory import MemoryChannels
from support.sockets import CLOSED, OPEN, ROOM, Sockets, make_hub, sockets

Opened = Callable[..., AbstractAsyncContextManager[Sockets]]


@asynccontextmanager
async def _opened(origins: Sequence[str] = (), **more: Any) -> AsyncIterator[Sockets]:
    people = People("ada", "ben")
    channels = MemoryChannels()
    hub = make_hub(channels, people, namespaces=[ROOM, OPEN, CLOSED], **more)
    channels.published = hub.deliver
    async with sockets(hub, people, origins) as running:
        yield running


@pytest.fixture
def opened() -> Opened:
    """Open a server over channels in memory; further arguments are make_hub's."""
    return _opened


@pytest.fixture
async def server() -> AsyncIterator[Sockets]:
    """A server over channels in memory, with the users ada and ben."""
    async with _opened() as running:
        yield running


@pytest.fixture
async def durable(pool: Pool) -> AsyncIterator[Sockets]:
    """A server over channels in PostgreSQL, with the users ada and ben."""
    people = People("ada", "ben")
    hubs: list[Hub] = []

    def published(publications: Sequence[Publication]) -> None:
        hubs[0].deliver(publications)

    channels = durable_channels(pool, published)
    hubs.append(make_hub(channels, people, namespaces=[ROOM, OPEN, CLOSED]))
    async with sockets(hubs[0], people) as running:
        yield running
