"""The Python SDK, as it is, against a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import centrifuge
import pytest

from nova.ports.channels import Publication
from nova.ports.database import Pool
from nova.web.realtime.hub import Hub
from nova.web.realtime.namespaces import Namespace
from support.clients import sdk
from support.durable import durable_channels
from support.http import People
from support.sockets import Sockets, make_hub, sockets
from support.waiting import SOON_S

ROOM = Namespace(
    name="room",
    publish=True,
    presence=True,
    join_leave=True,
    history_size=10,
    history_ttl_s=60,
    recovery=True,
)

OPEN = Namespace(name="open", publish=True)


@pytest.fixture
async def server(pool: Pool) -> AsyncIterator[Sockets]:
    people = People("ada", "ben")
    hubs: list[Hub] = []

    def published(publications: Any) -> None:
        hubs[0].deliver(publications)

    channels = durable_channels(pool, published)
    hubs.append(make_hub(channels, people, namespaces=[ROOM, OPEN]))
    async with sockets(hubs[0], people) as running:
        yield running


class Followed(centrifuge.SubscriptionEventHandler):  # type: ignore[misc]  # untyped library
    """What one subscription heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.subscribed: asyncio.Queue[Any] = asyncio.Queue()
        self.joined: asyncio.Queue[str] = asyncio.Queue()

    async def on_publication(self, ctx: centrifuge.PublicationContext) -> None:
        self.heard.put_nowait(ctx.pub.data)

    async def on_subscribed(self, ctx: centrifuge.SubscribedContext) -> None:
        self.subscribed.put_nowait(ctx)

    async def on_join(self, ctx: centrifuge.JoinContext) -> None:
        self.joined.put_nowait(ctx.info.user)


def client(server: Sockets, token: str, *, protobuf: bool) -> centrifuge.Client:
    return sdk(server.url, token, use_protobuf=protobuf)


def coded(data: object, *, protobuf: bool) -> Any:
    return json.dumps(data).encode() if protobuf else data


def decoded(data: Any) -> Any:
    return json.loads(data) if isinstance(data, bytes) else data


@pytest.mark.parametrize("protobuf", [False, True])
@pytest.mark.parametrize("channel", ["room:one", "open:one"])
async def test_what_one_publishes_the_other_hears(
    server: Sockets, channel: str, protobuf: bool
) -> None:
    ada, ben = (client(server, name, protobuf=protobuf) for name in ("ada", "ben"))
    followed = Followed()
    await ada.connect()
    await ben.connect()
    subscription = ben.new_subscription(channel, followed)
    await subscription.subscribe()
    await asyncio.wait_for(subscription.ready(), SOON_S)
    for number in range(3):
        await ada.publish(channel, coded({"number": number}, protobuf=protobuf))
    heard = [decoded(await asyncio.wait_for(followed.heard.get(), SOON_S)) for _ in range(3)]
    assert heard == [{"number": 0}, {"number": 1}, {"number": 2}]
    await ada.disconnect()
    await ben.disconnect()


@pytest.mark.parametrize("protobuf", [False, True])
async def test_a_dropped_socket_recovers_what_it_missed(server: Sockets, protobuf: bool) -> None:
    ada, ben = (client(server, name, protobuf=protobuf) for name in ("ada", "ben"))
    followed = Followed()
    await ada.connect()
    await ben.connect()
    subscription = ben.new_subscription("room:one", followed)
    await subscription.subscribe()
    await asyncio.wait_for(subscription.ready(), SOON_S)
    await ben.disconnect()
    for number in range(3):
        await ada.publish("room:one", coded(number, protobuf=protobuf))
    await ben.connect()
    heard = [decoded(await asyncio.wait_for(followed.heard.get(), SOON_S)) for _ in range(3)]
    assert heard == [0, 1, 2]
    await followed.subscribed.get()
    assert (await asyncio.wait_for(followed.subscribed.get(), SOON_S)).recovered
    await ada.disconnect()
    await ben.disconnect()


@pytest.mark.parametrize("protobuf", [False, True])
async def test_presence_history_and_joins(server: Sockets, protobuf: bool) -> None:
    ada, ben = (client(server, name, protobuf=protobuf) for name in ("ada", "ben"))
    followed = Followed()
    await ada.connect()
    await ben.connect()
    first = ada.new_subscription("room:two", followed)
    await first.subscribe()
    await asyncio.wait_for(first.ready(), SOON_S)
    await first.publish(coded("hello", protobuf=protobuf))
    second = ben.new_subscription("room:two", Followed())
    await second.subscribe()
    await asyncio.wait_for(second.ready(), SOON_S)
    present = await second.presence()
    assert len(present.clients) == 2
    stats = await second.presence_stats()
    assert (stats.num_clients, stats.num_users) == (2, 2)
    history = await second.history(limit=-1)
    assert [decoded(each.data) for each in history.publications] == ["hello"]
    assert history.offset == 1
    joined = {await asyncio.wait_for(followed.joined.get(), SOON_S) for _ in range(2)}
    assert len(joined) == 2
    await ada.disconnect()
    await ben.disconnect()


async def test_publications_that_arrive_in_disorder_leave_in_order(server: Sockets) -> None:
    ben = client(server, "ben", protobuf=False)
    followed = Followed()
    await ben.connect()
    subscription = ben.new_subscription("room:three", followed)
    await subscription.subscribe()
    await asyncio.wait_for(subscription.ready(), SOON_S)
    three, one, two = (Publication("room:three", offset, b"%d" % offset) for offset in (3, 1, 2))
    server.hub.deliver([three, one])
    server.hub.deliver([two, one])
    heard = [await asyncio.wait_for(followed.heard.get(), SOON_S) for _ in range(3)]
    assert heard == [1, 2, 3]
    await ben.disconnect()
