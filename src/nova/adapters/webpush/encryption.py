"""Encryption of messages for browsers (RFC 8291, over the coding aes128gcm of RFC 8188)."""

import os
from functools import lru_cache
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nova.kernel.clock import Clock
from nova.wire.jws import from_base64url

MOST_PLAIN = 3993
"""Bytes of plaintext that fit into one record of a message of 4096 bytes (RFC 8291, 4)."""
PAIR_S, PAIR_MESSAGES = 10.0, 1_000
"""For how long, and for how many messages, a key pair serves."""
REMEMBERED = 10_000
"""Browsers whose keys are kept ready, at 2.6 KB each."""
_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()
_SHA256 = SHA256()
_HEADER = (4096).to_bytes(4, "big") + bytes((65,))
_AUTH_BYTES = 16


class BadKeys(ValueError):
    """The keys of a subscription are not keys."""


class Browser(NamedTuple):
    """The keys of a subscription, ready for use."""

    key: ec.EllipticCurvePublicKey
    point: bytes
    auth: bytes


@lru_cache(maxsize=REMEMBERED)  # full: whom nothing was sent to for longest is read anew
def browser(p256dh: str, auth: str) -> Browser:
    """Read the keys that a browser gave (Push API: base64url); raises BadKeys."""
    try:
        point, secret = from_base64url(p256dh), from_base64url(auth)
        # This checks that the point is one of the curve: else its owner could compute, from what
        # we answer to chosen points, the key that others' messages are encrypted with.
        key = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError as wrong:
        raise BadKeys("p256dh is no point of the curve P-256 in base64url") from wrong
    if len(secret) != _AUTH_BYTES:
        raise BadKeys("auth is not 16 bytes")
    return Browser(key, _uncompressed(key), secret)


class _Pair(NamedTuple):
    private: ec.EllipticCurvePrivateKey
    public: bytes


class Sealer:
    """Encrypts messages, each with a salt of its own; messages of a few seconds share a key pair.

    Why they may is argued in decision record 8.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pair = _pair()
        self._until = 0.0
        self._left = 0

    def seal(self, plain: bytes, to: Browser) -> bytes:
        """Return a whole message, header and record."""
        ours, public = self._current()
        shared = ours.exchange(_ECDH, to.key)
        secret = HKDF(_SHA256, 32, to.auth, b"WebPush: info\0" + to.point + public).derive(shared)
        salt = os.urandom(16)
        key = HKDF(_SHA256, 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
        nonce = HKDF(_SHA256, 12, salt, b"Content-Encoding: nonce\0").derive(secret)
        # 2 marks the last record (RFC 8188, 2); no padding follows.
        return salt + _HEADER + public + AESGCM(key).encrypt(nonce, plain + b"\2", None)

    def _current(self) -> _Pair:
        now = self._clock.monotonic()
        if self._left <= 0 or now >= self._until:
            self._pair, self._until, self._left = _pair(), now + PAIR_S, PAIR_MESSAGES
        self._left -= 1
        return self._pair


def _pair() -> _Pair:
    private = ec.generate_private_key(_CURVE)
    return _Pair(private, _uncompressed(private.public_key()))


def _uncompressed(point: ec.EllipticCurvePublicKey) -> bytes:
    return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
