"""The HTTP/2 client against a server that is not always well."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hpack import Decoder
from hypothesis import given, settings
from hypothesis import strategies as some

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.wire import http2
from nova.wire.addresses import place
from nova.wire.exchange import Exchange, Lost, Reply, Request, Unsent, once
from nova.wire.hpack import Encoder
from nova.wire.http2 import Http2, frame
from nova.wire.origin import Bounds, Origin
from nova.wire.outgoing import origin, trust
from support.waiting import until

SOON_S = 60


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


class Deaf:
    """A line that notes what its codec did."""

    def __init__(self) -> None:
        self.sent = b""
        self.aborted = ""
        self.again_and_again: list[Exchange] = []
        self.retired = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def changed(self) -> None: ...

    def again(self, exchange: Exchange) -> None:
        self.again_and_again.append(exchange)

    def retire(self) -> None:
        self.retired = True

    def abort(self, reason: str) -> None:
        self.aborted = reason


GREETING = frame(http2.SETTINGS, 0, 0)
OK = b"\x88"  # :status 200


def asked(count: int = 1, body: bytes = b"") -> tuple[Deaf, Http2, list[Exchange]]:
    """Return a codec that has asked so much, on streams 1, 3, …"""
    line = Deaf()
    codec = Http2(line, scheme=b"https", authority=b"a", most_bytes=1000)
    codec.receive(GREETING)
    loop = asyncio.get_running_loop()
    exchanges = [Exchange(ask(f"/{n}", body), loop.create_future()) for n in range(count)]
    for each in exchanges:
        codec.start(each)
    return line, codec, exchanges


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (frame(http2.PING, 0, 0, b"x" * 8), "settings"),
        (GREETING + frame(http2.PING, 0, 0, b"x" * 7), "size"),
        (GREETING + frame(http2.PING, 0, 1, b"x" * 8), "ping of a stream"),
        (GREETING + frame(http2.SETTINGS, 0, 1), "settings of a stream"),
        (GREETING + frame(http2.SETTINGS, 0, 0, b"x"), "size"),
        (frame(http2.SETTINGS, 0, 0, b"\0\2\0\0\0\1"), "not allowed"),
        (frame(http2.SETTINGS, 0, 0, b"\0\4\xff\xff\xff\xff"), "window"),
        (frame(http2.SETTINGS, 0, 0, b"\0\5\0\0\0\1"), "not allowed"),
        (GREETING + frame(http2.WINDOW, 0, 0, b"\0\0\0\0"), "by nothing"),
        (GREETING + frame(http2.WINDOW, 0, 0, b"\x7f\xff\xff\xff"), "window"),
        (GREETING + frame(http2.PUSH_PROMISE, 4, 1, b"\0\0\0\2"), "pushes"),
        (GREETING + frame(http2.HEADERS, 5, 9, OK), "never opened"),
        (GREETING + frame(http2.HEADERS, 5, 2, OK), "never opened"),
        (GREETING + frame(http2.DATA, 1, 0, b"x"), "never opened"),
        (GREETING + frame(http2.DATA, 1, 1, b"x"), "without headers"),
        (GREETING + frame(http2.DATA, 9, 1, b"\x05x"), "padding"),
        (GREETING + frame(http2.HEADERS, 5, 1, b"\xff\xff\xff"), "cannot be read"),
        (GREETING + frame(http2.HEADERS, 5, 1, b"\x00\x01a\x01b"), "without a status"),
        (GREETING + frame(http2.HEADERS, 0, 1, OK) + GREETING, "interrupted"),
        (GREETING + frame(http2.CONTINUATION, 4, 1, OK), "never began"),
        (GREETING + frame(http2.RST_STREAM, 0, 1, b"x"), "size"),
        (GREETING + frame(http2.GOAWAY, 0, 0, b"x"), "goodbye"),
        (GREETING + b"\x00\x40\x01\0\0\0\0\0\1", "larger than we allow"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "larger than we allow"),
    ],
)
async def test_a_server_that_breaks_the_protocol_is_left(sent: bytes, said: str) -> None:
    line, codec, _ = asked()
    codec.ready = False
    codec.receive(sent)
    assert said in line.aborted
    assert frame(http2.GOAWAY, 0, 0, b"\0" * 4)[3:9] in line.sent


async def test_what_the_protocol_allows_is_understood() -> None:
    line, codec, [exchange] = asked()
    codec.receive(frame(77, 3, 5, b"an extension"))
    codec.receive(frame(http2.PRIORITY, 0, 1, b"\0" * 5))
    codec.receive(frame(http2.SETTINGS, http2.ACK, 0))
    codec.receive(frame(http2.PING, 0, 0, b"12345678"))
    codec.receive(frame(http2.HEADERS, 4, 1, b"\x08\x03103"))  # early hints
    padded = b"\1" + b"\0" * 5 + OK + b"\0"  # with a priority, too
    codec.receive(frame(http2.HEADERS, 0x28, 1, padded) + frame(9, 4, 1, b"\x00\x01a\x01b"))
    trailers = frame(http2.HEADERS, 5, 1, b"\x00\x01t\x01v")
    for byte in frame(http2.DATA, 8, 1, b"\2hello\0\0") + trailers:
        codec.receive(bytes((byte,)))
    assert line.aborted == ""
    assert frame(http2.PING, http2.ACK, 0, b"12345678") in line.sent
    reply = await exchange.future
    assert (reply.status, reply.body, reply.headers[b"a"]) == (200, b"hello", b"b")


async def test_frames_for_streams_that_have_ended_do_no_harm() -> None:
    line, codec, exchanges = asked(3)
    codec.cancel(exchanges[0])
    codec.receive(frame(http2.GOAWAY, 0, 0, b"\0\0\0\3" + b"\0" * 4))
    assert (line.retired, line.again_and_again) == (True, exchanges[2:])
    for stream in (1, 5):
        codec.receive(frame(http2.HEADERS, 4, stream, b"\x40\x01x\x01y" + OK))
        codec.receive(
            frame(http2.DATA, 1, stream, b"x") + frame(http2.RST_STREAM, 0, stream, b"1234")
        )
        codec.receive(frame(http2.WINDOW, 0, stream, b"\0\0\0\1"))
    codec.receive(
        frame(http2.HEADERS, 5, 3, OK + b"\xbe")
    )  # what the lost headers put in the table
    assert (await exchanges[1].future).headers[b"x"] == b"y"
    assert line.aborted == ""


async def test_a_window_that_shrinks_below_nothing_is_waited_for() -> None:
    line, codec, _ = asked(1, b"x" * 70_000)
    codec.flush()
    sent = len(line.sent)
    codec.receive(frame(http2.SETTINGS, 0, 0, b"\0\4\0\0\0\x0a"))
    codec.receive(frame(http2.WINDOW, 0, 0, b"\0\1\0\0"))
    assert len(line.sent) - sent < 100  # nothing of the body
    assert codec.room() == 0
    codec.receive(frame(http2.WINDOW, 0, 1, b"\0\2\0\0"))
    assert len(line.sent) - sent > 4465
    assert codec.room() == http2.MOST_STREAMS - 1


FRAMES = some.builds(
    frame,
    some.integers(0, 10),
    some.integers(0, 255),
    some.sampled_from([0, 1, 3, 5, 7, 2**31 - 1]),
    some.one_of(some.binary(max_size=20), some.just(OK), some.just(b"\0" * 8)),
)


@settings(deadline=None)
@given(some.lists(some.one_of(FRAMES, some.binary(max_size=30))))
async def test_nothing_that_a_server_sends_is_a_bug(sent: list[bytes]) -> None:
    line, codec, exchanges = asked(3)
    for data in sent:
        if line.aborted:
            break
        codec.receive(data)
        codec.flush()
    for exchange in [*codec.drop(), *line.again_and_again]:
        exchange.fail(Lost("ended"))
    assert all(each.future.done() for each in exchanges)
    for each in exchanges:
        each.future.exception()


HEADERS = some.lists(
    some.tuples(
        some.booleans(),
        some.sampled_from([b":path", b"authorization", b"x-a", b"x-b"]),
        some.binary(max_size=300),
    ),
    max_size=8,
)


@settings(deadline=None)
@given(some.lists(some.one_of(HEADERS, some.sampled_from([0, 100, 1000, 4096, 9000]))))
def test_the_decoder_of_hpack_reads_what_our_encoder_wrote(blocks: list[object]) -> None:
    ours, theirs = Encoder(), Decoder(max_header_list_size=1 << 20)
    theirs.max_allowed_table_size = 9000
    for block in blocks:
        if isinstance(block, int):
            theirs.max_allowed_table_size = block
            ours.header_table_size = block
            continue
        assert isinstance(block, list)
        headers = [once(name, value) if own else (name, value) for own, name, value in block]
        read = theirs.decode(ours.encode(headers), raw=True)
        assert [tuple(each) for each in read] == [(name, value) for _, name, value in block]


def test_what_is_repeated_is_one_byte_from_the_second_time_on() -> None:
    ours = Encoder()
    headers = [(b"authorization", b"bearer " + b"x" * 200), (b"apns-topic", b"com.example.app")]
    assert len(ours.encode(headers)) > 200
    assert len(ours.encode(headers)) == 2
