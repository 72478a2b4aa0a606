"""Who sends: tokens by which a push service knows the application server (RFC 8292)."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from nova.kernel.clock import Clock
from nova.wire.exchange import Header
from nova.wire.jws import BadKey, ec_key, es256, from_base64url, unpadded

LIFETIME_S = 12 * 3600  # 24 hours are the most (RFC 8292, 2)
RENEW_S = 3600
_RAW_BYTES = 32
_MOST_ORIGINS = 1000


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Read a key in PEM, or as base64url of its 32 bytes, as web-push makes them; raises BadKey."""
    if text.lstrip().startswith("-----"):
        return ec_key(text)
    try:
        raw = from_base64url(text.strip())
        if len(raw) != _RAW_BYTES:
            raise BadKey("a VAPID key has 32 bytes")
        return ec.derive_private_key(int.from_bytes(raw, "big"), ec.SECP256R1())
    except ValueError as wrong:
        raise BadKey(f"not a VAPID key: {wrong}") from wrong


class Vapid:
    """Mints a token for each push service, and keeps it until it is nearly over."""

    def __init__(self, key: str, *, subject: str, clock: Clock) -> None:
        """`subject` is a mailto: or https: address at which the operator is reached."""
        self._key = private_key(key)
        self.public = public_of(self._key)
        """What browsers subscribe with (applicationServerKey)."""
        self._subject = subject
        self._clock = clock
        self._kept: dict[str, tuple[Header, float]] = {}

    def header(self, origin: str) -> Header:
        """Return the Authorization header for a push service, by its origin."""
        kept = self._kept.get(origin)
        now = self._clock.now().timestamp()
        if kept is not None and kept[1] > now + RENEW_S:
            return kept[0]
        if len(self._kept) >= _MOST_ORIGINS:
            self._kept.clear()
        expires = int(now) + LIFETIME_S
        claims = {"aud": origin, "exp": expires, "sub": self._subject}
        token = es256(self._key, {}, claims)
        header = (b"authorization", b"vapid t=" + token + b", k=" + self.public.encode())
        self._kept[origin] = (header, expires)
        return header


def generate() -> tuple[str, str]:
    """Return a new private key and its public half, both base64url."""
    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_numbers().private_value.to_bytes(_RAW_BYTES, "big")
    return unpadded(secret).decode(), public_of(key)


def public_of(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return unpadded(point).decode()
