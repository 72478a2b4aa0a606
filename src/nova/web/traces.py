"""W3C Trace Context: joining the caller's trace, or starting one."""

import re
from random import getrandbits

from msgspec import Struct

_SHAPE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


class Trace(Struct, frozen=True, gc=False):
    """The trace that a request belongs to, and Nova's own span in it."""

    id: str
    parent: str
    """The traceparent that goes on with whatever the request causes."""


def joined(traceparent: bytes | None) -> Trace:
    """Return the caller's trace; a new one when there is none or it is malformed."""
    shape = _SHAPE.fullmatch(traceparent) if traceparent is not None else None
    if shape is not None:
        trace, flags = shape[1].decode(), shape[2].decode()
        return Trace(trace, f"00-{trace}-{getrandbits(64) | 1:016x}-{flags}")
    fresh = getrandbits(192) | 1 | 1 << 64  # unguessable they need not be
    trace = f"{fresh >> 64:032x}"
    return Trace(trace, f"00-{trace}-{fresh & (1 << 64) - 1:016x}-01")
