"""What is sent to a push service, and what its answers mean (RFC 8030)."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

import msgspec

from nova.adapters.webpush.encryption import MOST_PLAIN
from nova.kernel.text import beginning_of
from nova.kernel.urls import is_url
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.fitting import fitted
from nova.wire.outcomes import outcome, retry_after

LONGEST_TTL_S = 28 * 86_400
"""What every service keeps a message for; some cut at 30 days, Google refuses more than 28."""
BRIDGED_PLAIN = 2640
"""Bytes that pass where a service hands on to another one (Firefox on Android: 2744 in all)."""
THROTTLED_S = 60.0
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OK = frozenset({200, 201, 202, 204})
_DEAD = frozenset({404, 410})


def topic(collapse_id: str) -> bytes:
    """Return the Topic of a collapse id: itself where it may be one, else its digest."""
    if _TOPIC.fullmatch(collapse_id):
        return collapse_id.encode()
    return urlsafe_b64encode(sha256(collapse_id.encode()).digest())[:32]


def ttl(expires_at: datetime, now: datetime) -> int:
    """Return seconds to keep a message for; 0 or less when it is too late."""
    return min(int((expires_at - now).total_seconds()), LONGEST_TTL_S)


def payload(parcel: Parcel) -> bytes | None:
    """Return the JSON for the service worker, cut to fit; None where its data are too large.

    With a URL it is also a declarative message (W3C Push API), which Safari shows by itself.
    """
    encoded = _payload(parcel)
    if len(encoded) <= BRIDGED_PLAIN:
        return encoded
    # What has more data than a bridge takes may still reach those who need none.
    cut = fitted(parcel, BRIDGED_PLAIN, _size) or fitted(parcel, MOST_PLAIN, _size)
    return None if cut is None else _payload(cut)


def _size(parcel: Parcel) -> int:
    return len(_payload(parcel))


def _payload(parcel: Parcel) -> bytes:
    notification: dict[str, object] = {
        "title": parcel.title,
        "body": parcel.body,
        "tag": parcel.collapse_id,
        "lang": parcel.locale,
        "data": parcel.data,
    }
    message: dict[str, object] = {"notification": notification}
    if parcel.url and is_url(parcel.url):  # browsers follow no links into apps
        message["web_push"] = 8030
        notification["navigate"] = parcel.url
    if parcel.badge is not None:
        message["app_badge"] = parcel.badge
    return msgspec.json.encode(message)


def verdict(status: int, headers: Mapping[bytes, bytes], body: bytes, now: datetime) -> Outcome:
    """Judge an answer of a push service."""
    code = str(status)
    said = beginning_of(body, 200).strip()
    because = f" It said: {said}" if said else ""
    if status in _OK:
        location = headers.get(b"location")
        where = location.decode(errors="replace") if location else None
        return outcome(Verdict.SENT, code, "The push service has it.", provider_id=where)
    if status in _DEAD:
        return outcome(Verdict.GONE, code, "The subscription has ended." + because)
    if status == 429:
        wait = retry_after(headers.get(b"retry-after"), now)
        wait = THROTTLED_S if wait is None else wait
        text = "The push service takes no more now." + because
        return outcome(Verdict.RETRY, code, text, retry_after_s=wait)
    if status >= 500 or status == 408:
        wait = retry_after(headers.get(b"retry-after"), now)
        text = "The push service is not well." + because
        return outcome(Verdict.RETRY, code, text, retry_after_s=wait)
    if status in {401, 403}:
        text = "The push service does not accept our VAPID key for this subscription." + because
        return outcome(Verdict.MISCONFIGURED, code, text)
    if status == 413:
        return outcome(
            Verdict.REFUSED, code, "The message is too large for this service." + because
        )
    return outcome(Verdict.REFUSED, code, "The push service refused the message." + because)
