"""HPACK (RFC 7541) for requests that differ in a few headers only.

The encoder of the hpack package searches its tables and Huffman-codes in Python: 60 µs for a push.
This one takes 5: what is repeated goes into the table once and is an index from then on; what is
not, is sent as it stands.
"""

from collections.abc import Iterable

_STATIC = {
    (b":method", b"GET"): 2,
    (b":method", b"POST"): 3,
    (b":scheme", b"http"): 6,
    (b":scheme", b"https"): 7,
}
_NAMES = {
    b":authority": 1,
    b":method": 2,
    b":path": 4,
    b":scheme": 6,
    b"authorization": 23,
    b"content-encoding": 26,
    b"content-length": 28,
    b"content-type": 31,
}
_FIRST_DYNAMIC = 62
_ENTRY_BYTES = 32  # what an entry counts beside its name and value (RFC 7541, 4.1)
_MOST_BYTES = 4096
_MOST_ENTRIES = 60  # so that an index is one byte
_BLOCKS_BETWEEN_RESETS = 1000  # a table that is always full would be filled anew in every block
_INDEXED = [bytes((0x80 | index,)) for index in range(_FIRST_DYNAMIC + _MOST_ENTRIES)]


def integer(value: int, bits: int, first: int = 0) -> bytes:
    """Return an integer with a prefix of `bits` bits in a byte that begins as `first`."""
    most = (1 << bits) - 1
    if value < most:
        return bytes((first | value,))
    out = bytearray((first | most,))
    value -= most
    while value >= 128:  # noqa: PLR2004  # seven bits a byte
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _literal(name: bytes, bits: int, first: int) -> bytes:
    """Return the beginning of a literal: its kind and its name."""
    if index := _NAMES.get(name):
        return integer(index, bits, first)
    return bytes((first,)) + integer(len(name), 7) + name


class Encoder:
    """The encoder of one connection."""

    def __init__(self) -> None:
        self._limit = _MOST_BYTES
        self._size = 0
        self._places: dict[tuple[bytes, bytes], int] = {}
        self._prefixes: dict[bytes, bytes] = {}
        self._updates: list[int] = []
        self._full = False
        self._blocks = 0

    @property
    def header_table_size(self) -> int:
        return self._limit

    @header_table_size.setter
    def header_table_size(self, size: int) -> None:
        limit = min(size, _MOST_BYTES)
        if limit != self._limit:
            self._limit = limit
            self._empty()

    def _empty(self) -> None:
        """Begin the table anew; the next block tells so by its size, nothing and back."""
        self._places.clear()
        self._size, self._blocks, self._full = 0, 0, False
        self._updates = [0, self._limit]

    def encode(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return a header block; only what is `indexable` (or a plain tuple) enters the table."""
        self._blocks += 1
        if self._full and self._blocks > _BLOCKS_BETWEEN_RESETS:
            self._empty()
        out = bytearray()
        for size in self._updates:
            out += integer(size, 5, 0x20)
        self._updates.clear()
        places = self._places
        for header in headers:
            place = places.get(header)
            if place is not None:
                out += _INDEXED[_FIRST_DYNAMIC - 1 + len(places) - place]
            elif header in _STATIC:
                out += _INDEXED[_STATIC[header]]
            elif getattr(header, "indexable", True) and self._fits(header):
                out += self._remembered(header)
            else:
                out += self._once(header)
        return bytes(out)

    def _fits(self, header: tuple[bytes, bytes]) -> bool:
        size = len(header[0]) + len(header[1]) + _ENTRY_BYTES
        if self._size + size <= self._limit and len(self._places) < _MOST_ENTRIES:
            return True
        self._full = True
        return False

    def _remembered(self, header: tuple[bytes, bytes]) -> bytes:
        name, value = header
        self._places[name, value] = len(self._places)
        self._size += len(name) + len(value) + _ENTRY_BYTES
        return _literal(name, 6, 0x40) + integer(len(value), 7) + value

    def _once(self, header: tuple[bytes, bytes]) -> bytes:
        name, value = header
        prefix = self._prefixes.get(name)
        if prefix is None:
            prefix = self._prefixes[name] = _literal(name, 4, 0x10)
        return prefix + integer(len(value), 7) + value
