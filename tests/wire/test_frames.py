"""The frames of HTTP/2: what a server may say, and what it may not."""

import asyncio

import pytest
from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as some

from nova.wire import http2
from nova.wire.exchange import Exchange, Lost, Request, once
from nova.wire.hpack import Encoder
from nova.wire.http2 import Http2, frame

GREETING = frame(http2.SETTINGS, 0, 0)
OK = b"\x88"  # :status 200


def ask(path: str, body: bytes = b"") -> Request:
    return Request(path.encode(), ((b"x-steady", b"1"),), (once(b"x-own", path.encode()),), body)


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
        (GREETING + frame(http2.DATA, 0, 1, b"x" * 2_000), "without headers"),
        (GREETING + frame(http2.HEADERS, 5, 1, b"\x08\x03103"), "ends before it begins"),
        (frame(http2.SETTINGS, 0, 0, b"\0\1\0\0\0\0" * 65), "more settings"),
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


async def test_headers_that_unfold_to_many_times_their_size_are_refused() -> None:
    line, codec, _ = asked()
    codec.receive(frame(http2.HEADERS, 5, 1, OK + b"\x8f" * 1_000))
    assert "cannot be read" in line.aborted


async def test_headers_of_nothing_without_end_are_refused() -> None:
    line, codec, _ = asked()
    codec.receive(frame(http2.HEADERS, 0, 1, OK) + frame(http2.CONTINUATION, 0, 1) * 20_000)
    assert "talks without end" in line.aborted


async def test_as_much_talk_as_there_are_answers_is_welcome() -> None:
    line, codec, exchanges = asked(500)
    talk = frame(http2.PING, http2.ACK, 0, b"are-you?") + frame(http2.WINDOW, 0, 0, b"\0\0\0\1")
    for number in range(1, 1_000, 2):
        codec.receive(talk * 1_000 + frame(http2.HEADERS, 5, number, OK))
    assert line.aborted == ""
    assert {(await each.future).status for each in exchanges} == {200}
