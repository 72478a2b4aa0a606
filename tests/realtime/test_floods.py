"""A flood on one socket, or on many, keeps nobody else waiting."""

import asyncio
import gc
import socket
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import pytest

from nova.web.connections import SLICE, GuardedProtocol
from nova.web.event_loop_budget import PER_TURN
from nova.web.realtime.session import MOST_FIRST, TURN
from nova.web.realtime.socket_limits import Limits
from nova.web.realtime.websocket import EMPTY_BEFORE, EMPTY_BURST, SocketProtocol
from support.clients import http_client
from support.http import People
from support.memory import MemoryChannels
from support.sockets import OPEN, ROOM, Sockets, make_hub, sockets
from support.waiting import SOON_S, until
from support.wire_client import PING, PONG, TEXT, Rude, frame, handshake, rude

pytest_plugins = ["support.socket_fixtures"]

CONNECTIONS = (GuardedProtocol, SocketProtocol)
SOFT = 8
"""How many times the budget of a turn one turn may take: a piece of work is never cut in two."""
CONTINUED = 0x0
FLOODS: dict[str, bytes] = {
    "pings": frame(PING, b"") * 40_000,
    "pongs": frame(PONG, b"") * 40_000,
    "empty texts": frame(TEXT, b"") * 40_000,
    "answers to no ping": frame(TEXT, b"{}") * 40_000,
    "blanks": frame(TEXT, b" \n") * 40_000,
    "many answers in one": frame(TEXT, b"{}\n" * 20) * 10_000,
    "empty fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUED, b"") * 1) * 20_000,
    "small fragments": (frame(TEXT, b" ", fin=False) + frame(CONTINUED, b" ")) * 20_000,
}


@pytest.fixture
async def server() -> AsyncIterator[Sockets]:
    people, channels = People("ada", "ben"), MemoryChannels()
    hub = make_hub(channels, people, namespaces=[ROOM, OPEN])
    channels.published = hub.deliver
    async with sockets(hub, people) as running:
        yield running


@contextmanager
def pouring(client: Rude, flood: bytes) -> Iterator[None]:
    """Write a flood again and again, as fast as it is taken."""

    async def pour() -> None:
        while not client.writer.is_closing():
            client.write(flood)
            await client.writer.drain()

    task = asyncio.create_task(pour())
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_before_connect_is_closed_after_a_few_frames(
    server: Sockets, what: str
) -> None:
    async with rude(server.host, server.port) as stranger:
        before = server.hub.loop_budget.total
        with pouring(stranger, FLOODS[what]):
            assert await stranger.closed() == 3013
            # Of tens of thousands of frames, no more were parsed than the bound and one slice.
            assert server.hub.loop_budget.total - before < EMPTY_BEFORE + 300


@pytest.mark.parametrize("what", FLOODS)
async def test_a_flood_after_connect_is_read_in_shares_then_closed(
    server: Sockets, what: str
) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        server.hub.loop_budget.most = 0
        with pouring(ada, FLOODS[what]):
            async with rude(server.host, server.port, "ben") as ben:
                ben.say({"id": 2, "ping": {}})
                assert await ben.heard() == {"id": 2, "ping": {}}
            assert await ada.closed() == 3013
    assert server.hub.loop_budget.most < SOFT * PER_TURN


async def test_others_are_answered_between_two_shares_of_a_flood_of_commands(
    server: Sockets,
) -> None:
    """Of 30 sockets with 2,000 commands each, all arrived; one more socket sends one command."""
    many, ping = 2_000, frame(TEXT, b'{"id":7,"ping":{}}')
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        crowd = [await enter(rude(server.host, server.port, "ada")) for _ in range(30)]
        ben = await enter(rude(server.host, server.port, "ben"))
        budget = server.hub.loop_budget
        await until(lambda: budget.idle)
        budget.most, before = 0, budget.total
        for client in crowd:
            client.write(ping * many)
        await until(lambda: not budget.idle)
        ben.say({"id": 2, "ping": {}})
        assert await ben.heard() == {"id": 2, "ping": {}}
        # A frame and its command are two units and more: most of the crowd's are yet to come.
        assert budget.total - before < 30 * many
        assert budget.most < SOFT * PER_TURN
        for client in crowd:
            for _ in range(many):
                assert await client.heard() == {"id": 7, "ping": {}}


@pytest.mark.parametrize("size", [1_000, 2_400])
async def test_a_frame_of_many_commands_is_answered_in_order(server: Sockets, size: int) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.say(*({"id": number, "ping": {}} for number in range(1, size + 1)))
        assert [(await ada.heard())["id"] for _ in range(size)] == [*range(1, size + 1)]


async def test_a_frame_of_many_commands_takes_many_turns(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        turns = server.hub.loop_budget.turns
        ada.say(*({"id": number, "ping": {}} for number in range(1, 1_001)))
        for _ in range(1_000):
            await ada.heard()
    assert server.hub.loop_budget.turns - turns >= 1_000 // TURN


async def test_a_frame_of_more_commands_than_anybody_sends_is_refused(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.write(frame(TEXT, b"{}\n" * 5_000))
        assert await ada.closed() == 3501


async def test_pings_that_come_together_are_answered_by_the_last(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.write(*(frame(PING, b"%d" % number) for number in range(60)))
        payloads: list[bytes] = []
        while not payloads or payloads[-1] != b"59":
            got = await ada.frame()
            assert got.opcode == PONG
            payloads.append(got.payload)
        assert len(payloads) < 60
        ada.say({"id": 2, "ping": {}})
        assert await ada.heard() == {"id": 2, "ping": {}}


async def test_a_burst_that_is_allowed_costs_nothing(server: Sockets) -> None:
    async with rude(server.host, server.port, "ada") as ada:
        ada.write(frame(TEXT, b"{}") * (EMPTY_BURST - 1))
        ada.say({"id": 2, "ping": {}})
        assert await ada.heard() == {"id": 2, "ping": {}}


async def test_a_large_first_message_connects(server: Sockets) -> None:
    """SDKs send `connect` and all their subscriptions in one message."""
    subscribing = [{"id": n, "subscribe": {"channel": f"open:{n:0240}"}} for n in range(2, 100)]
    async with rude(server.host, server.port) as ada:
        ada.say({"id": 1, "connect": {"token": "ada"}}, *subscribing)
        assert "connect" in await ada.heard()
        for number in range(2, 100):
            assert "subscribe" in await ada.heard(), number


async def test_commands_before_a_close_are_answered_in_order(server: Sockets) -> None:
    """However the bytes are cut on the way in."""
    async with rude(server.host, server.port, "ada") as ada:
        good = b"".join(frame(TEXT, b'{"id":%d,"ping":{}}' % n) for n in range(1, 301))
        ada.write(good, frame(TEXT, b"not JSON"))
        assert [(await ada.heard())["id"] for _ in range(300)] == [*range(1, 301)]
        assert await ada.closed() == 3501


def http(server: Sockets) -> str:
    return f"http://{server.host}:{server.port}"


def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


CHUNKED = b"POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUEST = b"GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
HTTP_FLOODS = {"chunks": (CHUNKED, b"1\r\na\r\n" * 50_000), "pipelined": (b"", REQUEST * 5_000)}


@pytest.mark.parametrize("what", HTTP_FLOODS)
async def test_a_flood_over_http_is_worked_off_in_shares(server: Sockets, what: str) -> None:
    first, flood = HTTP_FLOODS[what]
    async with AsyncExitStack() as stack:
        budget = server.hub.loop_budget
        budget.most = 0
        for _ in range(10):
            reader, writer = await asyncio.open_connection(server.host, server.port)
            stack.callback(hang_up, writer)
            writer.write(first + flood)
            stack.callback(asyncio.create_task(reader.read()).cancel)
        await until(lambda: budget.most)
        before, slices = budget.total, 10 * len(flood) // SLICE
        async with http_client(http(server)) as client:
            assert (await client.get("/emulation")).status_code == 405
        assert budget.total - before < slices
        assert budget.most < SOFT * PER_TURN


async def test_all_pipelined_requests_are_answered_in_order(server: Sockets) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    asked = [b"GET /nowhere/%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(500)]
    last = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    writer.write(b"".join(asked) + last)
    said = await asyncio.wait_for(reader.read(), SOON_S)
    writer.close()
    assert said.count(b"HTTP/1.1 404 ") == 501


async def test_an_address_may_have_so_many_sockets(opened: Any) -> None:
    async with opened(limits=Limits(per_address=2)) as server, AsyncExitStack() as stack:
        enter = stack.enter_async_context
        first = await enter(rude(server.host, server.port, "ada"))
        await enter(rude(server.host, server.port))
        client, line = await handshake(server.host, server.port)
        assert "429" in line
        said = await client.gone()
        assert b"too_many_sockets" in said
        client.writer.transport.abort()
        connect = '{"id":1,"connect":{"token":"ada"}}'
        async with http_client(http(server)) as ben:
            for answer in (
                await ben.get("/connection/sse", params={"cf_connect": connect}),
                await ben.post("/connection/http_stream", content=connect),
            ):
                assert answer.status_code == 429
                assert answer.headers["retry-after"]
        assert server.hub.refused["address"] == 3
        first.writer.transport.abort()
        await until(lambda: server.hub.sessions == 1)
        await enter(rude(server.host, server.port, "ada"))


async def test_a_user_may_have_so_many_sockets(opened: Any) -> None:
    async with opened(limits=Limits(per_user=2)) as server, AsyncExitStack() as stack:
        enter = stack.enter_async_context
        first, _ = [await enter(rude(server.host, server.port, "ada")) for _ in range(2)]
        third = await enter(rude(server.host, server.port))
        third.say({"id": 1, "connect": {"token": "ada"}})
        assert await third.closed() == 3504
        await enter(rude(server.host, server.port, "ben"))
        assert server.hub.refused == {"user": 1}
        first.writer.transport.abort()
        await until(lambda: server.hub.sessions == 2)
        await enter(rude(server.host, server.port, "ada"))


async def test_pipelined_requests_wait_unread_until_those_before_are_answered(
    server: Sockets,
) -> None:
    """Of 5,000 requests, no more are held than one slice of bytes has."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        writer.write(REQUEST * 5_000)
        for _ in range(20):
            for _ in range(20):
                await asyncio.wait_for(reader.readuntil(b"}"), SOON_S)
            # By type: other tests' weak proxies may be of objects that are gone.
            found = [each for each in gc.get_objects() if type(each) is GuardedProtocol]
            assert found
            assert max(len(each.pipeline) for each in found) <= SLICE // len(REQUEST) + 1
    finally:
        writer.transport.abort()


STREAMING = (
    b"POST /connection/http_stream HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % 37
    + b'{"id": 1, "connect": {"token":"ada"}}'
)


@pytest.mark.parametrize("after", [b"", REQUEST, b"no HTTP\r\n\r\n"])
async def test_a_stream_that_is_reset_ends_without_a_traceback(
    server: Sockets, after: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(STREAMING)
    await asyncio.wait_for(reader.readuntil(b"connect"), SOON_S)
    sessions = server.hub.sessions
    writer.write(after)
    await writer.drain()
    await server.hub.publish("open:news", b"{}")
    writer.transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()
    await until(lambda: server.hub.sessions < sessions)
    assert not [each for each in caplog.records if each.exc_info]


async def test_frames_that_come_with_the_upgrade_are_answered(server: Sockets) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    upgrade = (
        b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n\r\n"
    )
    connect = frame(TEXT, b'{"id": 1, "connect": {"token": "ada"}}')
    pings = b"".join(frame(TEXT, b'{"id":%d,"ping":{}}' % n) for n in range(2, 200))
    writer.write(upgrade + connect + pings)
    assert b"101" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_S)
    ada = Rude(reader, writer)
    assert "connect" in await ada.heard()
    assert [(await ada.heard())["id"] for _ in range(2, 200)] == [*range(2, 200)]
    writer.transport.abort()


async def test_a_large_frame_before_connect_has_to_begin_with_it(server: Sockets) -> None:
    padding = {"id": 2, "rpc": {"method": "x", "data": "x" * MOST_FIRST}}
    async with rude(server.host, server.port) as stranger:
        stranger.write(frame(TEXT, b"{}\n" * (MOST_FIRST // 2)))
        assert await stranger.closed() == 3501
    async with rude(server.host, server.port) as ada:
        ada.say({"id": 1, "connect": {"token": "ada"}}, padding)
        assert "connect" in await ada.heard()
        assert (await ada.heard())["id"] == 2


async def test_closed_connections_leave_nothing_for_the_collector(server: Sockets) -> None:
    """A flood of connections would make it halt everybody for a tenth of a second each time."""
    upgrade = b"GET /connection/websocket HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for _ in range(3):  # what is made once is made
        await once(server, upgrade)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await once(server, upgrade)
            async with rude(server.host, server.port, "ada"):
                pass
        await until(lambda: not server.hub.sessions)
        left = [each for each in gc.get_objects() if isinstance(each, CONNECTIONS)]
        assert len(left) < 20
    finally:
        gc.enable()


async def once(server: Sockets, request: bytes) -> None:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request)
    await asyncio.wait_for(reader.read(), SOON_S)
    writer.close()
    await writer.wait_closed()
