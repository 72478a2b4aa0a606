"""Text from outside: bounded, without NUL, fit for PostgreSQL and JSON.

Lone surrogates never get this far: msgspec refuses them while decoding.
"""

import unicodedata
from typing import Annotated

from msgspec import Meta

SPELLED = "spelled"


def spelled(pattern: str, words: str) -> Meta:
    """Return a pattern for an annotation; refusals say `words` in its place."""
    return Meta(pattern=pattern, extra={SPELLED: words})


NO_NUL = spelled(r"\A[^\x00]*\Z", "text without the character U+0000")
NO_SPACE = spelled(r"\A[^\x00-\x20\x7f]+\Z", "text without spaces and control characters")

Slug = Annotated[
    str,
    Meta(min_length=1, max_length=64),
    spelled(r"\A[a-z][a-z0-9_-]*\Z", "a name such as new_follower: a-z, then 0-9, _ and -, too"),
]
"""A name that programs use."""

Name = Annotated[str, Meta(min_length=1, max_length=128), NO_NUL]
"""An id, a key or a short label: 1 to 128 characters."""

NameOrNone = Annotated[str, Meta(max_length=128), NO_NUL]
"""A name, or empty for none."""

Line = Annotated[str, Meta(max_length=512), NO_NUL]
"""One line that people read: up to 512 characters."""

Body = Annotated[str, Meta(max_length=10_000), NO_NUL]
"""Running text that people read: up to 10,000 characters."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A natural number that JavaScript can hold exactly."""

_LONGEST = 32
"""Code points of one visible character; what stacks up more is cut anywhere."""
_ZERO_WIDTH_JOINER = "\u200d"
_GLUED = {_ZERO_WIDTH_JOINER, "\u200c", "\u0e33", "\u0eb3"}  # the last two: Thai and Lao AM
_GLUED.update(map(chr, range(0x1F3FB, 0x1F400)))  # skin tones
_GLUED.update(map(chr, range(0x1160, 0x1200)))  # Hangul vowels and finals
_GLUED.update(map(chr, range(0xE0020, 0xE0080)))  # tags: the flags of Scotland and Wales
_FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))


def beginning(text: str, most: int) -> str:
    """Return up to so many code points, without tearing apart what people see as one character.

    The cheap part of Unicode's grapheme clusters (UAX 29): marks, joined emoji, flags, jamo.
    """
    if len(text) <= most:
        return text
    places = range(most, max(most - _LONGEST, 0), -1)
    return text[: next((at for at in places if not _tears(text, at)), most)]


def _tears(text: str, at: int) -> bool:
    """Tell whether a cut before a code point goes through a visible character."""
    after, before = text[at], text[at - 1]
    if after in _FLAG_LETTERS:
        letters = len(text[:at]) - len(text[:at].rstrip("".join(_FLAG_LETTERS)))
        return letters % 2 == 1
    return (
        after in _GLUED
        or before == _ZERO_WIDTH_JOINER
        or unicodedata.category(after) in {"Mn", "Mc", "Me"}
    )
