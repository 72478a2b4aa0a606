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
    Disconnect,
    DisconnectRequest,
    HistoryRemoveRequest,
    HistoryRequest,
    InfoRequest,
    PresenceRequest,
    PresenceStatsRequest,
    PublishRequest,
    RefreshRequest,
    SubscribeRequest,
    UnsubscribeRequest,
)

from support.clients import http_client
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
    async with http_client(url(durable), headers={"X-API-Key": SERVER}) as client:
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
    async with http_client(url(durable), headers=headers) as client:
        answer = await client.post("/info", json={})
    assert answer.status_code == status, answer.text


async def test_the_client_says_that_a_key_is_wrong(durable: Sockets) -> None:
    async with AsyncClient(url(durable), "wrong") as client:
        with pytest.raises(CentUnauthorizedError):
            await client.info(InfoRequest())


async def test_a_user_is_put_into_a_channel_and_taken_out_again(
    durable: Sockets, api: AsyncClient
) -> None:
    async with following(durable, "ada") as ada, following(durable, "ben") as ben:
        await api.publish(PublishRequest(channel=ROOM, data=1))
        await api.subscribe(
            SubscribeRequest(user="ada", channel=ROOM, info={"role": "host"}, data="welcome")
        )
        told = (await pushed(ada, "subscribe"))["subscribe"]
        assert (told["data"], told["offset"], told["recoverable"]) == ("welcome", 1, True)
        present = (await api.presence(PresenceRequest(channel=ROOM))).presence
        assert [each.chan_info for each in present.values()] == [{"role": "host"}]
        await api.publish(PublishRequest(channel=ROOM, data=2))
        assert await data(ada, 1) == [(ROOM, 2)]
        await api.unsubscribe(UnsubscribeRequest(user="ada", channel=ROOM))
        assert (await pushed(ada, "unsubscribe"))["unsubscribe"]["code"] == 2000
        await api.publish(PublishRequest(channel=ROOM, data=3))
        for client in (ada, ben):
            client.say({"id": 7, "ping": {}})
            assert (await client.heard())["id"] == 7  # nothing else came before
    assert (await api.presence(PresenceRequest(channel=ROOM))).presence == {}


async def test_only_the_connection_that_is_named_is_meant(
    durable: Sockets, api: AsyncClient
) -> None:
    async with (
        rude(durable.host, durable.port) as one,
        rude(durable.host, durable.port) as other,
    ):
        first = (await one.connect("ada"))["client"]
        second = (await other.connect("ada"))["client"]
        await api.disconnect(
            DisconnectRequest(
                user="ada", client=first, disconnect=Disconnect(code=4321, reason="moved")
            )
        )
        assert await one.closed() == 4321
        await api.disconnect(DisconnectRequest(user="ada", whitelist=[second]))
        await api.disconnect(DisconnectRequest(user="ben"))
        await api.disconnect(DisconnectRequest(user="nobody that there is"))
        other.say({"id": 7, "ping": {}})
        assert (await other.heard())["id"] == 7
        await api.disconnect(DisconnectRequest(user="ada"))
        assert await other.closed() == 3503


async def test_the_code_without_advice_ends_the_connection_without_a_word(
    durable: Sockets, api: AsyncClient
) -> None:
    async with rude(durable.host, durable.port) as ada:
        await ada.connect("ada")
        told = Disconnect(code=3000, reason="nobody reads this")
        await api.disconnect(DisconnectRequest(user="ada", disconnect=told))
        assert await ada.reader.read() == b""


@pytest.mark.parametrize("code", [1000, 1006, 2999, 5000])
async def test_a_code_that_no_close_frame_may_have_is_refused(
    durable: Sockets, api: AsyncClient, code: int
) -> None:
    for told in (Disconnect(code=code), Disconnect(code=4000, reason="\N{HOT BEVERAGE}" * 42)):
        with pytest.raises(CentApiResponseError) as wrong:
            await api.disconnect(DisconnectRequest(user="ada", disconnect=told))
        assert wrong.value.code == 107
    async with http_client(headers={"Authorization": f"Bearer {SERVER}"}) as client:
        answer = await client.post(
            url(durable).replace("/api", "/v1/users/ada/disconnect"), json={"code": code}
        )
    assert answer.status_code == 422, answer.text


async def test_a_user_may_stay_longer_or_has_to_come_back(
    durable: Sockets, api: AsyncClient
) -> None:
    async with following(durable, "ada") as ada:
        await api.refresh(RefreshRequest(user="ada", expire_at=2**31))
        told = (await pushed(ada, "refresh"))["refresh"]
        assert told["expires"]
        assert told["ttl"] > 60
        await api.refresh(RefreshRequest(user="ada"))
        assert "ttl" not in (await pushed(ada, "refresh"))["refresh"]
        await api.refresh(RefreshRequest(user="ada", expired=True))
        assert await ada.closed() == 3005


async def test_beside_v1_a_user_is_taken_out_of_a_channel_refreshed_and_disconnected(
    durable: Sockets,
) -> None:
    async with (
        following(durable, "ada", OPEN) as ada,
        http_client(
            url(durable).replace("/api", "/v1/users/ada"),
            headers={"Authorization": f"Bearer {SERVER}"},
        ) as client,
    ):
        left = await client.post("/unsubscribe", json={"channel": OPEN, "code": 2500})
        assert left.json() == {"sockets": 1}
        assert (await pushed(ada, "unsubscribe"))["unsubscribe"]["code"] == 2500
        again = await client.post("/unsubscribe", json={"channel": OPEN})
        assert again.json() == {"sockets": 0}
        assert (await client.post("/unsubscribe", json={"channel": "user:ada"})).status_code == 404
        later = await client.post("/refresh", json={"expires_at": "2100-01-01T00:00:00Z"})
        assert later.json() == {"sockets": 1}
        assert (await pushed(ada, "refresh"))["refresh"]["expires"]
        closed = await client.post("/disconnect", json={"code": 4500, "reason": "bye"})
        assert closed.json() == {"sockets": 1}
        assert await ada.closed() == 4500


async def test_many_messages_are_published_by_one_call_beside_v1(durable: Sockets) -> None:
    items = [
        {"channel": ROOM, "data": 1},
        {"channel": OPEN, "data": 2},
        {"channel": "user:ada", "data": 3},
        {"channel": ROOM, "data": 4, "idempotency_key": "a"},
        {"channel": ROOM, "data": 5, "idempotency_key": "a"},
        {"channel": ROOM, "data": 6, "dada": 6},
        {"channel": OTHER, "data": "x" * 65_536},
        {"channel": ROOM, "data": 7},
    ]
    async with (
        following(durable, "ada", ROOM, OPEN) as ada,
        http_client(headers={"Authorization": f"Bearer {SERVER}"}) as client,
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


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"[" * 3_000 + b"]" * 3_000, "too_deep"),
        (b'"\\ud83d"', "nul_character"),
        (b'{"a":"\xed\xa0\x80"}', "malformed_json"),
    ],
)
async def test_what_no_decoder_reads_is_refused_and_never_published_in_part(
    durable: Sockets, said: bytes, code: str
) -> None:
    body = b'{"publications":[{"channel":"room:tea","data":1},{"channel":"room:tea","data":%s}]}'
    headers = {"Authorization": f"Bearer {SERVER}", "content-type": "application/json"}
    async with http_client(headers=headers) as client:
        answer = await client.post(
            url(durable).replace("/api", "/v1/publications"), content=body % said
        )
    assert answer.status_code == 200, answer.text
    codes = [each.get("problem", {}).get("code") for each in answer.json()["results"]]
    assert codes == [None, code]
