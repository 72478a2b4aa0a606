"""Text from outside: bounded, without NUL, fit for PostgreSQL and JSON.

Lone surrogates never get this far: msgspec refuses them while decoding.
"""

from typing import Annotated

from msgspec import Meta

_NO_NUL = r"\A[^\x00]*\Z"

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=_NO_NUL)]
"""An id, a key or a short label: 1 to 128 characters."""

NameOrNone = Annotated[str, Meta(max_length=128, pattern=_NO_NUL)]
"""A name, or empty for none."""

Line = Annotated[str, Meta(max_length=512, pattern=_NO_NUL)]
"""One line that people read: up to 512 characters."""

Body = Annotated[str, Meta(max_length=10_000, pattern=_NO_NUL)]
"""Running text that people read: up to 10,000 characters."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A natural number that JavaScript can hold exactly."""
