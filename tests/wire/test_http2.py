"""The HTTP/2 client against a server that is not always well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.wire import http2
from nova.wire.addresses import place
from nova.wire.exchange import Lost, Reply, Request, Unsent, once
from nova.wire.http2 import frame
from nova.wire.origin import Bounds, Origin
from nova.wire.outgoing import origin, trust
from support.waiting import SOON_S, until

GREETING = frame(http2.SETTINGS, 0, 0)


class Mood:
    """A server that does as it is told."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.seen: list[str] = []
        self.server = HttpServer(self.handle)

    def handle(self, asked: Asked, _peer: Peer) -> Answer:
        self.seen.append(asked.path)
        waiting = self.answers.get(asked.path, [])
        return waiting.pop(0) if waiting else Answer(200, body=asked.body)


@asynccontextmanager
async def talking(bounds: Bounds | None = None, **moods: int) -> AsyncIterator[tuple[Mood, Origin]]:
    mood = Mood()
    mood.server.most_streams = moods.get("most_streams", 1000)
    await mood.server.start()
    client = origin(
        place(f"http://127.0.0.1:{mood.server.port}"),
        tls=trust(),
        bounds=bounds or Bounds(deadline_s=10),
        plain="h2",
    )
    try:
        yield mood, client
    finally:
        await client.close()
        await mood.server.close()


def ask(path: str, body: bytes = b"") -> Request:
    return Request(path.encode(), ((b"x-steady", b"1"),), (once(b"x-own", path.encode()),), body)


async def test_requests_of_one_turn_share_a_write_and_a_connection() -> None:
    async with talking() as (mood, client):
        replies = await asyncio.gather(*(client.send(ask(f"/{n}", b"%d" % n)) for n in range(100)))
        assert [reply.body for reply in replies] == [b"%d" % n for n in range(100)]
        assert mood.server.accepted == 1


async def test_bodies_larger_than_the_window_go_both_ways() -> None:
    async with talking(Bounds(deadline_s=10, reply_bytes=1_000_000)) as (_, client):
        body = bytes(range(256)) * 2000
        replies = await asyncio.gather(*(client.send(ask(f"/{n}", body)) for n in range(4)))
        assert {reply.body == body for reply in replies} == {True}


async def test_an_endless_reply_is_cut() -> None:
    async with talking(Bounds(deadline_s=10, reply_bytes=1000)) as (_, client):
        assert len((await client.send(ask("/", b"x" * 100_000))).body) == 1000
        assert (await client.send(ask("/", b"x"))).body == b"x"


async def test_no_more_streams_than_the_server_allows_even_when_it_allows_fewer() -> None:
    async with talking(most_streams=7) as (mood, client):
        for allowed in (7, 1, 3):
            for peer in mood.server.peers():
                peer.limit_streams(allowed)
            await client.send(ask("/settle"))
            mood.answers = {f"/{n}": [Answer(200, after_s=0.01)] for n in range(20)}
            replies = await asyncio.gather(*(client.send(ask(f"/{n}")) for n in range(20)))
            assert {reply.status for reply in replies} == {200}
        assert (mood.server.accepted, mood.server.overruns) == (1, 0)


async def test_goaway_replays_only_streams_above_the_last_id() -> None:
    async with talking() as (mood, client):
        await client.send(ask("/first"))  # stream 1
        mood.answers = {f"/{n}": [Answer(200, after_s=0.3)] for n in range(4)}
        sends = [asyncio.create_task(client.send(ask(f"/{n}"))) for n in range(4)]  # 3, 5, 7, 9
        await until(lambda: len(mood.seen) == 5)
        for peer in mood.server.peers():
            peer.goodbye(5)
        assert [reply.status for reply in await asyncio.gather(*sends)] == [200] * 4
        # Streams 3 and 5 were answered on the old connection, 7 and 9 asked again on a new one.
        assert mood.seen == ["/first", "/0", "/1", "/2", "/3", "/2", "/3"]
        assert mood.server.accepted == 2


async def test_a_refused_stream_is_asked_again_and_not_for_ever() -> None:
    async with talking() as (mood, client):
        refused = Answer(0, manner="refuse")
        mood.answers = {"/a": [refused, refused], "/b": [refused] * 9}
        assert (await client.send(ask("/a"))).status == 200
        with pytest.raises(Unsent):
            await client.send(ask("/b"))
        assert (mood.seen.count("/a"), mood.seen.count("/b")) == (3, 4)


async def test_a_cut_connection_loses_only_what_was_on_it() -> None:
    async with talking() as (mood, client):
        mood.answers = {"/slow": [Answer(200, after_s=5)], "/cut": [Answer(0, manner="cut")]}
        slow = asyncio.create_task(client.send(ask("/slow")))
        cut = asyncio.create_task(client.send(ask("/cut")))
        for each in (slow, cut):
            with pytest.raises(Lost):
                await each
        assert (await client.send(ask("/next"))).status == 200


async def test_a_stream_that_is_never_answered_ends_alone() -> None:
    async with talking(Bounds(deadline_s=0.2)) as (mood, client):
        mood.answers = {"/tarpit": [Answer(0, manner="silence")]}
        with pytest.raises(Lost):
            await client.send(ask("/tarpit"))
        assert (await client.send(ask("/next"))).status == 200
        assert mood.server.accepted == 1


async def test_a_full_queue_refuses_at_once() -> None:
    async with talking(Bounds(waiting=10, deadline_s=10)) as (mood, client):
        found = await asyncio.gather(
            *(client.send(ask(f"/{n}")) for n in range(15)), return_exceptions=True
        )
        assert sum(isinstance(each, Unsent) for each in found) == 5
        assert sum(isinstance(each, Reply) for each in found) == 10
        assert len(mood.seen) == 10


async def test_a_given_up_request_leaves_no_stream_behind() -> None:
    async with talking(most_streams=1) as (mood, client):
        mood.answers = {"/slow": [Answer(200, after_s=60)]}
        slow = asyncio.create_task(client.send(ask("/slow")))
        await until(lambda: "/slow" in mood.seen)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await client.send(ask("/next"))).status == 200


async def test_a_server_that_restarts_is_found_again() -> None:
    async with talking() as (mood, client):
        assert (await client.send(ask("/1"))).status == 200
        port = mood.server.port
        await mood.server.close()
        await until(lambda: not client._lines)
        waiting = asyncio.create_task(client.send(ask("/2")))
        await asyncio.sleep(0.02)
        await mood.server.start(port=port)
        assert (await waiting).status == 200


async def test_those_who_wait_for_a_dead_server_are_told_soon() -> None:
    async with talking(Bounds(deadline_s=3600)) as (mood, client):
        await mood.server.close()
        async with asyncio.timeout(SOON_S):
            found = await asyncio.gather(
                *(client.send(ask("/")) for _ in range(10)), return_exceptions=True
            )
        assert {type(each) for each in found} == {Unsent}
        with pytest.raises(Unsent) as told:
            await client.send(ask("/"))
        assert told.value.retry_after_s is not None


async def test_a_server_that_greets_and_leaves_is_not_asked_in_a_storm() -> None:
    greeted = 0

    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        writer.write(GREETING + frame(http2.GOAWAY, 0, 0, b"\0" * 8))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = origin(
        place(f"http://127.0.0.1:{port}"), tls=trust(), bounds=Bounds(deadline_s=3600), plain="h2"
    )
    async with asyncio.timeout(SOON_S):
        for _ in range(50):
            with pytest.raises(Unsent):
                await client.send(ask("/"))
    assert greeted < 10
    await client.close()
    server.close()
    await server.wait_closed()


async def test_a_silent_connection_is_cut_after_two_looks() -> None:
    frozen = asyncio.Event()

    async def answer_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0\0\4\0\0\0\0\0")  # empty SETTINGS, and nothing ever after
        await frozen.wait()
        writer.close()
        reader.feed_eof()

    server = await asyncio.start_server(answer_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    bounds = Bounds(deadline_s=60, look_s=0.1)
    client = origin(place(f"http://127.0.0.1:{port}"), tls=trust(), bounds=bounds, plain="h2")
    with pytest.raises(Lost, match="silent"):
        await client.send(ask("/"))
    await client.close()
    frozen.set()
    server.close()
    await server.wait_closed()


async def test_what_is_no_http2_is_an_error_and_not_a_hang() -> None:
    async def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n" * 4)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = origin(
        place(f"http://127.0.0.1:{port}"), tls=trust(), bounds=Bounds(deadline_s=60), plain="h2"
    )
    with pytest.raises(Unsent):
        await client.send(ask("/"))
    await client.close()
    server.close()
    await server.wait_closed()
