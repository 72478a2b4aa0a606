"""Arrays as parameters, encoded in bulk: most statements of Nova take a column per parameter.

asyncpg asks of every element whether it is itself a sequence, through an abstract base class;
that is most of what an array costs. These codecs know that arrays have one dimension.
Format: array_recv in PostgreSQL's src/backend/utils/adt/arrayfuncs.c.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct, unpack_from
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HEADER = Struct(">iiIii")
_NO_ELEMENTS = Struct(">iiI")
_NULL = b"\xff\xff\xff\xff"


class Kind(NamedTuple):
    """One type of array: its object id, and its elements'."""

    name: str
    oid: int
    element_oid: int
    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def encoder(kind: Kind) -> Callable[[Sequence[Any]], bytes]:
    """Return what turns a sequence into a one-dimensional array."""
    element_oid, encode = kind.element_oid, kind.encode

    def encoded(values: Sequence[Any]) -> bytes:
        if not values:
            return _NO_ELEMENTS.pack(0, 0, element_oid)
        parts = [b""]
        nulls = 0
        for value in values:
            if value is None:
                nulls = 1
                parts.append(_NULL)
            else:
                data = encode(value)
                parts += (len(data).to_bytes(4), data)
        parts[0] = _HEADER.pack(1, nulls, element_oid, len(values), 1)
        return b"".join(parts)

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


def _timestamp(at: datetime) -> bytes:
    return ((at - _EPOCH) // _MICROSECOND).to_bytes(8, signed=True)


def _integer(size: int) -> tuple[Callable[[int], bytes], Callable[[bytes], int]]:
    return (
        lambda number: number.to_bytes(size, signed=True),
        lambda data: int.from_bytes(data, signed=True),
    )


KINDS = [
    Kind(
        "_bool", 1000, 16, lambda value: b"\x01" if value else b"\x00", lambda data: data != b"\0"
    ),
    Kind("_bytea", 1001, 17, bytes, bytes),
    Kind("_int2", 1005, 21, *_integer(2)),
    Kind("_int4", 1007, 23, *_integer(4)),
    Kind("_int8", 1016, 20, *_integer(8)),
    Kind("_text", 1009, 25, str.encode, bytes.decode),
    Kind(
        "_timestamptz",
        1185,
        1184,
        _timestamp,
        lambda data: _EPOCH + int.from_bytes(data, signed=True) * _MICROSECOND,
    ),
    Kind("_uuid", 2951, 2950, lambda value: value.bytes, lambda data: UUID(bytes=data)),
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
