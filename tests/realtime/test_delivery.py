"""Publications on their way to sockets: in order, each once, and past those who do not read."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from nova.ports.channels import Position, Publication, Retention
from nova.web.realtime.socket_limits import Limits
from support.http import People
from support.memory import MemoryChannels
from support.sockets import ROOM, Sockets, make_hub, sockets
from support.waiting import until
from support.wire_client import Rude, handshake, rude

pytest_plugins = ["support.socket_fixtures"]


def pub(offset: int, data: object = None) -> Publication:
    return Publication("room:one", offset, json.dumps(data or offset).encode())


async def follow(client: Rude, channel: str = "room:one", **more: Any) -> Any:
    client.say({"id": 9, "subscribe": {"channel": channel, **more}})
    answer = await client.heard()
    assert answer["id"] == 9, answer
    return answer


async def data(client: Rude) -> Any:
    heard = await client.heard()
    while "pub" not in heard.get("push", {}):
        heard = await client.heard()
    return heard["push"]["pub"]["data"]


async def test_out_of_order_in_and_in_order_out_each_once(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        for offsets in ([2], [4, 3], [1, 1], [2, 5], [7, 6]):
            server.hub.deliver([pub(offset) for offset in offsets])
        assert [await data(ada) for _ in range(7)] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_gap_that_stays_is_read_from_the_history(server: Sockets) -> None:
    channels = server.hub.channels
    assert isinstance(channels, MemoryChannels)
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        tell, channels.published = channels.published, lambda _publications: None
        for number in (1, 2, 3):
            await channels.publish("room:one", b"%d" % number)
        channels.published = tell
        await channels.publish("room:one", b"4")
        assert [await data(ada) for _ in range(4)] == [1, 2, 3, 4]


async def test_a_gap_that_the_history_lost_sends_clients_to_recover(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        server.hub.deliver([pub(500)])
        assert await ada.closed() == 3010


async def test_a_channel_that_was_forgotten_and_begins_anew_goes_on(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        server.hub.deliver([pub(1), pub(2), pub(3)])
        anew = [msgspec.structs.replace(pub(n, f"new {n}"), epoch="another") for n in (2, 1, 3)]
        server.hub.deliver(anew)
        heard = [await data(ada) for _ in range(6)]
        assert heard == [1, 2, 3, "new 1", "new 2", "new 3"]


class Slow(MemoryChannels):
    """History that answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()
        self.asked = asyncio.Event()

    async def position(self, channel: str) -> Position:
        position = await super().position(channel)
        self.asked.set()
        await self.go.wait()
        return position

    async def recover(
        self, channel: str, since: Position, retention: Retention, limit: int
    ) -> tuple[Position, Sequence[Publication] | None]:
        found = await super().recover(channel, since, retention, limit)
        self.asked.set()
        await self.go.wait()
        return found


@pytest.mark.parametrize("recover", [False, True])
async def test_what_is_published_while_subscribing_comes_once_and_after_the_answer(
    opened: Any, recover: bool
) -> None:
    slow = Slow()
    slow.go.set()
    people = People("ada")

    hub = make_hub(slow, people, namespaces=[ROOM])
    slow.published = hub.deliver
    await slow.publish("room:one", b"1")
    async with sockets(hub, people) as server, rude(server.host, server.port, "ada") as ada:
        slow.go.clear()
        slow.asked.clear()
        since = {"recover": True, "epoch": "memory", "offset": 0} if recover else {}
        ada.say({"id": 9, "subscribe": {"channel": "room:one", **since}})
        await slow.asked.wait()
        await slow.publish("room:one", b"2")
        slow.go.set()
        answer = (await ada.heard())["subscribe"]
        missed = [each["data"] for each in answer.get("publications", [])]
        assert missed == ([1] if recover else [])
        await slow.publish("room:one", b"3")
        later = [await data(ada) for _ in range(3 - answer["offset"])]
        assert later == [2, 3][answer["offset"] - 1 :]


async def test_recovery_is_whole_or_refused(durable: Sockets) -> None:
    async with rude(durable.host, durable.port, "ada") as ada:
        start = (await follow(ada))["subscribe"]
        await durable.hub.publish("room:one", b"1")
        await durable.hub.publish("room:one", b"2")
        assert [await data(ada), await data(ada)] == [1, 2]
    async with rude(durable.host, durable.port, "ada") as ada:
        since = {"recover": True, "epoch": start["epoch"], "offset": start.get("offset", 0)}
        answer = (await follow(ada, **since))["subscribe"]
        assert answer["recovered"]
        assert [each["data"] for each in answer["publications"]] == [1, 2]
    for number in range(101):
        await durable.hub.publish("room:one", b"%d" % number)
    async with rude(durable.host, durable.port, "ada") as ada:
        answer = (await follow(ada, **since))["subscribe"]
        assert not answer.get("recovered")
        assert "publications" not in answer
    async with rude(durable.host, durable.port, "ada") as ada:
        assert (await follow(ada, **since, flag=2))["error"]["code"] == 112
    async with rude(durable.host, durable.port, "ada") as ada:
        since["epoch"] = "another"
        assert not (await follow(ada, **since))["subscribe"].get("recovered")


async def test_a_slow_reader_is_cut_off_and_delays_nobody(opened: Any) -> None:
    async with (
        opened(limits=Limits(queue_bytes=200_000)) as server,
        rude(server.host, server.port, "ada", receive_buffer=4096) as slow,
        rude(server.host, server.port, "ben") as quick,
    ):
        await follow(slow)
        await follow(quick)
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        number = 0
        while server.hub.disconnects[3008] == 0:
            number += 1
            assert number < 5000
            await server.hub.publish("room:one", json.dumps([number, "x" * 10_000]).encode())
            assert (await data(quick))[0] == number  # before the next one is published


async def test_bytes_keep_their_order_when_the_kernel_takes_only_some(opened: Any) -> None:
    async with (
        opened(limits=Limits(queue_bytes=64 << 20)) as server,
        rude(server.host, server.port, "ada", receive_buffer=4096) as ada,
    ):
        await follow(ada)
        expected = []
        for number in range(300):
            expected.append([number, "y" * (number * 97 % 30_000)])
            await server.hub.publish("room:one", json.dumps(expected[-1]).encode())
        assert [await data(ada) for _ in expected] == expected


async def test_line_ends_in_data_do_not_break_lines(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        await server.hub.publish("room:one", b'{\n "a":\r\n 1}')
        assert await data(ada) == {"a": 1}


async def test_joins_and_leaves_are_told(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        await ada.heard()  # her own join
        async with rude(server.host, server.port, "ben") as ben:
            await follow(ben)
            joined = (await ada.heard())["push"]["join"]["info"]
        left = (await ada.heard())["push"]["leave"]["info"]
        assert joined == left
        assert joined["user"] != ""


async def test_nothing_is_left_of_a_client_that_went(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        await ada.heard()  # her own join
        await follow(ada, "open:two")
        assert (server.hub.sessions, server.hub.followed) == (1, 2)
    await until(lambda: server.hub.sessions == 0)
    assert server.hub.followed == 0
    assert not server.hub.registry.users
    assert not any(server.hub.timers.wheel)


async def test_a_snapshot_of_offset_0_recovers_without_an_epoch(server: Sockets) -> None:
    await server.hub.publish("room:one", b"1")
    async with rude(server.host, server.port, "ada") as ada:
        answer = (await follow(ada, recover=True))["subscribe"]
        assert (answer["recovered"], answer["publications"][0]["data"]) == (True, 1)


async def test_whoever_fails_to_subscribe_neither_joins_nor_leaves(server: Sockets) -> None:
    async with (
        rude(server.host, server.port, "ada") as ada,
        rude(server.host, server.port, "ben") as ben,
    ):
        await follow(ada)
        await ada.heard()  # her own join
        failed = await follow(ben, recover=True, epoch="another", flag=2)
        assert failed["error"]["code"] == 112
        await server.hub.publish("room:one", b"1")
        assert (await ada.heard())["push"]["pub"]["data"] == 1


async def test_two_thousand_clients_come_back_at_once_and_miss_nothing(server: Sockets) -> None:
    many = 2000

    for number in range(3):
        await server.hub.publish("room:storm", b"%d" % number)
    gate = asyncio.Semaphore(200)  # descriptors, on machines that allow few

    async def one() -> list[int]:
        async with gate:
            client, _ = await handshake(server.host, server.port)
            try:
                await client.connect("ada")
                client.say({"id": 9, "subscribe": {"channel": "room:storm", "recover": True}})
                while "subscribe" not in (heard := await client.heard()):
                    pass
                return [each["data"] for each in heard["subscribe"]["publications"]]
            finally:
                client.writer.transport.abort()

    assert await asyncio.gather(*(one() for _ in range(many))) == [[0, 1, 2]] * many
    await until(lambda: server.hub.sessions == 0)


async def test_what_recovery_answered_is_not_pushed_again_when_the_lane_catches_up(
    server: Sockets,
) -> None:
    channels = server.hub.channels
    assert isinstance(channels, MemoryChannels)
    async with (
        rude(server.host, server.port, "ada") as ada,
        rude(server.host, server.port, "ben") as ben,
    ):
        await follow(ada)
        tell, channels.published = channels.published, lambda _publications: None
        await channels.publish("room:one", b"1")
        channels.published = tell
        answer = (await follow(ben, recover=True))["subscribe"]
        assert [each["data"] for each in answer["publications"]] == [1]
        server.hub.deliver([pub(1)])
        await channels.publish("room:one", b"2")
        assert [await data(ada), await data(ada)] == [1, 2]
        assert await data(ben) == 2
