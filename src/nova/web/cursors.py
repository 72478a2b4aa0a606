"""Cursors: where a list goes on, opaque to the client and good for nothing else."""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from typing import Any, Generic, TypeVar

import msgspec

from nova.kernel.errors import Malformed

T = TypeVar("T")

_MAC = 16  # bytes: HMAC-SHA256, truncated (RFC 2104, section 5)
LONGEST = 512  # characters


class BadCursor(Malformed):
    """The cursor is not one that this list gave to this caller."""

    code = "bad_cursor"
    hint = "Pass `next_cursor` as it came, with the same filters; start without a cursor."


class Cursors(Generic[T]):
    """The cursors of one kind of list; `place` is a type that msgspec can encode.

    `Cursors(secret, "inbox", tuple[datetime, UUID])`. A cursor holds for the owner (and
    filters) it was made for; the place inside is readable, not secret.
    """

    def __init__(self, secret: bytes, kind: str, place: Any) -> None:
        self._key = hmac.digest(secret, b"nova cursor " + kind.encode(), "sha256")
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(place).decode

    def seal(self, owner: str, place: T) -> str:
        """Return the cursor of a place in the owner's list."""
        packed = self._encode(place)
        return urlsafe_b64encode(self._mac(owner, packed) + packed).rstrip(b"=").decode()

    def open(self, owner: str, cursor: str) -> T:
        """Return the place; raise BadCursor for any other owner's, kind's or made-up cursor."""
        if len(cursor) > LONGEST:
            raise BadCursor
        try:
            sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        except ValueError:
            raise BadCursor from None
        mac, packed = sealed[:_MAC], sealed[_MAC:]
        if not hmac.compare_digest(mac, self._mac(owner, packed)):
            raise BadCursor
        try:
            place: T = self._decode(packed)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise BadCursor from None
        return place

    def _mac(self, owner: str, packed: bytes) -> bytes:
        signed = b"%d:%s%s" % (len(owner.encode()), owner.encode(), packed)
        return hmac.new(self._key, signed, sha256).digest()[:_MAC]
