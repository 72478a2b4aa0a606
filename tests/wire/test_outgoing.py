"""POSTs to many servers, over HTTP/1.1."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.wire.addresses import Guard
from nova.wire.exchange import Lost, Unsent
from nova.wire.origin import Bounds
from nova.wire.outcomes import retry_after
from nova.wire.outgoing import Outgoing, trust
from support.waiting import until

HOME = Guard(also=["127.0.0.0/8"], plain=True)
JSON = ((b"content-type", b"application/json"),)


class Servers:
    """Three servers that echo, unless they are told otherwise by the path."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.all = [HttpServer(self.handle) for _ in range(3)]

    def handle(self, asked: Asked, _peer: Peer) -> Answer:
        self.asked.append(asked)
        match asked.path:
            case "/close":
                return Answer(200, body=b"bye", manner="goaway")
            case "/cut":
                return Answer(200, manner="cut")
            case "/slow":
                return Answer(200, after_s=0.2)
            case "/elsewhere":
                return Answer(302, (("location", "http://127.0.0.1:1/"),))
            case _:
                return Answer(200, body=asked.body)

    def url(self, number: int, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.all[number].port}{path}"


@asynccontextmanager
async def serving(origins: int = 256, **bounds: float) -> AsyncIterator[tuple[Servers, Outgoing]]:
    servers = Servers()
    for each in servers.all:
        await each.start()
    chosen = Bounds(connections=int(bounds.pop("connections", 2)), deadline_s=5)
    outgoing = Outgoing(guard=HOME, tls=trust(), bounds=chosen, origins=origins)
    try:
        yield servers, outgoing
    finally:
        await outgoing.close()
        for each in servers.all:
            await each.close()


async def test_a_connection_is_used_again_and_not_after_the_server_ended_it() -> None:
    async with serving() as (servers, outgoing):
        for path in ("/", "/", "/close", "/", "/"):
            reply = await outgoing.post(servers.url(0, path), JSON, b"hello")
            assert reply.status == 200
        assert servers.all[0].accepted == 2
        headers = servers.asked[0].headers
        assert (headers["content-type"], headers["content-length"]) == ("application/json", "5")
        assert headers[":authority"] == f"127.0.0.1:{servers.all[0].port}"


async def test_only_so_many_connections_are_opened() -> None:
    async with serving(connections=3) as (servers, outgoing):
        url = servers.url(0, "/slow")
        await asyncio.gather(*(outgoing.post(url, JSON, b"") for _ in range(9)))
        assert (servers.all[0].accepted, len(servers.asked)) == (3, 9)


async def test_a_cut_connection_leaves_the_request_unknown() -> None:
    async with serving() as (servers, outgoing):
        with pytest.raises(Lost):
            await outgoing.post(servers.url(0, "/cut"), JSON, b"")
        assert (await outgoing.post(servers.url(0), JSON, b"")).status == 200


async def test_redirects_are_not_followed() -> None:
    async with serving() as (servers, outgoing):
        assert (await outgoing.post(servers.url(0, "/elsewhere"), JSON, b"")).status == 302
        assert len(servers.asked) == 1


async def test_the_longest_unused_server_makes_room_for_a_new_one() -> None:
    async with serving(origins=2) as (servers, outgoing):
        for number in (0, 1, 0, 2):
            await outgoing.post(servers.url(number), JSON, b"")
        await until(lambda: not servers.all[1].connections)
        assert servers.all[0].connections
        slow = [
            asyncio.create_task(outgoing.post(servers.url(number, "/slow"), JSON, b""))
            for number in (0, 2)
        ]
        await until(lambda: len(servers.asked) == 6)
        with pytest.raises(Unsent, match="busy"):
            await outgoing.post(servers.url(1), JSON, b"")
        assert [reply.status for reply in await asyncio.gather(*slow)] == [200, 200]


@pytest.mark.parametrize(
    "value",
    [
        b"Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        b"Mon, 01 Jan 2026 99999999999999:00:00 GMT",
        b"Mon, 01 Jan 2026 00:00:00 +99999999999999",
        b"nan",
        b"-5",
    ],
)
def test_a_retry_after_that_says_nothing_is_none(value: bytes) -> None:
    assert retry_after(value, datetime(2026, 11, 24, 12, tzinfo=UTC)) is None
