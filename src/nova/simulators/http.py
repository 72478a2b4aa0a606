"""A server of HTTP/2 and HTTP/1.1 that can also do what servers do when they are not well."""

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, cast

import h2.connection
import h2.events
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from httptools import HttpParserError, HttpRequestParser
from hyperframe.frame import GoAwayFrame
from msgspec import Struct

_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding=None,
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)
Manner = Literal["reply", "silence", "cut", "refuse", "goaway"]
"""reply; never reply; process and cut the connection; refuse the stream; reply, and say goodbye."""


class Asked(Struct, frozen=True):
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(Struct, frozen=True):
    """What to answer, when and how."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    after_s: float = 0.0
    manner: Manner = "reply"


class Peer:
    """A client's connection, as a simulator sees it."""

    def limit_streams(self, count: int) -> None:
        """Allow fewer or more streams from now on; nothing over HTTP/1.1."""

    def goodbye(self, last: int | None = None) -> None:
        """Say that streams after `last` (default: all so far are taken) will not be processed."""

    def cut(self) -> None:
        """End the connection without a word."""


Handle = Callable[[Asked, Peer], Answer]


class _Literals:
    """HPACK without tables: answers are short, and mostly differ."""

    header_table_size = 4096

    def encode(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        out = bytearray()
        for name, value in headers:
            if name == b":status":
                out += b"\x08" if value != b"200" else b"\x88"
                if value == b"200":
                    continue
            else:
                out += b"\0" + _length(name) + name
            out += _length(value) + value
        return bytes(out)


def _length(text: bytes) -> bytes:
    """Return a length with a prefix of seven bits (RFC 7541, 5.1)."""
    size = len(text)
    if size < 127:
        return bytes((size,))
    out, size = bytearray(b"\x7f"), size - 127
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes((size,))


class _H2(h2.connection.H2Connection):
    """Counts no streams: a server refuses one that is too many, and h2 would end the connection."""

    @property
    def open_inbound_streams(self) -> int:
        return 0

    def forget(self, number: int) -> None:
        """Drop a stream that has ended, which h2 does while it counts."""
        stream = self.streams.get(number)
        if stream is not None and stream.closed:
            del self.streams[number]
            self._closed_streams[number] = stream.closed_by


class _Http2(Peer):
    def __init__(self, connection: "_Connection", most_streams: int) -> None:
        self._connection = connection
        self._h2 = _H2(_CONFIGURATION)
        self._h2.encoder = _Literals()  # type: ignore[assignment]  # quacks alike
        self._limit = most_streams
        self._open: set[int] = set()
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: most_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: 65_536,
            },
        )
        self._h2.initiate_connection()
        self._headers: dict[int, dict[str, str]] = {}
        self._bodies: dict[int, bytes] = {}
        self._unsent: dict[int, bytes] = {}
        self._last: int | None = None
        self._receiving = False
        self._flush()

    def receive(self, data: bytes) -> None:
        self._receiving = True
        try:
            for event in self._h2.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._receiving = False
            self._flush()
            self._connection.cut()
            return
        self._receiving = False
        self._flush()

    def _flush(self) -> None:
        if self._receiving:
            return  # one write for all that came together
        if data := self._h2.data_to_send():
            self._connection.write(data)

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._begun(event.stream_id or 0, event.headers or [])
            case h2.events.DataReceived():
                number = event.stream_id or 0
                self._bodies[number] = self._bodies.get(number, b"") + (event.data or b"")
                self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
            case h2.events.StreamEnded():
                self._asked(event.stream_id or 0)
            case h2.events.StreamReset():
                self._open.discard(event.stream_id or 0)
                self._headers.pop(event.stream_id or 0, None)
                self._bodies.pop(event.stream_id or 0, None)
                self._unsent.pop(event.stream_id or 0, None)
            case h2.events.WindowUpdated():
                for number, body in list(self._unsent.items()):
                    self._send(number, body)
            case h2.events.ConnectionTerminated():
                self._connection.end()

    def _begun(self, number: int, pairs: Sequence[object]) -> None:
        if len(self._open) >= self._limit:
            self._connection.overrun()
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        self._open.add(number)
        given = cast("Sequence[tuple[bytes, bytes]]", pairs)
        self._headers[number] = {name.decode(): value.decode("latin-1") for name, value in given}

    def _asked(self, number: int) -> None:
        headers = self._headers.pop(number, None)
        if headers is None or (self._last is not None and number > self._last):
            return
        asked = Asked(
            headers.pop(":method", ""),
            headers.pop(":path", ""),
            headers,
            self._bodies.pop(number, b""),
        )
        self._connection.answer(asked, self, lambda answer: self._answer(number, answer))

    def _answer(self, number: int, answer: Answer) -> None:
        stream = self._h2.streams.get(number)
        if stream is None or stream.closed or (self._last is not None and number > self._last):
            return
        if answer.manner == "refuse":
            self._open.discard(number)
            self._h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)
        else:
            headers = [(b":status", b"%d" % answer.status)]
            headers += [(name.encode(), value.encode()) for name, value in answer.headers]
            self._h2.send_headers(number, headers, end_stream=not answer.body)
            if answer.body:
                self._send(number, answer.body)
            else:
                self._open.discard(number)
        if answer.manner == "goaway":
            self.goodbye()
        self._h2.forget(number)
        self._flush()

    def _send(self, number: int, body: bytes) -> None:
        while True:
            room = min(self._h2.local_flow_control_window(number), 16_384)
            if len(body) <= room:
                self._unsent.pop(number, None)
                self._open.discard(number)
                self._h2.send_data(number, body, end_stream=True)
                return
            if room <= 0:
                self._unsent[number] = body
                return
            self._h2.send_data(number, body[:room])
            body = body[room:]

    def cut(self) -> None:
        self._connection.cut()

    def limit_streams(self, count: int) -> None:
        self._limit = count
        self._h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: count})
        self._flush()

    def goodbye(self, last: int | None = None) -> None:
        # h2 would end the connection with its GOAWAY; a server goes on with what it took.
        self._last = self._h2.highest_inbound_stream_id if last is None else last
        if data := self._h2.data_to_send():
            self._connection.write(data)
        self._connection.write(GoAwayFrame(0, last_stream_id=self._last, error_code=0).serialize())


class _Http1(Peer):
    def __init__(self, connection: "_Connection") -> None:
        self._connection = connection
        self._parser = HttpRequestParser(self)
        self._path, self._headers, self._body = "", {}, b""  # type: tuple[str, dict[str, str], bytes]

    def cut(self) -> None:
        self._connection.cut()

    def receive(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._connection.cut()

    def on_message_begin(self) -> None:
        self._path, self._headers, self._body = "", {}, b""

    def on_url(self, url: bytes) -> None:
        self._path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        headers = self._headers
        headers[":authority"] = headers.pop("host", "")
        asked = Asked(self._parser.get_method().decode(), self._path, headers, self._body)
        keep = self._parser.should_keep_alive()
        self._connection.answer(asked, self, lambda answer: self._answer(answer, keep=keep))

    def _answer(self, answer: Answer, *, keep: bool) -> None:
        if answer.manner == "refuse":
            self._connection.cut()
            return
        keep = keep and answer.manner != "goaway"
        lines = [f"HTTP/1.1 {answer.status} {'OK' if answer.status < 400 else 'No'}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        if answer.status != 204:
            lines.append(f"content-length: {len(answer.body)}")
        if not keep:
            lines.append("connection: close")
        self._connection.write("\r\n".join([*lines, "", ""]).encode() + answer.body)
        if not keep:
            self._connection.end()


class _Connection(asyncio.Protocol):
    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._transport: asyncio.Transport | None = None
        self.speaker: _Http2 | _Http1 | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)
        self._server.accepted += 1
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.selected_alpn_protocol() == "h2":
            self.speaker = _Http2(self, self._server.most_streams)

    def data_received(self, data: bytes) -> None:
        if self.speaker is None:
            prior = data.startswith(b"PRI ")
            self.speaker = _Http2(self, self._server.most_streams) if prior else _Http1(self)
        self.speaker.receive(data)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def overrun(self) -> None:
        self._server.overruns += 1

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def end(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def answer(self, asked: Asked, peer: Peer, reply: Callable[[Answer], None]) -> None:
        answer = self._server.handle(asked, peer)
        if answer.manner == "silence":
            return
        act = self.cut if answer.manner == "cut" else lambda: reply(answer)
        if answer.after_s:
            asyncio.get_running_loop().call_later(answer.after_s, act)
        else:
            act()


class HttpServer:
    """Listens; `handle` answers each request, at once and without waiting."""

    def __init__(self, handle: Handle, *, most_streams: int = 1000) -> None:
        self.handle = handle
        self.most_streams = most_streams
        self.accepted = 0
        self.overruns = 0
        """Streams that clients opened beyond the limit that they were told."""
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self.host, self.port = "", 0

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), host, port, ssl=tls)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]

    def peers(self) -> list[Peer]:
        return [each.speaker for each in self.connections if each.speaker is not None]

    def cut(self) -> None:
        """Cut all connections."""
        for each in tuple(self.connections):
            each.cut()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        if self._server is not None:
            await self._server.wait_closed()
