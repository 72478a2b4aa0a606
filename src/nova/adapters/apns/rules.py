"""What is sent to APNs, and what its answers mean.

Sources: Apple, "Sending notification requests to APNs" and "Handling notification responses from
APNs".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Literal

import msgspec
from msgspec import Struct

from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.fitting import fitted
from nova.wire.outcomes import outcome, retry_after

MOST_BYTES = 4096
MOST_COLLAPSE_BYTES = 64
THROTTLED_S = 60.0
_OK = 200
DEVICE_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,400}")
"""Hexadecimal at Apple's; the simulator's tokens may begin with the name of a reason."""

OURS, LATER = Verdict.MISCONFIGURED, Verdict.RETRY
REASONS: Mapping[str, tuple[Verdict, str]] = {
    "BadDeviceToken": (Verdict.GONE, "Neither host knows the device token."),
    "ExpiredToken": (Verdict.GONE, "The device token has expired."),
    "Unregistered": (Verdict.GONE, "The app was removed from the device."),
    # Ours: a purge would throw away devices that are alive.
    "BadCertificate": (OURS, "The certificate is invalid."),
    "BadCertificateEnvironment": (OURS, "The certificate is for the other environment."),
    "BadEnvironmentKeyIdInToken": (OURS, "The key is not for this environment."),
    "BadTopic": (OURS, "The topic is not one: check apns.topic."),
    "DeviceTokenNotForTopic": (OURS, "The device token belongs to another app than apns.topic."),
    "ExpiredProviderToken": (OURS, "The token is too old for Apple: check this machine's clock."),
    "Forbidden": (OURS, "Apple does not allow this."),
    "InvalidProviderToken": (OURS, "Key, key id and team id do not fit together."),
    "MissingProviderToken": (OURS, "No credentials were sent."),
    "MissingTopic": (OURS, "No topic was sent: set apns.topic."),
    "TopicDisallowed": (OURS, "The key may not send to this topic."),
    "UnrelatedKeyIdInToken": (OURS, "The key is not for this topic."),
    "IdleTimeout": (LATER, "The connection was idle for too long."),
    "InternalServerError": (LATER, "APNs is not well."),
    "ServiceUnavailable": (LATER, "APNs is not available."),
    "Shutdown": (LATER, "The server is being shut down."),
    "TooManyProviderTokenUpdates": (LATER, "The team's token changed too often."),
    "TooManyRequests": (LATER, "The device has had too many notifications in a row."),
    # The parcel's.
    "BadCollapseId": (Verdict.REFUSED, "The collapse id is too long."),
    "BadExpirationDate": (Verdict.REFUSED, "The expiration is no time."),
    "BadMessageId": (Verdict.REFUSED, "The id is no UUID."),
    "BadPath": (Verdict.REFUSED, "The path is wrong."),
    "BadPriority": (Verdict.REFUSED, "The priority is not allowed."),
    "DuplicateHeaders": (Verdict.REFUSED, "A header came twice."),
    "InvalidPushType": (Verdict.REFUSED, "The push type is unknown."),
    "MethodNotAllowed": (Verdict.REFUSED, "The method is not POST."),
    "MissingDeviceToken": (Verdict.REFUSED, "No device token was sent."),
    "PayloadEmpty": (Verdict.REFUSED, "The payload is empty."),
    "PayloadTooLarge": (Verdict.REFUSED, "The payload exceeds 4096 bytes."),
}
_THROTTLED = {"TooManyProviderTokenUpdates", "TooManyRequests"}


class Rejection(Struct):
    """The body of a rejection."""

    reason: str = ""
    timestamp: int | None = None
    """Milliseconds: when APNs knew for sure that the token was not valid any more."""


class Push(Struct, frozen=True):
    """What APNs is told about a parcel."""

    kind: Literal["alert", "background"]
    payload: bytes
    priority: bytes


def push(parcel: Parcel) -> Push | None:
    """Return a notification, cut to fit; None where its data are too large."""
    payload = _payload(parcel)
    if len(payload) > MOST_BYTES:
        cut = fitted(parcel, MOST_BYTES, lambda each: len(_payload(each)))
        if cut is None:
            return None
        payload = _payload(cut)
    silent = not _visible(parcel) and parcel.badge is None
    # A background push with priority 10 is an error.
    priority = b"10" if parcel.urgent and not silent else b"5"
    return Push("background" if silent else "alert", payload, priority)


def _visible(parcel: Parcel) -> bool:
    return bool(parcel.title or parcel.body)


def _payload(parcel: Parcel) -> bytes:
    aps: dict[str, object] = {}
    if _visible(parcel):
        aps["alert"] = {"title": parcel.title, "body": parcel.body}
        if parcel.urgent:
            aps["sound"] = "default"
    if parcel.badge is not None:
        aps["badge"] = parcel.badge
    if not aps:
        aps["content-available"] = 1
    payload: dict[str, object] = {"aps": aps, "data": parcel.data}
    if parcel.url:
        payload["url"] = parcel.url
    return msgspec.json.encode(payload)


def collapse_id(given: str) -> bytes:
    """Return a collapse id of at most 64 bytes that a header can carry: itself, or its digest."""
    encoded = given.encode()
    if 0 < len(encoded) <= MOST_COLLAPSE_BYTES and given.isascii() and given.isprintable():
        return encoded
    return sha256(encoded).hexdigest().encode()


def verdict(status: int, headers: Mapping[bytes, bytes], body: bytes, now: datetime) -> Outcome:
    """Judge an answer; BadDeviceToken is to be judged only after both hosts said so."""
    given = headers.get(b"apns-id", b"").decode(errors="replace") or None
    if status == _OK:
        return outcome(Verdict.SENT, "200", "APNs has it.", provider_id=given)
    rejection = rejected(body)
    reason = rejection.reason
    judged, text = REASONS.get(reason) or _unknown(status)
    wait = since = None
    if judged is Verdict.RETRY:
        wait = retry_after(headers.get(b"retry-after"), now)
        if wait is None and (reason in _THROTTLED or status == 429):
            wait = THROTTLED_S
    if judged is Verdict.GONE and rejection.timestamp is not None:
        since = _time(rejection.timestamp)
    code = reason or str(status)
    return outcome(judged, code, text, retry_after_s=wait, gone_since=since, provider_id=given)


def rejected(body: bytes) -> Rejection:
    try:
        return msgspec.json.decode(body, type=Rejection)
    except msgspec.MsgspecError:
        return Rejection()


def _unknown(status: int) -> tuple[Verdict, str]:
    """Judge a reason that Apple added since, by its status."""
    if status == 410:
        return Verdict.GONE, "The device token is not valid any more."
    if status in {401, 403}:
        return Verdict.MISCONFIGURED, "APNs does not accept our credentials."
    if status == 429 or status >= 500:
        return Verdict.RETRY, "APNs takes no more now."
    return Verdict.REFUSED, "APNs refused the notification."


def _time(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
