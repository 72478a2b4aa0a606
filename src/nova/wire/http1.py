"""HTTP/1.1 (RFC 9112) as a client: one request after the other on a connection.

A recipient is lenient here, since the answers of webhooks are written by hand: line ends without
carriage return, folded headers, and bodies that the end of the connection ends are all read.
"""

from httptools import HttpParserError, HttpResponseParser

from nova.wire.exchange import Exchange
from nova.wire.http2 import Owner

IDLE_S = 4.0
"""Seconds after which an unused connection is closed: sooner than servers commonly do, since one
that closes while a request is on its way leaves it unknown whether that was processed."""
_FIRST_FINAL = 200
_TAKEN = 2
"""The first digit of a status that says so."""
_MOST_BESIDES = 65_536
"""Bytes of an answer besides its body, and beside as many again as that may have: headers, what
comes before an answer, and the sizes of chunks."""


class Http1:
    """The protocol on one connection."""

    ready = True

    def __init__(self, owner: Owner, *, authority: bytes, most_bytes: int) -> None:
        self._owner = owner
        self._host = b"\r\nhost: " + authority
        self._most_bytes = most_bytes
        self._exchange: Exchange | None = None
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_data_after_close=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._until_end = False
        self._received = 0
        self.answered = False
        self._out = b""

    @property
    def busy(self) -> int:
        return 0 if self._exchange is None else 1

    def room(self) -> int:
        return 1 if self._exchange is None else 0

    def start(self, exchange: Exchange) -> None:
        self._exchange, self._received, self._until_end = exchange, 0, False
        request = exchange.request
        lines = [b"POST " + request.path + b" HTTP/1.1" + self._host]
        lines += [name + b": " + value for name, value in (*request.steady, *request.own)]
        lines.append(b"content-length: %d\r\n\r\n" % len(request.body))
        self._out = b"\r\n".join(lines) + request.body

    def flush(self) -> None:
        if self._out:
            out, self._out = self._out, b""
            self._owner.write(out)

    def cancel(self, exchange: Exchange) -> None:
        """End the connection: there is no other way to want no reply."""
        if exchange is self._exchange:
            self.drop()
            self._owner.abort("the request was given up")

    def receive(self, data: bytes) -> None:
        if self._exchange is None:
            self._owner.abort("the server spoke unasked")
            return
        self._received += len(data)
        if self._received > 2 * self._most_bytes + _MOST_BESIDES:
            self._exchange.status = 0  # such a server's word does not count
            self._owner.abort("the server's answer has no end")
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as wrong:
            self._owner.abort(f"the server broke HTTP/1.1: {wrong}")
            return
        self._owner.changed()

    def ping(self) -> bool:
        return self._exchange is not None

    def ended(self) -> None:
        """Read the end of the connection as the end of a body without a length (6.3)."""
        if self._exchange is not None and self._until_end:
            self._finish(self._exchange, again=False)

    def close(self) -> None:
        """Nothing is said at the end."""

    def drop(self) -> list[Exchange]:
        """Return the request that has no reply.

        A status of 200 to 299 is one, whatever became of the rest: the server took the request,
        and to send it again would repeat it.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is not None and exchange.status // 100 == _TAKEN:
            self.answered = True
            exchange.finish()
        return [] if exchange is None else [exchange]

    # -- what the parser calls --------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._exchange is not None:
            self._exchange.headers = {}

    def on_status(self, _text: bytes) -> None:
        """Note the status at once: one of 200 to 299 counts whatever becomes of the rest."""
        status = self._parser.get_status_code()
        if self._exchange is not None and status >= _FIRST_FINAL:
            self._exchange.status = status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._exchange is not None:
            self._exchange.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        exchange = self._exchange
        if exchange is not None:
            self.on_status(b"")  # not called for a status without a reason
            coding = exchange.headers.get(b"transfer-encoding", b"").lower()
            sized = b"content-length" in exchange.headers or coding.endswith(b"chunked")
            self._until_end = exchange.status > 0 and not sized

    def on_body(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        exchange.body += data
        if len(exchange.body) > self._most_bytes:
            exchange.body = exchange.body[: self._most_bytes]
            self._finish(exchange, again=False)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is not None and exchange.status:
            self._finish(exchange, again=self._parser.should_keep_alive())

    def _finish(self, exchange: Exchange, *, again: bool) -> None:
        self._exchange = None
        self.answered = True
        exchange.finish()
        if not again:
            self._owner.retire()
