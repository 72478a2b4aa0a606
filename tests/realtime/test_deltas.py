"""Deltas, and data that is no JSON: what is made is what the SDKs' own decoders read."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import centrifuge
import pytest
from centrifuge.fossil import apply_delta
from hypothesis import given
from hypothesis import strategies as st

from nova.ports.channels import Publication
from nova.ports.database import Pool
from nova.web.realtime.deltas import delta
from nova.web.realtime.hub import Hub
from nova.web.realtime.namespaces import Namespace
from support.clients import http_client, sdk
from support.durable import durable_channels
from support.http import SERVER, People
from support.sockets import Sockets, make_hub, sockets
from support.waiting import SOON_S
from support.wire_client import rude

SCORES = Namespace(
    name="scores", publish=True, history_size=100, history_ttl_s=60, recovery=True, delta=True
)
BYTES = Namespace(
    name="bytes",
    publish=True,
    history_size=100,
    history_ttl_s=60,
    recovery=True,
    delta=True,
    binary=True,
)
PASSING = Namespace(name="passing", delta=True, binary=True)
PLAIN = Namespace(name="plain", publish=True)
NAMESPACES = [SCORES, BYTES, PASSING, PLAIN]
LONG = {"text": "Zoë says \N{HOT BEVERAGE} " * 40, "score": 0}


@pytest.fixture
async def server(pool: Pool) -> AsyncIterator[Sockets]:
    people = People("ada", "ben")
    hubs: list[Hub] = []

    def published(publications: Sequence[Publication]) -> None:
        hubs[0].deliver(publications)

    hubs.append(make_hub(durable_channels(pool, published), people, namespaces=NAMESPACES))
    async with sockets(hubs[0], people) as running:
        yield running


class Heard(centrifuge.SubscriptionEventHandler):  # type: ignore[misc]  # untyped library
    def __init__(self) -> None:
        self.data: asyncio.Queue[Any] = asyncio.Queue()

    async def on_publication(self, ctx: centrifuge.PublicationContext) -> None:
        self.data.put_nowait(ctx.pub.data)

    async def next(self, count: int) -> list[Any]:
        return [await asyncio.wait_for(self.data.get(), SOON_S) for _ in range(count)]


class Reader:
    """Somebody who follows a channel with the SDK."""

    def __init__(
        self, server: Sockets, channel: str, *, protobuf: bool = False, takes_deltas: bool = True
    ) -> None:
        self.heard = Heard()
        self.client = sdk(server.url, "ada", use_protobuf=protobuf)
        kind = centrifuge.DeltaType.FOSSIL if takes_deltas else None
        self.subscription = self.client.new_subscription(channel, self.heard, delta=kind)

    async def __aenter__(self) -> Self:
        await self.client.connect()
        await self.subscription.subscribe()
        await asyncio.wait_for(self.subscription.ready(), SOON_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()


async def publish(server: Sockets, channel: str, *messages: dict[str, Any]) -> None:
    async with http_client(headers={"Authorization": f"Bearer {SERVER}"}) as client:
        answer = await client.post(
            f"http://{server.host}:{server.port}/v1/publications",
            json={"publications": [{"channel": channel, **each} for each in messages]},
        )
    assert [each["status"] for each in answer.json()["results"]] == ["published"] * len(messages)


def scored(count: int) -> list[dict[str, Any]]:
    return [LONG | {"score": score} for score in range(count)]


texts = st.lists(
    st.sampled_from([*"ab☕é", "0123456789abcdef", "\N{HOT BEVERAGE}" * 9]), max_size=60
)


@given(one=texts, other=texts)
def test_a_delta_makes_the_target_and_is_cut_between_characters(
    one: list[str], other: list[str]
) -> None:
    source, target = "".join(one).encode(), "".join(one + other + one).encode()
    for start, end in ((source, target), (target, source), (source, source), (b"", target)):
        made = delta(start, end)
        if made is not None:
            assert bytes(apply_delta(list(start), list(made))) == end
            assert len(made) < len(end)
            made.decode()


@given(source=st.binary(max_size=300), target=st.binary(max_size=300))
def test_a_delta_of_any_bytes_makes_the_target(source: bytes, target: bytes) -> None:
    for start, end in ((source, source + target), (target + source, target), (source, target)):
        made = delta(start, end)
        assert made is None or bytes(apply_delta(list(start), list(made))) == end


def test_what_is_nearly_the_same_is_short_and_what_is_not_comes_whole() -> None:
    one, other = (json.dumps(each).encode() for each in scored(2))
    made = delta(one, other)
    assert made is not None
    assert len(made) < 40
    assert delta(b"x" * 100, b"y" * 100) is None
    assert delta(bytes(range(256)) * 4, bytes(range(255, -1, -1)) * 4) is None


@pytest.mark.parametrize("protobuf", [False, True])
@pytest.mark.parametrize("channel", ["scores:1", "bytes:1", "passing:1"])
async def test_who_asks_for_deltas_hears_the_same_as_everybody(
    server: Sockets, channel: str, protobuf: bool
) -> None:
    said = scored(4)
    async with (
        Reader(server, channel, protobuf=protobuf) as one,
        Reader(server, channel, protobuf=protobuf, takes_deltas=False) as other,
    ):
        await publish(server, channel, *({"data": each} for each in said))
        for reader in (one, other):
            heard = await reader.heard.next(len(said))
            assert [json.loads(each) if protobuf else each for each in heard] == said


async def test_deltas_are_what_travels_once_something_is_there(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as client:
        client.say({"id": 2, "subscribe": {"channel": "scores:1", "delta": "fossil"}})
        assert (await client.heard())["subscribe"]["delta"]
        await publish(server, "scores:1", *({"data": each} for each in scored(3)))
        pubs = [(await client.heard())["push"]["pub"] for _ in range(3)]
        client.say({"id": 3, "subscribe": {"channel": "plain:1", "delta": "fossil"}})
        assert "delta" not in (await client.heard())["subscribe"]
    assert [each.get("delta", False) for each in pubs] == [False, True, True]
    assert json.loads(pubs[0]["data"]) == LONG
    assert all(len(each["data"]) < 60 for each in pubs[1:])


@pytest.mark.parametrize("protobuf", [False, True])
async def test_who_comes_back_recovers_whole_and_goes_on_with_deltas(
    server: Sockets, protobuf: bool
) -> None:
    said = scored(5)
    async with Reader(server, "scores:1", protobuf=protobuf) as reader:
        await publish(server, "scores:1", {"data": said[0]})
        await reader.heard.next(1)
        await reader.client.disconnect()
        await publish(server, "scores:1", *({"data": each} for each in said[1:3]))
        await reader.client.connect()
        await publish(server, "scores:1", *({"data": each} for each in said[3:]))
        heard = await reader.heard.next(4)
    assert [json.loads(each) if protobuf else each for each in heard] == said[1:]


@pytest.mark.parametrize("channel", ["bytes:1", "passing:1"])
async def test_bytes_reach_protobuf_clients_as_they_are_and_others_in_base64(
    server: Sockets, channel: str
) -> None:
    raw = b"\xff\n\x00\x80 no JSON"
    messages: list[dict[str, Any]] = [{"b64data": b64encode(raw).decode()}, {"data": {"n": 1}}]
    async with (
        Reader(server, channel, protobuf=True, takes_deltas=False) as binary,
        Reader(server, channel, takes_deltas=False) as text,
        Reader(server, channel) as text_with_deltas,
    ):
        await publish(server, channel, *messages)
        assert await binary.heard.next(2) == [raw, b'{"n":1}']
        for reader in (text, text_with_deltas):
            assert await reader.heard.next(2) == [b64encode(raw).decode(), {"n": 1}]


async def test_clients_publish_bytes_where_the_namespace_takes_them(server: Sockets) -> None:
    raw = b"\x00\xfe"
    async with (
        Reader(server, "bytes:1", protobuf=True, takes_deltas=False) as ada,
        Reader(server, "plain:1", protobuf=True, takes_deltas=False) as ben,
    ):
        await ada.subscription.publish(raw)
        assert await ada.heard.next(1) == [raw]
        with pytest.raises(centrifuge.ReplyError):
            await ben.subscription.publish(raw)
        history = await ada.subscription.history(limit=10)
        assert [each.data for each in history.publications] == [raw]
    async with http_client(headers={"Authorization": f"Bearer {SERVER}"}) as client:
        kept = await client.get(f"http://{server.host}:{server.port}/v1/channels/bytes:1/history")
    assert [each["data"] for each in kept.json()["publications"]] == [b64encode(raw).decode()]


async def test_bytes_that_are_no_json_are_refused_elsewhere(server: Sockets) -> None:
    bad = [
        {"channel": "plain:1", "b64data": "/w=="},
        {"channel": "plain:1", "b64data": "no base64"},
        {"channel": "plain:1", "b64data": "MQ==", "data": 1},
        {"channel": "plain:1"},
        {"channel": "plain:1", "b64data": "MQ=="},
    ]
    async with http_client(headers={"Authorization": f"Bearer {SERVER}"}) as client:
        answer = await client.post(
            f"http://{server.host}:{server.port}/v1/publications", json={"publications": bad}
        )
    assert [each.get("problem", {}).get("code") for each in answer.json()["results"]] == [
        *("not_json", "not_base64", "one_of_two", "one_of_two", None),
    ]
