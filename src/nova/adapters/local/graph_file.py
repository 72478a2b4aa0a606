"""The graph index in a file, so that a restart need not read every follow from the truth."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from nova.adapters.local.graph import LocalGraph
from nova.adapters.local.rows import Side

FORMAT = 1
HEADER = 4_096
"""Bytes before the numbers; the header is written last."""
CELL = 4
CHECKED = 1 << 20
"""Bytes whose checksum is taken at once."""
DAMAGED = (msgspec.DecodeError, UnicodeDecodeError, EOFError)


class _Header(Struct, frozen=True):
    format: int
    numbers: tuple[int, int]
    """How many cells the lists there and back have."""
    people: tuple[int, int]
    checksum: int
    mark: str


class GraphFile:
    """Keeps an index in a file, with a mark that says how far it had got.

    Numbers are in the machine's own order: the file is of use on this machine only.
    """

    def __init__(self, index: LocalGraph, path: Path) -> None:
        self._index = index
        self._path = path

    async def keep(self, mark: str) -> None:
        """Write the index, some people at a time; changes made meanwhile may be in it or not."""
        sides = self._index.sides()
        unfinished = self._path.with_suffix(".new")
        private = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(private, "wb") as file:
            file.write(bytes(HEADER))
            summed = _Summed(file)
            numbers, counts = [], []
            for rows in sides:
                lengths = []
                for cells, count in rows.stretches():
                    summed.write(cells)
                    lengths.append(count.astype(np.int32))
                    await asyncio.sleep(0)
                counts.append(np.concatenate(lengths or [np.empty(0, np.int32)]))
                numbers.append(int(counts[-1].sum(dtype=np.int64)))
            for each in counts:
                summed.write(each)
            header = _Header(
                FORMAT,
                (numbers[0], numbers[1]),
                (len(counts[0]), len(counts[1])),
                summed.checksum,
                mark,
            )
            file.seek(0)
            file.write(msgspec.json.encode(header).ljust(HEADER))
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        unfinished.replace(self._path)

    def mark(self) -> str | None:
        """Return the mark of what is kept; of a file of another version there is none."""
        with suppress(FileNotFoundError, *DAMAGED), self._path.open("rb") as file:
            header = _header(file)
            return header.mark if header.format == FORMAT else None
        return None

    async def load(self) -> bool:
        """Take over what is kept. False if it is damaged; the index is then as it was."""
        try:
            with self._path.open("rb") as file:
                sides = await asyncio.to_thread(_sides, file, _header(file))
        except (FileNotFoundError, *DAMAGED):
            return False
        self._index.load(*sides)
        return True


class _Summed:
    """Writes numbers and takes their checksum."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.checksum = 0

    def write(self, numbers: NDArray[np.generic]) -> None:
        data = numbers.tobytes()
        self._file.write(data)
        self.checksum = crc32(data, self.checksum)


def _header(file: BinaryIO) -> _Header:
    return msgspec.json.decode(file.read(HEADER).rstrip(b" \0"), type=_Header)


def _sides(file: BinaryIO, header: _Header) -> tuple[Side, Side]:
    """Read both sides. Raises EOFError when they are not what was written."""
    sizes = (*header.numbers, *header.people)
    # A damaged header may ask for more than there is memory.
    if min(sizes) < 0 or os.fstat(file.fileno()).st_size != HEADER + CELL * sum(sizes):
        raise EOFError
    cells = [np.fromfile(file, np.uint32, count) for count in header.numbers]
    counts = [np.fromfile(file, np.int32, count) for count in header.people]
    checksum = 0
    for each in (*cells, *counts):
        data = each.view(np.uint8)
        for start in range(0, len(data), CHECKED):
            checksum = crc32(data[start : start + CHECKED].data, checksum)
    sums = tuple(int(each.sum(dtype=np.int64)) for each in counts)
    if checksum != header.checksum or sums != header.numbers:
        raise EOFError
    return (counts[0], cells[0]), (counts[1], cells[1])
