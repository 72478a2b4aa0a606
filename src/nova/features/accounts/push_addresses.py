"""Validate push tokens and Web Push subscriptions, and return each in one normal form."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from msgspec.structs import replace

from nova.features.accounts.models import NewDevice, SubscriptionKeys, WebSubscription
from nova.features.accounts.rules import locale
from nova.kernel.errors import InvalidField
from nova.wire.addresses import ForbiddenAddress, Guard, canonical, place

# https://developer.apple.com/documentation/usernotifications/registering-your-app-with-apns:
# of variable length; 32 bytes today, and never more than 100.
_APNS = re.compile(r"[0-9A-Fa-f]{64,200}")
_FCM = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z0-9_-]+")

_POINT_BYTES, _AUTH_BYTES = 65, 16
_UNCOMPRESSED = 4
# The curve P-256, y² = x³ - 3x + b modulo p (FIPS 186-4, D.1.2.3).
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B


def device(new: NewDevice, guard: Guard) -> NewDevice:
    """Return the device in its one spelling. Raises InvalidField."""
    web = new.platform == "web"
    if (new.subscription is not None) != web or (new.token is not None) == web:
        raise InvalidField(
            "subscription" if web else "token",
            "A device is a 'token' (ios, android) or a 'subscription' (web).",
        )
    return replace(
        new,
        locale=locale(new.locale) if new.locale else None,
        token=_ios(new.token) if new.token and new.platform == "ios" else new.token,
        subscription=_subscription(new.subscription, guard) if new.subscription else None,
    )


def _ios(token: str) -> str:
    """Return a token of APNs in lower case; one of FCM, which may carry to iOS, as it is."""
    if _FCM.fullmatch(token):
        return token
    if not _APNS.fullmatch(token) or len(token) % 2:
        raise InvalidField(
            "token",
            "A token of APNs is 64 to 200 hexadecimal digits: the bytes of deviceToken, each as "
            "two digits, without blanks and brackets. (With FCM it is FCM's registration token.)",
        )
    return token.lower()


def _subscription(given: WebSubscription, guard: Guard) -> WebSubscription:
    try:
        endpoint = canonical(given.endpoint)
        guard.check(place(endpoint))
    except ForbiddenAddress as wrong:
        raise InvalidField(
            "subscription.endpoint",
            f"Nova does not call it: {wrong}. Send the PushSubscription as the browser made it, "
            "whose endpoint is an https:// address of a push service in the public internet.",
        ) from None
    keys = SubscriptionKeys(p256dh=_p256dh(given.keys.p256dh), auth=_auth(given.keys.auth))
    return replace(given, endpoint=endpoint, keys=keys)


def _p256dh(text: str) -> str:
    point = _bytes(text)
    if len(point) != _POINT_BYTES or point[0] != _UNCOMPRESSED or not _on_curve(point[1:]):
        raise InvalidField(
            "subscription.keys.p256dh",
            "p256dh is 65 bytes in base64url, an uncompressed point of the curve P-256: send "
            "JSON.stringify(subscription) as the browser makes it.",
        )
    return _text(point)


def _auth(text: str) -> str:
    secret = _bytes(text)
    if len(secret) != _AUTH_BYTES:
        raise InvalidField(
            "subscription.keys.auth",
            "auth is 16 bytes in base64url: send JSON.stringify(subscription) as the browser "
            "makes it.",
        )
    return _text(secret)


def _on_curve(coordinates: bytes) -> bool:
    x, y = int.from_bytes(coordinates[:32]), int.from_bytes(coordinates[32:])
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0


def _bytes(text: str) -> bytes:
    """Decode base64 of either alphabet, with or without padding; nothing when it is neither."""
    bare = text.rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except (Error, ValueError):
        return b""


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
