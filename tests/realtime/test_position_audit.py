"""What was stored and did not arrive here is found by its position."""

import json
from typing import Any

from nova.ports.channels import Position, Publication
from nova.web.realtime.position_audit import PositionAudit
from support.memory import MemoryChannels
from support.sockets import Sockets
from support.wire_client import Rude, rude

pytest_plugins = ["support.socket_fixtures"]


class Beside:
    """Whether there are other processes."""

    def __init__(self, *, others: bool = True) -> None:
        self.others = others


def audit_of(server: Sockets, *, others: bool = True) -> tuple[PositionAudit, MemoryChannels]:
    channels = server.hub.channels
    assert isinstance(channels, MemoryChannels)
    return PositionAudit(server.hub.lanes, channels, Beside(others=others)), channels


def deaf(channels: MemoryChannels) -> None:
    """Have what is published from now on arrive nowhere."""
    channels.published = lambda _publications: None


async def store(channels: MemoryChannels, *numbers: int, channel: str = "room:one") -> None:
    for number in numbers:
        await channels.publish(channel, json.dumps(number).encode())


async def follow(client: Rude, channel: str = "room:one") -> None:
    client.say({"id": 9, "subscribe": {"channel": channel}})
    while (await client.heard()).get("id") != 9:
        pass


async def data(client: Rude) -> Any:
    while True:
        heard = await client.heard()
        if "pub" in heard.get("push", {}):
            return heard["push"]["pub"]["data"]


async def test_a_lost_last_message_is_found(server: Sockets) -> None:
    audit, channels = audit_of(server)
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        await store(channels, 1)
        deaf(channels)
        await store(channels, 2, 3)
        audit.check_all()
        await audit.turn()
        assert [await data(ada) for _ in range(3)] == [1, 2, 3]


async def test_rounds_find_it_without_being_asked_while_there_are_others(server: Sockets) -> None:
    audit, channels = audit_of(server)
    rooms = [f"room:{number}" for number in range(9)]
    async with rude(server.host, server.port, "ada") as ada:
        for room in rooms:
            await follow(ada, room)
        deaf(channels)
        for number, room in enumerate(rooms):
            await store(channels, number, channel=room)
        for _ in range(4):
            await audit.turn()
        assert sorted([await data(ada) for _ in rooms]) == list(range(9))


async def test_a_process_alone_looks_for_nothing(server: Sockets) -> None:
    audit, channels = audit_of(server, others=False)
    tell = channels.published
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        deaf(channels)
        await store(channels, 1)
        await audit.turn()
        channels.published = tell
        await store(channels, 2, channel="room:other")
        await follow(ada, "room:other")  # an answer: nothing came before it
        assert server.hub.lanes["room:one"].position == Position("memory", 0)


async def test_what_arrives_meanwhile_comes_once(server: Sockets) -> None:
    audit, channels = audit_of(server)
    tell = channels.published
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        deaf(channels)
        await store(channels, 1, 2)
        audit.check_all()
        await audit.turn()
        tell([Publication("room:one", offset, b"%d" % offset) for offset in (2, 1)])
        channels.published = tell
        await store(channels, 3)
        assert [await data(ada) for _ in range(3)] == [1, 2, 3]


async def test_a_channel_that_began_anew_unheard_is_followed_anew(server: Sockets) -> None:
    audit, channels = audit_of(server)
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        await store(channels, 1)
        assert await data(ada) == 1
        channels._kept.clear()
        channels._epoch = "another"
        deaf(channels)
        await store(channels, 7, 8)
        audit.check_all()
        await audit.turn()
        assert [await data(ada) for _ in range(2)] == [7, 8]


async def test_what_history_no_longer_has_sends_clients_to_recover(server: Sockets) -> None:
    audit, channels = audit_of(server)
    async with rude(server.host, server.port, "ada") as ada:
        await follow(ada)
        deaf(channels)
        await store(channels, *range(150))  # and 100 are kept
        audit.check_all()
        await audit.turn()
        assert await ada.closed() == 3010
