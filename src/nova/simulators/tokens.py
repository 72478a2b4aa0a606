"""Signed tokens as a provider checks them."""

from base64 import urlsafe_b64decode
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature


class BadToken(Exception):
    """What is wrong with a token."""


def decoded(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as wrong:
        raise BadToken("not base64url") from wrong


def header_of(token: str) -> dict[str, Any]:
    return _json(token.split(".", 1)[0])


def claims_of(token: str) -> dict[str, Any]:
    """Return claims that nobody verified."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("not a token")
    return _json(parts[1])


def _json(part: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(decoded(part), type=dict[str, Any])
    except msgspec.MsgspecError as wrong:
        raise BadToken("not JSON") from wrong


def verified(
    token: str, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey, algorithm: str
) -> dict[str, Any]:
    """Return the claims of a token whose signature is right; raises BadToken."""
    parts = token.split(".")
    if len(parts) != 3 or header_of(token).get("alg") != algorithm:
        raise BadToken(f"not a token signed with {algorithm}")
    signed, signature = f"{parts[0]}.{parts[1]}".encode(), decoded(parts[2])
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        else:
            r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
            key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as wrong:
        raise BadToken("the signature is wrong") from wrong
    return _json(parts[1])
