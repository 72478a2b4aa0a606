"""Ids: UUIDv7 (RFC 9562) for everything that Nova makes, so that ids sort by birth."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

_CANONICAL = 36  # characters


def new_id() -> UUID:
    """Return a new UUIDv7; ids made by one process increase."""
    return uuid7()


def parse_id(text: str) -> UUID | None:
    """Return the UUID that `text` spells in its canonical form, or None."""
    if len(text) != _CANONICAL:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def least_id(at: datetime) -> UUID:
    """Return the least UUIDv7 of a moment: what was made from then on has a greater one."""
    return UUID(int=int(at.timestamp() * 1000) << 80)
