"""A codec on a kind of transport: the very bytes that go out, made once for all who get them."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from nova.ports.channels import Publication
from nova.web.realtime.codecs import JSON, PROTOBUF, Codec, as_json, in_quotes, one_line, pub
from nova.web.realtime.codes import Closing
from nova.web.realtime.deltas import delta
from nova.web.realtime.messages import PING, Command, Pub, Push, Reply

_SHORT, _MEDIUM = 126, 1 << 16


Base = bytes | None
"""What a client got last, as it reads it; None for nothing yet."""
NO_DELTA: Base = b"-"
"""Marks, by identity, a client that takes no deltas."""


class Wire:
    """Encodes for one codec and one kind of transport; compared by identity."""

    __slots__ = ("_codec", "_framed", "binary", "ping")

    def __init__(self, codec: Codec, framed: Callable[[bytes], bytes]) -> None:
        self._codec = codec
        self._framed = framed
        self.binary = codec.binary
        self.ping = self.replies([PING])

    def commands(self, frame: bytes) -> Iterable[Command]:
        return self._codec.commands(frame)

    def replies(self, replies: Sequence[Reply]) -> bytes:
        return self._framed(self._codec.replies(replies))

    def publication(self, publication: Publication) -> bytes:
        return self._framed(self._codec.publication(publication))

    def pub(self, publication: Publication, *, in_bytes: bool, base: Base = NO_DELTA) -> Pub:
        """Return a publication as this client reads it, on the slow path.

        `in_bytes` says that it may be something else than JSON. With a `base` other than NO_DELTA,
        the client keeps what it got last, and JSON comes to it as a text.
        """
        whole = self.kept(publication, in_bytes=in_bytes)
        if base is NO_DELTA:
            return pub(publication, whole)
        made = delta(base, whole) if base else None
        if self.binary:
            return pub(publication, made or whole, is_delta=made is not None)
        text = in_quotes(made) if made else None
        return pub(publication, text or in_quotes(whole), is_delta=text is not None)

    def kept(self, publication: Publication, *, in_bytes: bool) -> bytes:
        """Return what a client that takes deltas keeps of a publication."""
        if self.binary:
            return publication.data
        return one_line(as_json(publication.data) if in_bytes else publication.data)

    def differing(self, publication: Publication, base: Base, *, in_bytes: bool) -> bytes:
        """Return the frame that pushes a publication to who keeps what it got last."""
        said = self.pub(publication, in_bytes=in_bytes, base=base)
        return self.replies([Reply(push=Push(channel=publication.channel, pub=said))])


class Transport(Protocol):
    """The way to one client."""

    def write(self, frame: bytes) -> int:
        """Send, or queue, without waiting; return how many bytes now wait for the client."""

    def close(self, closing: Closing) -> None:
        """Tell the client why, and end the connection once what was written is out."""

    def abort(self, closing: Closing) -> None:
        """End the connection at once, whatever still waits for the client."""

    def hold(self) -> None:
        """Read no more from the client until `flow`: it sends faster than it can be answered."""

    def flow(self) -> None: ...


def _header(opcode: int, length: int) -> bytes:
    """Return the header of a final, unmasked frame (RFC 6455 5.2)."""
    if length < _SHORT:
        return bytes((0x80 | opcode, length))
    if length < _MEDIUM:
        return bytes((0x80 | opcode, 126)) + length.to_bytes(2)
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8)


def _text(payload: bytes) -> bytes:
    return _header(0x1, len(payload)) + payload


def _binary(payload: bytes) -> bytes:
    return _header(0x2, len(payload)) + payload


def _event(payload: bytes) -> bytes:
    return b"data: " + payload.replace(b"\n", b"\ndata: ") + b"\n\n"


def _line(payload: bytes) -> bytes:
    return payload + b"\n"


WEBSOCKET_JSON = Wire(JSON, _text)
WEBSOCKET_PROTOBUF = Wire(PROTOBUF, _binary)
PLAIN_JSON = Wire(JSON, bytes)
"""Unframed, for servers that frame WebSocket messages themselves."""
PLAIN_PROTOBUF = Wire(PROTOBUF, bytes)
STREAM_JSON = Wire(JSON, _line)
STREAM_PROTOBUF = Wire(PROTOBUF, bytes)
EVENTS = Wire(JSON, _event)
