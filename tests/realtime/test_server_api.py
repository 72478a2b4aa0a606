"""The server API of Centrifugo, spoken by its own client for Python, against a real server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from cent import (
    AsyncClient,
    BatchRequest,
    BroadcastRequest,
    CentApiResponseError,
    CentUnauthorizedError,
    ChannelsRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
)

from support.http import SERVER
from support.sockets import Sockets
from support.waiting import SOON_S
from support.wire_client import Rude, rude

pytest_plugins = ["support.socket_fixtures"]

ROOM, OTHER, OPEN = "room:tea", "room:coffee", "open:tea"


@pytest.fixture
async def api(durable: Sockets) -> AsyncIterator[AsyncClient]:
    """Yield the client, with the key of the backend."""
    async with AsyncClient(url(durable), SERVER, timeout=SOON_S) as client:
        yield client


@pytest.fixture
async def plain(durable: Sockets) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=url(durable), headers={"X-API-Key": SERVER}, timeout=SOON_S
    ) as client:
        yield client


def url(server: Sockets) -> str:
    return f"http://{server.host}:{server.port}/api"


@asynccontextmanager
async def following(server: Sockets, who: str, *channels: str) -> AsyncIterator[Rude]:
    async with rude(server.host, server.port, who) as client:
        for number, channel in enumerate(channels, 100):
            client.say({"id": number, "subscribe": {"channel": channel}})
            while (await client.heard()).get("id") != number:
                pass
        yield client


async def pushed(client: Rude, kind: str) -> Any:
    """Return the next push of a kind, with its channel."""
    while True:
        push = (await client.heard()).get("push", {})
        if kind in push:
            return push


async def data(client: Rude, count: int) -> list[tuple[str, Any]]:
    pushes = [await pushed(client, "pub") for _ in range(count)]
    return [(push["channel"], push["pub"]["data"]) for push in pushes]


async def test_what_is_published_arrives_and_is_in_the_history(
    durable: Sockets, api: AsyncClient
) -> None:
    async with following(durable, "ada", ROOM, OPEN) as ada:
        stored = await api.publish(PublishRequest(channel=ROOM, data={"n": 1}))
        passing = await api.publish(PublishRequest(channel=OPEN, data={"n": 2}))
        skipped = await api.publish(PublishRequest(channel=ROOM, data={"n": 3}, skip_history=True))
        assert await data(ada, 3) == [(ROOM, {"n": 1}), (OPEN, {"n": 2}), (ROOM, {"n": 3})]
    assert (stored.offset, passing.offset, skipped.offset) == (1, 0, 0)
    found = await api.history(HistoryRequest(channel=ROOM, limit=10))
    assert [(each.offset, each.data) for each in found.publications] == [(1, {"n": 1})]
    assert (found.epoch, found.offset) == (stored.epoch, 1)


async def test_an_idempotency_key_publishes_once(api: AsyncClient) -> None:
    first = await api.publish(PublishRequest(channel=ROOM, data=1, idempotency_key="a"))
    assert await api.publish(PublishRequest(channel=ROOM, data=2, idempotency_key="a")) == first
    assert (await api.history(HistoryRequest(channel=ROOM))).offset == 1


async def test_a_broadcast_reaches_every_channel_that_is_the_apps(
    durable: Sockets, api: AsyncClient
) -> None:
    async with following(durable, "ada", ROOM, OTHER) as ada:
        done = await api.broadcast(
            BroadcastRequest(channels=[ROOM, "user:ada", OTHER], data="hello")
        )
        assert sorted(await data(ada, 2)) == [(OTHER, "hello"), (ROOM, "hello")]
    codes = [each.error and each.error.code for each in done.responses]
    assert codes == [None, 102, None]


async def test_a_batch_is_answered_in_order_and_keeps_the_order_of_a_channel(
    durable: Sockets, api: AsyncClient
) -> None:
    async with following(durable, "ada", ROOM, OTHER) as ada:
        replies = (
            await api.batch(
                BatchRequest(
                    requests=[
                        PublishRequest(channel=ROOM, data=1),
                        BroadcastRequest(channels=[ROOM, OTHER], data=2),
                        PresenceStatsRequest(channel=ROOM),
                        PublishRequest(channel=ROOM, data=3),
                    ]
                )
            )
        ).replies
        heard = await data(ada, 4)
    assert [value for channel, value in heard if channel == ROOM] == [1, 2, 3]
    offsets: Any = [replies[0], replies[1].responses[0].result, replies[3]]  # type: ignore[attr-defined]  # as cent has it
    assert [each.offset for each in offsets] == [1, 2, 3]
    assert replies[2].num_clients == 1  # type: ignore[attr-defined]  # as cent has it


async def test_a_bad_command_keeps_no_other_of_its_batch_out(plain: httpx.AsyncClient) -> None:
    commands = [
        {"publish": {"channel": ROOM, "data": 1}},
        {"publish": {"channel": 7, "data": 1}},
        {"publish": {"channel": "", "data": 1}},
        {"publish": {"channel": ROOM}},
        {"publish": {"channel": ROOM, "data": 1, "tags": {"a": "b"}}},
        {"publish": {"channel": "nowhere:1", "data": 1}},
        {"publish": {"channel": ROOM, "b64data": "no base64"}},
        {"publish": {"channel": ROOM, "b64data": "/w=="}},
        {"publish": {"channel": ROOM, "data": "x" * 65_536}},
        {"broadcast": {"channels": [], "data": 1}},
        {"dance": {}},
        {"history_remove": {"channel": OPEN}},
        {"history": {"channel": ROOM, "since": {"offset": 1, "epoch": "old"}}},
        {"publish": {"channel": ROOM, "b64data": "Mg==", "tags": {}, "version": 0, "new": 1}},
    ]
    answer = await plain.post("/batch", json={"commands": commands, "parallel": True})
    assert answer.status_code == 200, answer.text
    replies = answer.json()["replies"]
    assert [each.get("error", {}).get("code") for each in replies] == [
        *(None, 107, 107, 107, 108, 102, 107, 107, 106, 107, 107, 108, 112, None),
    ]
    assert (replies[0]["publish"]["offset"], replies[-1]["publish"]["offset"]) == (1, 2)


async def test_who_is_there_is_told_and_counted(durable: Sockets, api: AsyncClient) -> None:
    async with following(durable, "ada", ROOM), following(durable, "ada", ROOM, OPEN):
        present = await api.presence(PresenceRequest(channel=ROOM))
        stats = await api.presence_stats(PresenceStatsRequest(channel=ROOM))
        channels = (await api.channels(ChannelsRequest())).channels
        some = (await api.channels(ChannelsRequest(pattern="op*"))).channels
        node = (await api.info(InfoRequest())).nodes[0]
    assert len(present.presence) == stats.num_clients == 2
    assert len({each.user for each in present.presence.values()}) == stats.num_users == 1
    assert {name: each.num_clients for name, each in channels.items()} == {ROOM: 2, OPEN: 1}
    assert list(some) == [OPEN]
    assert (node.uid, node.num_clients, node.num_subs) == (durable.hub.node, 2, 3)
    with pytest.raises(CentApiResponseError) as wrong:
        await api.presence(PresenceRequest(channel=OPEN))
    assert wrong.value.code == 108


async def test_a_history_is_removed_and_who_comes_back_knows_that_something_is_missing(
    durable: Sockets, api: AsyncClient
) -> None:
    first = await api.publish(PublishRequest(channel=ROOM, data=1))
    await api.publish(PublishRequest(channel=ROOM, data=2))
    await api.history_remove(HistoryRemoveRequest(channel=ROOM))
    assert (await api.history(HistoryRequest(channel=ROOM, limit=-1))).publications == []
    async with rude(durable.host, durable.port, "ada") as ada:
        since = {"offset": first.offset, "epoch": first.epoch, "recover": True}
        ada.say({"id": 2, "subscribe": {"channel": ROOM, **since}})
        answer = (await ada.heard())["subscribe"]
    assert not answer.get("recovered")
    assert answer["offset"] == 2


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-API-Key": SERVER}, 200),
        ({"Authorization": f"apikey {SERVER}"}, 200),
        ({"Authorization": f"Bearer {SERVER}"}, 200),
        ({"X-API-Key": "wrong"}, 401),
        ({"Authorization": "apikey wrong"}, 401),
        ({"X-API-Key": "ada"}, 401),
        ({"Authorization": "Bearer ada"}, 403),
        ({}, 401),
    ],
)
async def test_it_takes_a_server_key_in_each_of_its_headers_and_nothing_else(
    durable: Sockets, headers: dict[str, str], status: int
) -> None:
    async with httpx.AsyncClient(base_url=url(durable), headers=headers) as client:
        answer = await client.post("/info", json={})
    assert answer.status_code == status, answer.text


async def test_the_client_says_that_a_key_is_wrong(durable: Sockets) -> None:
    async with AsyncClient(url(durable), "wrong") as client:
        with pytest.raises(CentUnauthorizedError):
            await client.info(InfoRequest())


async def test_many_messages_are_published_by_one_call_beside_v1(durable: Sockets) -> None:
    items = [
        {"channel": ROOM, "data": 1},
        {"channel": OPEN, "data": 2},
        {"channel": "user:ada", "data": 3},
        {"channel": ROOM, "data": 4, "idempotency_key": "a"},
        {"channel": ROOM, "data": 5, "idempotency_key": "a"},
        {"channel": ROOM, "dada": 6},
        {"channel": OTHER, "data": "x" * 65_536},
        {"channel": ROOM, "data": 7},
    ]
    async with (
        following(durable, "ada", ROOM, OPEN) as ada,
        httpx.AsyncClient(headers={"Authorization": f"Bearer {SERVER}"}) as client,
    ):
        answer = await client.post(
            url(durable).replace("/api", "/v1/publications"), json={"publications": items}
        )
        assert answer.status_code == 200, answer.text
        heard = await data(ada, 4)
    results = answer.json()["results"]
    assert [each["status"] == "published" for each in results] == [
        *(True, True, False, True, True, False, False, True),
    ]
    assert [each.get("offset") for each in results] == [1, None, None, 2, 2, None, None, 3]
    assert [each["problem"]["code"] for each in results if "problem" in each] == [
        *("unknown_channel", "invalid", "message_too_large"),
    ]
    assert [value for channel, value in heard if channel == ROOM] == [1, 4, 7]
    assert (OPEN, 2) in heard


async def test_thousands_at_once_reach_everybody_once_and_in_order(
    durable: Sockets, api: AsyncClient
) -> None:
    names = [f"open:{number}" for number in range(50)]
    async with following(durable, "ada", *names) as ada:
        batches = [
            BatchRequest(
                requests=[BroadcastRequest(channels=names, data=[batch, n]) for n in range(10)]
            )
            for batch in range(4)
        ]
        await asyncio.gather(*map(api.batch, batches))
        heard = await data(ada, 2000)
    for name in names:
        mine = [tuple(value) for channel, value in heard if channel == name]
        assert len(mine) == 40
        for batch in range(4):
            assert [n for number, n in mine if number == batch] == list(range(10))
