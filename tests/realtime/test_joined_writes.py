"""Frames of one turn of the loop: joined into one write, in order, and all before a close."""

import asyncio
import json
from typing import Any

from nova.ports.channels import Publication
from nova.web.joined_writes import JoinedWrites
from nova.web.realtime.codes import FORCE_RECONNECT as FORCED
from support.sockets import Sockets
from support.wire_client import Rude, rude

pytest_plugins = ["support.socket_fixtures"]
MANY = 300


class Gathering:
    """A connection that notes in which turn it was flushed."""

    def __init__(self, writes: JoinedWrites) -> None:
        self.flushed: list[int] = []
        self._writes = writes

    def flush(self) -> None:
        self.flushed.append(self._writes.turn)


async def data(client: Rude) -> Any:
    """Return what the next publication holds."""
    while "pub" not in (heard := (await client.heard())).get("push", {}):
        pass
    return heard["push"]["pub"]["data"]


async def after_a_lone_frame(server: Sockets, client: Rude) -> Any:
    """Return the only client's transport, with a turn behind it in which it sent one frame."""
    [session] = server.hub.registry.sessions.values()
    server.hub.deliver([Publication("room:one", 1, b"1")])
    assert await data(client) == 1
    return session._transport


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_what_is_gathered_is_flushed_at_the_end_of_its_turn() -> None:
    writes = JoinedWrites()
    one, other = Gathering(writes), Gathering(writes)
    writes.begin()
    writes.add(one)
    writes.add(other)
    assert not one.flushed
    await turns(2)
    assert (one.flushed, other.flushed) == ([1], [1])
    writes.add(one)  # in a turn in which nothing was written before
    await turns(2)
    assert (one.flushed, other.flushed) == ([1, 2], [1])
    assert writes.turn == 2


async def test_frames_of_one_turn_arrive_in_order_and_before_the_close(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.say({"id": 9, "subscribe": {"channel": "room:one"}})
        await ada.heard()
        for number in range(1, MANY + 1):
            text = json.dumps({"number": number, "padding": "x" * (number % 7) * 300}).encode()
            server.hub.deliver([Publication("room:one", number, text)])
        [session] = server.hub.registry.sessions.values()
        session.close(FORCED)
        heard = [(await data(ada))["number"] for _ in range(MANY)]
        assert heard == list(range(1, MANY + 1))
        assert await ada.closed() == FORCED.code


async def test_a_turn_of_one_socket_leaves_in_few_pieces(server: Sockets) -> None:
    """The first frame leaves at once, and the others follow together."""
    async with rude(server.host, server.port, "ada") as ada:
        ada.say({"id": 9, "subscribe": {"channel": "room:one"}})
        await ada.heard()
        transport = await after_a_lone_frame(server, ada)
        server.hub.deliver([Publication("room:one", n, b"%d" % n) for n in range(2, 52)])
        assert len(transport._gathered) == 49
        heard = [await data(ada) for _ in range(50)]
        assert heard == list(range(2, 52))
        assert transport._gathered is None


async def test_after_a_turn_of_two_frames_the_first_one_waits_for_the_second(
    server: Sockets,
) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.say({"id": 9, "subscribe": {"channel": "room:one"}})
        await ada.heard()
        transport = await after_a_lone_frame(server, ada)
        number = 1
        waiting = []
        for frames in (2, 2, 1, 1):
            numbers = range(number + 1, number + 1 + frames)
            server.hub.deliver([Publication("room:one", n, b"%d" % n) for n in numbers])
            waiting.append(len(transport._gathered or []))
            assert [await data(ada) for _ in numbers] == [*numbers]
            number += frames
        assert waiting == [1, 2, 1, 0]  # a lone one waits once, and then no more
