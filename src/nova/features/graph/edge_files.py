"""Files of edges, a line each: JSON Lines or CSV, read a stretch at a time."""

import csv
import io
from collections.abc import Sequence

import msgspec
from msgspec import Struct

LONGEST_LINE = 4_096
"""Bytes; two ids of 128 characters are far below."""


class Line(Struct, frozen=True, gc=False):
    """Who follows whom, by either id, as a line of JSON."""

    follower: str
    followee: str


class Read(Struct, frozen=True):
    """What a stretch of a file says."""

    numbers: Sequence[int]
    """Of the lines, counting from one."""
    followers: Sequence[str]
    followees: Sequence[str]
    problems: Sequence[tuple[int, str]]
    lines: int
    """How many there were, empty ones too."""


_line = msgspec.json.Decoder(Line)
HEADER = ["follower", "followee"]


def json_lines(stretch: bytes, first: int) -> Read:
    """Read whole lines of JSON; `first` is the number of the first one."""
    count = lines_in(stretch)
    try:
        found = _line.decode_lines(stretch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = []
    if len(found) == count:
        return Read(
            range(first, first + count),
            [each.follower for each in found],
            [each.followee for each in found],
            (),
            count,
        )
    return _one_by_one(stretch, first)


def comma_separated(stretch: bytes, first: int) -> Read:
    """Read whole lines of `follower,followee`; the file's first line may name the columns."""
    text = stretch.decode("utf-8", "replace")
    good: list[tuple[int, str, str]] = []
    problems: list[tuple[int, str]] = []
    for number, raw in enumerate(io.StringIO(text), first):
        try:
            cells = next(csv.reader([raw], strict=True), [])
        except csv.Error as wrong:
            problems.append((number, f"not CSV: {wrong}"))
            continue
        if len(cells) == len(HEADER):
            if number > 1 or cells != HEADER:
                good.append((number, cells[0].strip(), cells[1].strip()))
        elif cells:
            problems.append((number, "expected follower,followee"))
    return _read(good, problems, lines_in(stretch))


def lines_in(stretch: bytes) -> int:
    return stretch.count(b"\n") + (not stretch.endswith(b"\n") and bool(stretch))


def _one_by_one(stretch: bytes, first: int) -> Read:
    """Read each line by itself, to tell which ones are bad."""
    good: list[tuple[int, str, str]] = []
    problems: list[tuple[int, str]] = []
    for number, raw in enumerate(stretch.split(b"\n"), first):
        if not raw.strip():
            continue
        try:
            line = _line.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            problems.append((number, f'expected {{"follower": …, "followee": …}}: {wrong}'))
        else:
            good.append((number, line.follower, line.followee))
    return _read(good, problems, lines_in(stretch))


def _read(
    good: Sequence[tuple[int, str, str]], problems: Sequence[tuple[int, str]], lines: int
) -> Read:
    numbers, followers, followees = zip(*good, strict=True) if good else ((), (), ())
    return Read(numbers, followers, followees, problems, lines)
