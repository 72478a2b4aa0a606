"""HTTP/2 (RFC 9113) as a client, on h2."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

import h2.connection
import h2.events
from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import NeverIndexedHeaderTuple

from nova.wire.exchange import Exchange, Lost
from nova.wire.hpack import Encoder

MOST_STREAMS = 1000
"""Streams of a connection at once, even where the server would take more."""
_LAST_STREAM = 1 << 30  # ids end at 2³¹; a new connection begins anew
_CONFIGURATION = H2Configuration(
    client_side=True,
    header_encoding=None,
    # Our own headers are right by construction, and what comes in is read leniently.
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
    validate_inbound_headers=False,
    normalize_inbound_headers=False,
)


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


class _Connection(h2.connection.H2Connection):
    """h2, but for two things.

    It counts all its streams for every new one, so the codec counts for it. And it ends with the
    first GOAWAY, while RFC 9113 (6.8) lets streams up to the last id go on to their replies.
    """

    open_streams = 0

    @property
    def open_outbound_streams(self) -> int:
        return self.open_streams

    def _receive_goaway_frame(self, frame):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        event = h2.events.ConnectionTerminated()
        event.error_code = frame.error_code
        event.last_stream_id = frame.last_stream_id
        event.additional_data = frame.additional_data or None
        return [], [event]

    def forget(self, number: int) -> None:
        """Drop a stream that has ended."""
        stream = self.streams.pop(number, None)
        if stream is not None:
            self._closed_streams[number] = stream.closed_by


class Http2:
    """The protocol on one connection; streams are answered in any order."""

    def __init__(self, owner: Owner, *, scheme: bytes, authority: bytes, most_bytes: int) -> None:
        self._owner = owner
        self._most_bytes = most_bytes
        self._beginning = ((b":method", b"POST"), (b":scheme", scheme), (b":authority", authority))
        self._exchanges: dict[int, Exchange] = {}
        self._streams: dict[Exchange, int] = {}
        self._blocked: dict[int, bytes] = {}
        self._most = 0  # until the server's settings have come
        self.ready = False
        self._pinged = False
        connection = self._h2 = _Connection(_CONFIGURATION)
        connection.encoder = Encoder()  # type: ignore[assignment]  # quacks alike
        connection.local_settings = Settings(
            client=True, initial_values={SettingCodes.ENABLE_PUSH: 0}
        )
        connection.initiate_connection()
        self.flush()

    @property
    def busy(self) -> int:
        return len(self._exchanges)

    def room(self) -> int:
        """Return how many more requests may start now."""
        if self._blocked or self._h2.outbound_flow_control_window <= 0:
            return 0
        return self._most - len(self._exchanges)

    def start(self, exchange: Exchange) -> None:
        """Write a request into the buffer; `flush` sends it, with others."""
        connection, request = self._h2, exchange.request
        number = connection.get_next_available_stream_id()
        self._exchanges[number] = exchange
        self._streams[exchange] = number
        path = (b":path", request.path)
        headers = [
            *self._beginning,
            path if request.steady_path else NeverIndexedHeaderTuple(*path),
            *request.steady,
            *request.own,
        ]
        connection.open_streams = len(self._exchanges) - 1
        connection.send_headers(number, headers, end_stream=not request.body)
        if request.body:
            self._send(number, request.body)
        if number >= _LAST_STREAM:
            self._owner.retire()

    def _send(self, number: int, body: bytes) -> None:
        """Send a body as far as the windows allow; the rest follows when they open."""
        connection = self._h2
        while True:
            room = min(connection.local_flow_control_window(number), 16_384)
            if len(body) <= room:
                connection.send_data(number, body, end_stream=True)
                self._blocked.pop(number, None)
                return
            if room <= 0:
                self._blocked[number] = body
                return
            connection.send_data(number, body[:room])
            body = body[room:]

    def flush(self) -> None:
        if data := self._h2.data_to_send():
            self._owner.write(data)

    def cancel(self, exchange: Exchange) -> None:
        number = self._streams.get(exchange)
        if number is not None:
            self._reset(number)
            self._ended(number)
            self.flush()

    def _reset(self, number: int) -> None:
        stream = self._h2.streams.get(number)
        if stream is not None and not stream.closed:
            self._h2.reset_stream(number, ErrorCodes.CANCEL)

    def receive(self, data: bytes) -> None:
        self._pinged = False
        try:
            events = self._h2.receive_data(data)
            for event in events:
                handle = _HANDLERS.get(type(event))
                if handle is not None:
                    handle(self, event)
        except ProtocolError as wrong:
            self.flush()
            self._owner.abort(f"the server broke HTTP/2: {wrong}")
            return
        self.flush()
        self._owner.changed()

    def ping(self) -> bool:
        """Ask whether the server is there; False when the last question was not answered."""
        if self._pinged or not self.ready:
            return False
        self._pinged = True
        self._h2.ping(b"are-you?")
        self.flush()
        return True

    def close(self) -> None:
        self._h2.close_connection()
        self.flush()

    def drop(self) -> list[Exchange]:
        """Return what was not answered, and forget it."""
        left = list(self._exchanges.values())
        self._exchanges.clear()
        self._streams.clear()
        self._blocked.clear()
        return left

    # -- what the server said ---------------------------------------------------------------------

    def _on_settings(self, _event: h2.events.RemoteSettingsChanged) -> None:
        self.ready = True
        self._most = min(self._h2.remote_settings.max_concurrent_streams, MOST_STREAMS)
        self._resume()

    def _on_window(self, _event: h2.events.WindowUpdated) -> None:
        self._resume()

    def _resume(self) -> None:
        for number, body in list(self._blocked.items()):
            self._send(number, body)

    def _on_headers(self, event: h2.events.ResponseReceived) -> None:
        exchange = self._exchanges.get(event.stream_id or 0)
        if exchange is not None:
            headers = cast("dict[bytes, bytes]", dict(event.headers or ()))
            exchange.status = int(headers.get(b":status", b"0"))
            exchange.headers = headers

    def _on_data(self, event: h2.events.DataReceived) -> None:
        number = event.stream_id or 0
        # Without this, the server may send 65,535 bytes in the life of the connection: after
        # some 2,400 rejections it falls silent, in the middle of one (what ails aioapns 4.0).
        self._h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        exchange.body += event.data or b""
        if len(exchange.body) > self._most_bytes:
            exchange.body = exchange.body[: self._most_bytes]
            self._reset(number)
            self._ended(number)
            exchange.finish()

    def _on_end(self, event: h2.events.StreamEnded) -> None:
        number = event.stream_id or 0
        exchange = self._exchanges.get(number)
        if exchange is not None:
            self._reset(number)  # where a body was still to follow
            self._ended(number)
            exchange.finish()

    def _on_reset(self, event: h2.events.StreamReset) -> None:
        exchange = self._ended(event.stream_id or 0)
        if exchange is None:
            return
        if event.error_code == ErrorCodes.REFUSED_STREAM:  # RFC 9113, 8.7: not processed
            self._owner.again(exchange)
        else:
            exchange.fail(Lost(f"the server reset the stream: {event.error_code!s}"))

    def _on_goaway(self, event: h2.events.ConnectionTerminated) -> None:
        """Replay streams above the last id; those up to it may still be answered."""
        last = event.last_stream_id or 0
        self._owner.retire()
        for number in sorted((each for each in self._exchanges if each > last), reverse=True):
            self._reset(number)
            exchange = self._ended(number)
            if exchange is not None:
                self._owner.again(exchange)

    def _ended(self, number: int) -> Exchange | None:
        exchange = self._exchanges.pop(number, None)
        if exchange is not None:
            self._streams.pop(exchange, None)
        self._blocked.pop(number, None)
        self._h2.forget(number)
        return exchange


_HANDLERS: Mapping[type, Callable[[Http2, Any], None]] = {
    h2.events.RemoteSettingsChanged: Http2._on_settings,  # noqa: SLF001  # its own
    h2.events.WindowUpdated: Http2._on_window,  # noqa: SLF001
    h2.events.ResponseReceived: Http2._on_headers,  # noqa: SLF001
    h2.events.DataReceived: Http2._on_data,  # noqa: SLF001
    h2.events.StreamEnded: Http2._on_end,  # noqa: SLF001
    h2.events.StreamReset: Http2._on_reset,  # noqa: SLF001
    h2.events.ConnectionTerminated: Http2._on_goaway,  # noqa: SLF001
}
