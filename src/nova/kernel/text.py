"""Text from outside: bounded, without NUL, fit for PostgreSQL and JSON.

Lone surrogates never get this far: msgspec refuses them while decoding.
"""

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
