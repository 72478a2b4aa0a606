"""Signed tokens in compact form (RFC 7515) for providers: ES256 and RS256."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key


class BadKey(ValueError):
    """A private key that cannot be used; says why."""


def unpadded(data: bytes) -> bytes:
    """Return base64url without padding, as tokens and Web Push have it."""
    return urlsafe_b64encode(data).rstrip(b"=")


def from_base64url(text: str) -> bytes:
    """Decode base64url with or without padding; raises ValueError."""
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _unsigned(algorithm: str, header: Mapping[str, object], claims: Mapping[str, object]) -> bytes:
    parts = ({"typ": "JWT", "alg": algorithm, **header}, claims)
    return b".".join(unpadded(msgspec.json.encode(part)) for part in parts)


def ec_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key, as in Apple's .p8 files; raises BadKey."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as wrong:
        raise BadKey(f"not a private key in PEM: {wrong}") from wrong
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise BadKey("the key is not one of the curve P-256")
    return key


def rsa_key(pem: str) -> rsa.RSAPrivateKey:
    """Read an RSA key, as in Google's service accounts; raises BadKey."""
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError) as wrong:
        raise BadKey(f"not a private key in PEM: {wrong}") from wrong
    if not isinstance(key, rsa.RSAPrivateKey):
        raise BadKey("the key is not an RSA key")
    return key


def es256(
    key: ec.EllipticCurvePrivateKey, header: Mapping[str, object], claims: Mapping[str, object]
) -> bytes:
    """Sign; the same input gives the same token in every process (RFC 6979)."""
    unsigned = _unsigned("ES256", header, claims)
    signature = key.sign(unsigned, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(signature)
    return unsigned + b"." + unpadded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def rs256(
    key: rsa.RSAPrivateKey, header: Mapping[str, object], claims: Mapping[str, object]
) -> bytes:
    unsigned = _unsigned("RS256", header, claims)
    return unsigned + b"." + unpadded(key.sign(unsigned, padding.PKCS1v15(), hashes.SHA256()))
