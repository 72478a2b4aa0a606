"""HTTP/2 (RFC 9113) as a client of small requests."""

from collections.abc import Callable, Mapping
from struct import Struct as Packed
from struct import iter_unpack
from typing import Protocol, cast

from hpack import Decoder, HPACKError, NeverIndexedHeaderTuple

from nova.wire.exchange import Exchange, Lost
from nova.wire.hpack import Encoder

MOST_STREAMS = 1000
"""Streams of a connection at once, even where the server would take more."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITISED = 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL, FLOW, FRAME_SIZE, REFUSED, CANCEL, COMPRESSION, CALM = 0, 1, 3, 6, 7, 8, 9, 11
_TABLE_SIZE, _PUSH, _STREAMS, _INITIAL_WINDOW, _FRAME_SIZE = 1, 2, 3, 4, 5
_FRAME = 16_384
_LARGEST_FRAME = (1 << 24) - 1
_WINDOW = 65_535
_LARGEST_WINDOW = (1 << 31) - 1
_LAST_STREAM = 1 << 30  # ids end at 2³¹; a new connection begins anew
_MOST_HEADERS = 16_384
_MOST_SETTINGS = 64
_MOST_TALK = 10_000
"""Frames between two answers, large ones counted as several. Without a bound a server could keep
us busy with what costs it nothing, and make us owe it replies to its pings without end."""
_TALK_BYTES = 64
_FINAL = 200
_HEAD = Packed(">BHBBL")
_LONG = Packed(">L")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _HEAD.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


class Owner(Protocol):
    """The line that a codec speaks on."""

    def write(self, data: bytes) -> None: ...

    def changed(self) -> None:
        """Say that there may be room now."""

    def again(self, exchange: Exchange) -> None:
        """Put an exchange back that the server promised not to have processed."""

    def retire(self) -> None:
        """Take no more requests; close when the last one is answered."""

    def abort(self, reason: str) -> None: ...


class Broken(Exception):
    """The server broke the protocol: the connection ends."""

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        super().__init__(reason)


class Http2:
    """The protocol on one connection; streams are answered in any order."""

    def __init__(self, owner: Owner, *, scheme: bytes, authority: bytes, most_bytes: int) -> None:
        self._owner = owner
        self._most_bytes = most_bytes
        self._beginning = ((b":method", b"POST"), (b":scheme", scheme), (b":authority", authority))
        self._encoder, self._decoder = Encoder(), Decoder(_MOST_HEADERS)
        self._exchanges: dict[int, Exchange] = {}
        self._next = 1
        self._out: list[bytes] = [PREFACE, frame(SETTINGS, 0, 0, b"\0\2\0\0\0\0")]  # no push
        self._in = bytearray()
        self._most = 0  # until the server's settings have come
        self._window, self._initial_window, self._frame_size = _WINDOW, _WINDOW, _FRAME
        self._blocked: dict[int, tuple[bytes, int]] = {}
        """Bodies of which a part could not be sent yet, and the windows of their streams."""
        self._received = 0
        self._block: tuple[int, int, bytearray] | None = None
        """Stream, flags and beginning of headers whose end comes in further frames."""
        self._talk = 0
        self._pinged = False
        self.ready = self.answered = False
        self.flush()

    @property
    def busy(self) -> int:
        return len(self._exchanges)

    def room(self) -> int:
        """Return how many more requests may start now."""
        if self._blocked or self._window <= 0:
            return 0
        return self._most - len(self._exchanges)

    def start(self, exchange: Exchange) -> None:
        """Write a request into the buffer; `flush` sends it, with others."""
        request = exchange.request
        number = exchange.number = self._next
        self._next += 2
        self._exchanges[number] = exchange
        path = (b":path", request.path)
        headers = [
            *self._beginning,
            path if request.steady_path else NeverIndexedHeaderTuple(*path),
            *request.steady,
            *request.own,
        ]
        block, end = self._encoder.encode(headers), 0 if request.body else END_STREAM
        self._out.append(frame(HEADERS, END_HEADERS | end, number, block[:_FRAME]))
        if len(block) > _FRAME:
            self._out[-1] = frame(HEADERS, end, number, block[:_FRAME])
            self._out += [
                frame(CONTINUATION, END_HEADERS if at + _FRAME >= len(block) else 0, number, part)
                for at in range(_FRAME, len(block), _FRAME)
                for part in (block[at : at + _FRAME],)
            ]
        if request.body:
            self._send(number, request.body, self._initial_window)
        if number >= _LAST_STREAM:
            self._owner.retire()

    def _send(self, number: int, body: bytes, window: int) -> None:
        """Send a body as far as both windows allow; the rest follows when they open."""
        while True:
            room = min(window, self._window, _FRAME)
            if len(body) <= room:
                self._window -= len(body)
                self._out.append(frame(DATA, END_STREAM, number, body))
                self._blocked.pop(number, None)
                return
            if room <= 0:
                self._blocked[number] = (body, window)
                return
            self._window -= room
            window -= room
            self._out.append(frame(DATA, 0, number, body[:room]))
            body = body[room:]

    def _resume(self) -> None:
        for number, (body, window) in list(self._blocked.items()):
            self._send(number, body, window)

    def flush(self) -> None:
        if self._out:
            data = b"".join(self._out)
            self._out.clear()
            self._owner.write(data)

    def cancel(self, exchange: Exchange) -> None:
        if self._exchanges.get(exchange.number) is exchange:
            self._reset(exchange.number)
            self._ended(exchange.number)
            self.flush()

    def _reset(self, number: int) -> None:
        self._out.append(frame(RST_STREAM, 0, number, _LONG.pack(CANCEL)))

    def ping(self) -> bool:
        """Ask whether the server is there; False when the last question was not answered."""
        if self._pinged or not self.ready:
            return False
        self._pinged = True
        self._out.append(frame(PING, 0, 0, b"are-you?"))
        self.flush()
        return True

    def ended(self) -> None:
        """Its streams say themselves where they end."""

    def close(self) -> None:
        self._goodbye(NO_ERROR)

    def _goodbye(self, code: int) -> None:
        self._out.append(frame(GOAWAY, 0, 0, _LONG.pack(0) + _LONG.pack(code)))
        self.flush()

    def drop(self) -> list[Exchange]:
        """Return what was not answered, and forget it."""
        left = list(self._exchanges.values())
        self._exchanges.clear()
        self._blocked.clear()
        return left

    # -- what the server said ---------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        self._pinged = False
        self._in += data
        try:
            self._read()
        except Broken as wrong:
            self._in.clear()
            self._goodbye(wrong.code)
            self._owner.abort(f"the server broke HTTP/2: {wrong}")
            return
        if self._received > _WINDOW // 2:
            # Without this, a server may send 65,535 bytes in the life of the connection: after
            # some 2,400 rejections it falls silent, in the middle of one (what ails aioapns 4.0).
            self._out.append(frame(WINDOW, 0, 0, _LONG.pack(self._received)))
            self._received = 0
        self.flush()
        self._owner.changed()

    def _read(self) -> None:
        """Handle all whole frames."""
        data, at = self._in, 0
        while len(data) - at >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
            size = high << 16 | low
            if size > _FRAME:
                raise Broken(FRAME_SIZE, "a frame larger than we allow")
            end = at + _HEAD.size + size
            if end > len(data):
                break
            payload = bytes(data[at + _HEAD.size : end])
            at = end
            self._talk += 1 if kind == DATA else 1 + size // _TALK_BYTES
            if self._talk > _MOST_TALK:
                raise Broken(CALM, "it talks without end and does not answer")
            if not self.ready and kind != SETTINGS:
                raise Broken(PROTOCOL, "it did not begin with its settings")
            if self._block is not None and kind != CONTINUATION:
                raise Broken(PROTOCOL, "headers were interrupted")
            handle = _HANDLERS.get(kind)
            if handle is not None:  # other kinds are extensions (5.5)
                handle(self, flags, stream & _LARGEST_WINDOW, payload)
        del data[:at]

    def _find(self, stream: int) -> Exchange | None:
        """Return a stream's exchange; None for one that has ended."""
        if stream >= self._next or not stream & 1:
            raise Broken(PROTOCOL, f"frames for stream {stream}, which we never opened")
        return self._exchanges.get(stream)

    def _on_data(self, flags: int, stream: int, payload: bytes) -> None:
        exchange = self._find(stream)
        self._received += len(payload)
        if exchange is None:
            return
        data = _unpadded(flags, payload)
        if not exchange.status:
            raise Broken(PROTOCOL, "an answer without headers")
        exchange.body += data
        if len(exchange.body) > self._most_bytes:
            exchange.body = exchange.body[: self._most_bytes]
            self._reset(stream)
            self._done(stream, exchange)
        elif flags & END_STREAM:
            self._finish(stream, exchange)
        elif payload:
            self._out.append(frame(WINDOW, 0, stream, _LONG.pack(len(payload))))

    def _on_headers(self, flags: int, stream: int, payload: bytes) -> None:
        block = _unpadded(flags, payload)
        if flags & PRIORITISED:
            block = block[5:]
        if flags & END_HEADERS:
            self._headed(stream, flags, block)
        else:
            self._block = (stream, flags, bytearray(block))

    def _on_continuation(self, flags: int, stream: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream:
            raise Broken(PROTOCOL, "headers go on that never began")
        _, first, block = self._block
        block += payload
        if len(block) > _MOST_HEADERS:
            raise Broken(PROTOCOL, "endless headers")
        if flags & END_HEADERS:
            self._block = None
            self._headed(stream, first, bytes(block))

    def _headed(self, stream: int, flags: int, block: bytes) -> None:
        exchange = self._find(stream)
        try:  # also for a stream that has ended: the table that both sides keep goes on
            headers = cast("dict[bytes, bytes]", dict(self._decoder.decode(block, raw=True)))
        except (HPACKError, UnicodeDecodeError, IndexError) as wrong:
            raise Broken(COMPRESSION, f"its headers cannot be read: {wrong!r}") from wrong
        if exchange is None:
            return
        if not exchange.status:
            status = headers.get(b":status", b"")
            if len(status) != 3 or not status.isdigit():  # noqa: PLR2004  # three digits
                raise Broken(PROTOCOL, "an answer without a status")
            if int(status) < _FINAL:
                if flags & END_STREAM:
                    raise Broken(PROTOCOL, "an answer that ends before it begins")
                return
            exchange.status, exchange.headers = int(status), headers
        if flags & END_STREAM:
            self._finish(stream, exchange)

    def _finish(self, stream: int, exchange: Exchange) -> None:
        if not exchange.status:
            raise Broken(PROTOCOL, "an answer without headers")
        if stream in self._blocked:
            self._reset(stream)  # it has answered without reading all
        self._done(stream, exchange)

    def _done(self, stream: int, exchange: Exchange) -> None:
        self._ended(stream)
        self._talk = 0
        self.answered = True
        exchange.finish()

    def _on_reset(self, _flags: int, stream: int, payload: bytes) -> None:
        _sized(payload, 4)
        exchange = self._find(stream)
        if exchange is None:
            return
        self._ended(stream)
        [code] = _LONG.unpack(payload)
        if code == REFUSED:  # not processed (8.7)
            self._owner.again(exchange)
        else:
            exchange.fail(Lost(f"the server reset the stream, error {code}"))

    def _on_settings(self, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise Broken(PROTOCOL, "settings of a stream")
        if flags & ACK:
            return
        if len(payload) > _MOST_SETTINGS * 6:
            raise Broken(CALM, "more settings than there are")
        if len(payload) % 6:
            raise Broken(FRAME_SIZE, "settings of a wrong size")
        if not self.ready:
            self._most = MOST_STREAMS
        for name, value in iter_unpack(">HL", payload):
            self._set(name, value)
        self.ready = True
        self._out.append(frame(SETTINGS, ACK, 0))
        self._resume()

    def _set(self, name: int, value: int) -> None:
        if name == _STREAMS:
            self._most = min(value, MOST_STREAMS)
        elif name == _TABLE_SIZE:
            self._encoder.header_table_size = value
        elif name == _INITIAL_WINDOW:
            if value > _LARGEST_WINDOW:
                raise Broken(FLOW, "a window larger than there are")
            more = value - self._initial_window
            self._initial_window = value
            for number, (body, window) in self._blocked.items():
                self._blocked[number] = (body, window + more)
        elif (name == _PUSH and value) or (
            name == _FRAME_SIZE and not _FRAME <= value <= _LARGEST_FRAME
        ):
            raise Broken(PROTOCOL, "a setting that is not allowed")

    def _on_push(self, _flags: int, _stream: int, _payload: bytes) -> None:
        raise Broken(PROTOCOL, "it pushes what nobody asked for")

    def _on_ping(self, flags: int, stream: int, payload: bytes) -> None:
        _sized(payload, 8)
        if stream:
            raise Broken(PROTOCOL, "a ping of a stream")
        if not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))

    def _on_goaway(self, _flags: int, stream: int, payload: bytes) -> None:
        """Ask again what is above the last id; streams up to it may still be answered (6.8)."""
        if stream or len(payload) < 8:  # noqa: PLR2004  # last id and error
            raise Broken(PROTOCOL, "a malformed goodbye")
        last = _LONG.unpack_from(payload)[0] & _LARGEST_WINDOW
        self._owner.retire()
        for number in sorted((each for each in self._exchanges if each > last), reverse=True):
            exchange = self._ended(number)
            if exchange is not None:
                self._owner.again(exchange)

    def _on_window(self, _flags: int, stream: int, payload: bytes) -> None:
        _sized(payload, 4)
        more = _LONG.unpack(payload)[0] & _LARGEST_WINDOW
        if not more:
            raise Broken(PROTOCOL, "a window that opens by nothing")
        if stream == 0:
            self._window += more
            if self._window > _LARGEST_WINDOW:
                raise Broken(FLOW, "a window larger than there are")
        elif self._find(stream) is not None and stream in self._blocked:
            body, window = self._blocked[stream]
            if window + more > _LARGEST_WINDOW:
                raise Broken(FLOW, "a window larger than there are")
            self._blocked[stream] = (body, window + more)
        self._resume()

    def _ended(self, number: int) -> Exchange | None:
        self._blocked.pop(number, None)
        return self._exchanges.pop(number, None)


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Broken(PROTOCOL, "more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _sized(payload: bytes, size: int) -> None:
    if len(payload) != size:
        raise Broken(FRAME_SIZE, "a frame of a wrong size")


_HANDLERS: Mapping[int, Callable[[Http2, int, int, bytes], None]] = {
    DATA: Http2._on_data,  # noqa: SLF001  # its own
    HEADERS: Http2._on_headers,  # noqa: SLF001
    RST_STREAM: Http2._on_reset,  # noqa: SLF001
    SETTINGS: Http2._on_settings,  # noqa: SLF001
    PUSH_PROMISE: Http2._on_push,  # noqa: SLF001
    PING: Http2._on_ping,  # noqa: SLF001
    GOAWAY: Http2._on_goaway,  # noqa: SLF001
    WINDOW: Http2._on_window,  # noqa: SLF001
    CONTINUATION: Http2._on_continuation,  # noqa: SLF001
}
