"""Arrays as parameters, encoded in bulk: most statements of Nova take a column per parameter.

asyncpg asks of every element whether it is itself a sequence, through an abstract base class;
that is most of what an array costs. These codecs know that arrays have one dimension.
Format: array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
"""

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from struct import Struct, unpack_from
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEADER = Struct(">iiIii")
_NO_ELEMENTS = Struct(">iiI")
_NULL = b"\xff\xff\xff\xff"
_REFUSED_NONE = (TypeError, AttributeError, KeyError, struct.error)
"""What encoders raise for None: asking each element first would cost more than encoding it."""


class _Sizes(dict[int, bytes]):
    """Sizes as PostgreSQL reads them; the usual ones are made once."""

    def __missing__(self, size: int) -> bytes:
        return size.to_bytes(4)


_size = _Sizes((size, size.to_bytes(4)) for size in range(1024)).__getitem__


class Kind(NamedTuple):
    """One type of array: its object id, and its elements'."""

    name: str
    oid: int
    element_oid: int
    size: int
    """Bytes of an element; 0 if they differ."""
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def encoder(kind: Kind) -> Callable[[Sequence[Any]], bytes]:
    """Return what turns a sequence into a one-dimensional array."""
    element_oid, encode = kind.element_oid, kind.encode
    prefix = kind.size.to_bytes(4)

    def encoded(values: Sequence[Any]) -> bytes:
        if not values:
            return _NO_ELEMENTS.pack(0, 0, element_oid)
        try:
            elements = whole(values)
            nulls = 0
        except _REFUSED_NONE:
            elements = b"".join(_NULL if each is None else sized(each) for each in values)
            nulls = 1
        return _HEADER.pack(1, nulls, element_oid, len(values), 1) + elements

    def whole(values: Sequence[Any]) -> bytes:
        if kind.size:
            return prefix + prefix.join(map(encode, values))
        elements = [*map(encode, values)]
        parts = [b""] * (2 * len(elements))
        parts[::2] = map(_size, map(len, elements))  # no Python code per element
        parts[1::2] = elements
        return b"".join(parts)

    def sized(value: Any) -> bytes:
        data = encode(value)
        return _size(len(data)) + data

    return encoded


def decoder(kind: Kind) -> Callable[[bytes], list[Any]]:
    """Return what turns a one-dimensional array into a list."""

    def decoded(data: bytes) -> list[Any]:
        dimensions = unpack_from(">i", data)[0]
        if dimensions == 0:
            return []
        count, at = unpack_from(">i", data, 12)[0], _HEADER.size
        values = []
        for _ in range(count):
            length = unpack_from(">i", data, at)[0]
            at += 4
            values.append(None if length < 0 else kind.decode(data[at : at + max(0, length)]))
            at += max(0, length)
        return values

    return decoded


@lru_cache(maxsize=4096)  # rows of one statement mostly share theirs
def _timestamp(at: datetime) -> bytes:
    return ((at - _EPOCH) // _MICROSECOND).to_bytes(8, signed=True)


def _integer(size: int) -> tuple[Callable[[int], bytes], Callable[[bytes], int]]:
    return (
        Struct({2: ">h", 4: ">i", 8: ">q"}[size]).pack,
        lambda data: int.from_bytes(data, signed=True),
    )


KINDS = [
    Kind(
        "_bool",
        1000,
        16,
        1,
        {True: b"\x01", False: b"\x00"}.__getitem__,
        lambda data: data != b"\0",
    ),
    Kind("_bytea", 1001, 17, 0, bytes, bytes),
    Kind("_int2", 1005, 21, 2, *_integer(2)),
    Kind("_int4", 1007, 23, 4, *_integer(4)),
    Kind("_int8", 1016, 20, 8, *_integer(8)),
    Kind("_text", 1009, 25, 0, str.encode, bytes.decode),
    Kind(
        "_timestamptz",
        1185,
        1184,
        8,
        _timestamp,
        lambda data: _EPOCH + int.from_bytes(data, signed=True) * _MICROSECOND,
    ),
    Kind("_uuid", 2951, 2950, 16, attrgetter("bytes"), lambda data: UUID(bytes=data)),
]


def register(connection: asyncpg.Connection) -> None:
    """Use these codecs on a connection.

    asyncpg offers codecs of its users for scalars only, so this goes one layer below its
    `set_type_codec`; tests/adapters/test_arrays.py would notice a change there.
    """
    settings = connection._protocol.get_settings()  # noqa: SLF001  # see above
    for kind in KINDS:
        settings.add_python_codec(
            kind.oid,
            kind.name,
            "pg_catalog",
            [],  # nothing to look up in the catalogue
            "scalar",
            encoder(kind),
            decoder(kind),
            "binary",
        )
