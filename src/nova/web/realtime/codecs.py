"""The two encodings of the protocol: lines of JSON, and length-delimited Protobuf."""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, Protocol, Union, get_args, get_origin, get_type_hints

import msgspec
from google.protobuf.message import DecodeError, Message
from msgspec import UNSET, Raw, Struct

from nova.ports.channels import Publication
from nova.web.realtime import client_pb2 as pb
from nova.web.realtime.messages import PING, ClientInfo, Command, Pub, Push, Reply

MOST_COMMANDS = 4096
"""Commands of one frame."""
PIECE = 4096
"""Bytes of a JSON frame that are decoded at a time."""


class Undecodable(ValueError):
    """Bytes that are not commands."""


class Codec(Protocol):
    """Turns frames into commands, and replies into frames."""

    name: str
    binary: bool

    def commands(self, frame: bytes) -> Iterable[Command]:
        """Return the commands of a frame, decoded a few at a time. Raises Undecodable, then too."""

    def replies(self, replies: Sequence[Reply]) -> bytes: ...

    def publication(self, publication: Publication) -> bytes:
        """Return the frame that pushes a publication."""


class Json:
    """One JSON object a line."""

    name = "json"
    binary = False

    def __init__(self) -> None:
        self._decoder = msgspec.json.Decoder(Command)
        self._encode = msgspec.json.Encoder().encode

    def commands(self, frame: bytes) -> Iterable[Command]:
        return self._decoded(frame) if len(frame) <= PIECE else self._in_pieces(frame)

    def _in_pieces(self, frame: bytes) -> Iterator[Command]:
        if frame.count(b"\n") >= MOST_COMMANDS:
            raise Undecodable("too many commands")
        at = 0
        while at < len(frame):
            end = frame.find(b"\n", at + PIECE) + 1 or len(frame)
            try:
                commands = self._decoded(frame[at:end])
            except Undecodable:
                if end == len(frame):
                    raise
                end = len(frame)  # the line may have ended within a command
                commands = self._decoded(frame[at:])
            yield from commands
            at = end

    def _decoded(self, lines: bytes) -> list[Command]:
        try:
            return self._decoder.decode_lines(lines)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            raise Undecodable(str(wrong)) from wrong

    def replies(self, replies: Sequence[Reply]) -> bytes:
        return b"\n".join(map(self._encode, replies))

    def publication(self, publication: Publication) -> bytes:
        # By hand, since this is the hot path: data is JSON already.
        info = b"" if publication.info is None else b',"info":' + publication.info
        offset = b',"offset":%d' % publication.offset if publication.offset else b""
        return b'{"push":{"channel":%b,"pub":{"data":%b%b%b}}}' % (
            self._encode(publication.channel),
            one_line(publication.data),
            info,
            offset,
        )


class Protobuf:
    """Each message after its length, as a varint."""

    name = "protobuf"
    binary = True

    def commands(self, frame: bytes) -> Iterator[Command]:
        at = count = 0
        while at < len(frame):
            count += 1
            if count > MOST_COMMANDS:
                raise Undecodable("too many commands")
            try:
                length, at = _varint(frame, at)
                if at + length > len(frame):
                    raise Undecodable("a message is longer than its frame")
                command = _read(pb.Command.FromString(frame[at : at + length]), Command)
            except (DecodeError, IndexError, msgspec.ValidationError) as wrong:
                raise Undecodable(str(wrong)) from wrong
            at += length
            yield command

    def replies(self, replies: Sequence[Reply]) -> bytes:
        return b"".join(map(self._reply, replies))

    def publication(self, publication: Publication) -> bytes:
        said = pub(publication, publication.data)  # as it is: nothing here ends at a line's end
        push = Push(channel=publication.channel, pub=said)
        return self._reply(Reply(push=push))

    @staticmethod
    def _reply(reply: Reply) -> bytes:
        if reply is PING:
            return b"\x00"
        message = pb.Reply()
        _fill(message, reply)
        body = message.SerializeToString()
        return _length(len(body)) + body


def pub(publication: Publication, data: bytes | None = None, *, is_delta: bool = False) -> Pub:
    """Return a publication as replies carry it; with other data, if that is given."""
    info = publication.info
    return Pub(
        data=Raw(one_line(publication.data) if data is None else data),
        info=None if info is None else msgspec.json.decode(info, type=ClientInfo),
        offset=publication.offset,
        delta=is_delta,
    )


def as_json(data: bytes) -> bytes:
    """Return data as JSON clients get it: what is no JSON as a text in base64."""
    return data if is_json(data) else b'"%b"' % b64encode(data)


def in_quotes(data: bytes) -> bytes | None:
    """Return UTF-8 as a text of JSON; None for other bytes."""
    try:
        return msgspec.json.encode(data.decode())
    except UnicodeDecodeError:
        return None


def one_line(data: bytes) -> bytes:
    """Return JSON without line ends: they end a message."""
    return msgspec.json.format(data, indent=-1) if b"\n" in data or b"\r" in data else data


def is_json(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=Raw)
        data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _varint(frame: bytes, at: int) -> tuple[int, int]:
    """Return the number that starts at `at`, and where it ends. Raises IndexError."""
    number = shift = 0
    while shift < 35:  # noqa: PLR2004  # five groups of seven bits hold 32
        byte = frame[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  # no more groups
            return number, at
        shift += 7
    raise Undecodable("a length is longer than 32 bits")


def _length(number: int) -> bytes:
    groups = bytearray()
    while number > 0x7F:  # noqa: PLR2004  # seven bits to a byte
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


_hints = cache(get_type_hints)


def _fill(message: Any, struct: Struct) -> None:
    """Set the fields of a Protobuf message from those of the same name."""
    for name in struct.__struct_fields__:
        value = getattr(struct, name)
        if isinstance(value, Struct):
            inner = getattr(message, name)
            inner.SetInParent()
            _fill(inner, value)
        elif isinstance(value, list):
            for each in value:
                _fill(getattr(message, name).add(), each)
        elif isinstance(value, dict):
            for key, each in value.items():
                _fill(getattr(message, name)[key], each)
        elif isinstance(value, Raw):
            setattr(message, name, bytes(value))
        elif value is not None and value is not UNSET:
            setattr(message, name, value)


def _read(message: Message, kind: Any) -> Any:
    """Return the struct whose fields have the names of a Protobuf message's."""
    values: dict[str, Any] = {}
    hints = _hints(kind)
    for field, value in message.ListFields():
        values[field.name] = _value(value, hints[field.name]) if field.name in hints else None
    # Bounds are those of the JSON form.
    return msgspec.convert(kind(**values), kind, from_attributes=True) if values else kind()


def _value(value: Any, hint: Any) -> Any:
    if isinstance(value, bytes):
        return Raw(value)
    inner = _struct(hint)
    if inner is None:
        return value
    if isinstance(value, Message):
        return _read(value, inner)
    return {key: _read(value[key], inner) for key in value}


def _struct(hint: Any) -> type[Struct] | None:
    """Return the struct inside `hint`: itself, of a union, or of a dictionary's values."""
    if isinstance(hint, type) and issubclass(hint, Struct) and hint is not Raw:
        return hint
    if get_origin(hint) in {dict, Union} or hasattr(hint, "__args__"):
        return next((found for each in get_args(hint) if (found := _struct(each))), None)
    return None


JSON = Json()
PROTOBUF = Protobuf()
