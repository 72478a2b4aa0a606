"""Deltas in Fossil's format: how to make one text of another, where that is shorter than the text.

Source: https://fossil-scm.org/home/doc/trunk/www/delta_format.wiki
"""

from array import array
from sys import byteorder

BLOCK = 16
"""Bytes that have to be equal before they are copied."""
MOST_SEARCHED = 2_048
"""Bytes between a common beginning and end; in more, nothing is searched that could be copied."""
_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_CHARACTER = 4
"""Bytes of one character of UTF-8, at most."""


def delta(source: bytes, target: bytes) -> bytes | None:
    """Return what makes `target` of `source`, or None if that is no shorter.

    It is cut between characters of UTF-8, where the texts are such.
    """
    parts = [_number(len(target)), b"\n"]
    at = 0
    for start, length, offset in _copies(source, target):
        if start > at:
            parts += [_number(start - at), b":", target[at:start]]
        parts += [_number(length), b"@", _number(offset), b","]
        at = start + length
    if at < len(target):
        parts += [_number(len(target) - at), b":", target[at:]]
    made = b"".join([*parts, _number(checksum(target)), b";"])
    return made if len(made) < len(target) else None


def checksum(data: bytes) -> int:
    """Return the sum of the big-endian words, of 32 bits."""
    words = array("I", data + bytes(-len(data) % 4))
    if byteorder == "little":
        words.byteswap()
    return sum(words) & 0xFFFFFFFF


def _copies(source: bytes, target: bytes) -> list[tuple[int, int, int]]:
    """Return where stretches of the target are, how long, and where in the source they are."""
    most = min(len(source), len(target))
    head = _equal(source, target, most)
    tail = _equal(source[::-1], target[::-1], most - head)
    end = len(target) - tail
    found = [(0, head, 0)]
    if end - head <= MOST_SEARCHED:
        found += _searched(source, target, head, end)
    found.append((end, tail, len(source) - tail))
    between = (_between_characters(target, *one) for one in found)
    return [one for one in between if one[1] >= BLOCK]


def _equal(one: bytes, other: bytes, most: int) -> int:
    """Return how many bytes are the same at the beginning of two texts, up to `most`."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _searched(source: bytes, target: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    blocks = {
        source[start : start + BLOCK]: start for start in range(0, len(source) - BLOCK + 1, BLOCK)
    }
    found = []
    while at <= end - BLOCK:
        start = blocks.get(target[at : at + BLOCK])
        if start is None:
            at += 1
            continue
        length = _equal(source[start:], target[at:end], min(len(source) - start, end - at))
        found.append((at, length, start))
        at += length
    return found


def _between_characters(
    target: bytes, start: int, length: int, offset: int
) -> tuple[int, int, int]:
    """Shorten a stretch so that it neither begins nor ends within a character."""
    skipped = 0
    while skipped < min(length, _CHARACTER) and _is_within(target, start + skipped):
        skipped += 1
    start, length, offset = start + skipped, length - skipped, offset + skipped
    for _ in range(_CHARACTER):
        if length and _is_within(target, start + length):
            length -= 1
    return start, length, offset


def _is_within(text: bytes, at: int) -> bool:
    return at < len(text) and text[at] & 0xC0 == 0x80  # noqa: PLR2004  # a continuation byte


def _number(number: int) -> bytes:
    digits = bytearray()
    while number or not digits:
        digits.append(_DIGITS[number & 63])
        number >>= 6
    return bytes(reversed(digits))
