"""Encryption of a message for one browser (RFC 8291, over the coding aes128gcm of RFC 8188)."""

import os

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MOST_PLAIN = 3993
"""Bytes of plaintext that fit into one record of a message of 4096 bytes (RFC 8291, 4)."""
_CURVE = ec.SECP256R1()
_ECDH = ec.ECDH()
_SHA256 = SHA256()
_HEADER = (4096).to_bytes(4, "big") + bytes((65,))
_AUTH_BYTES = 16


class BadKeys(ValueError):
    """The keys of a subscription are not keys."""


def encrypt(plain: bytes, p256dh: bytes, auth: bytes) -> bytes:
    """Return a whole message, header and record; raises BadKeys.

    Every message has a key pair and a salt of its own, as the RFC demands.
    """
    if len(auth) != _AUTH_BYTES:
        raise BadKeys("auth is not 16 bytes")
    try:
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, p256dh)
    except ValueError as wrong:
        raise BadKeys("p256dh is no point of the curve P-256") from wrong
    ours = ec.generate_private_key(_CURVE)
    public = ours.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = ours.exchange(_ECDH, theirs)
    point = p256dh if len(p256dh) == len(public) else _uncompressed(theirs)
    secret = HKDF(_SHA256, 32, auth, b"WebPush: info\0" + point + public).derive(shared)
    salt = os.urandom(16)
    key = HKDF(_SHA256, 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
    nonce = HKDF(_SHA256, 12, salt, b"Content-Encoding: nonce\0").derive(secret)
    # 2 marks the last record (RFC 8188, 2); no padding follows.
    return salt + _HEADER + public + AESGCM(key).encrypt(nonce, plain + b"\2", None)


def _uncompressed(point: ec.EllipticCurvePublicKey) -> bytes:
    return point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
