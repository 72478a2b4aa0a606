"""What is sent to FCM, and what its answers mean.

Sources: Firebase, "ErrorCode" (REST v1), "Best practices when sending FCM messages at scale".
"""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from nova.kernel.text import beginning
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.wire.fitting import fitted
from nova.wire.outcomes import outcome, retry_after

MOST_BYTES = 4096
LONGEST_TTL_S = 28 * 86_400
THROTTLED_S = 60.0
PAUSE_S = 10.0
"""The least pause after a fault of the server's."""
TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")
_OK = 200
_FCM_ERROR = "google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "google.rpc.BadRequest"
_ERRORS: Mapping[str, tuple[Verdict, str]] = {
    "UNREGISTERED": (Verdict.GONE, "The app was removed, or unused for 270 days."),
    "SENDER_ID_MISMATCH": (
        Verdict.MISCONFIGURED,
        "The token belongs to another Firebase project than the service account.",
    ),
    "THIRD_PARTY_AUTH_ERROR": (
        Verdict.MISCONFIGURED,
        "The APNs key or the VAPID key in the Firebase project is broken.",
    ),
    "QUOTA_EXCEEDED": (Verdict.RETRY, "The quota of the project, device or topic is used up."),
    "UNAVAILABLE": (Verdict.RETRY, "FCM is not available."),
    "INTERNAL": (Verdict.RETRY, "FCM is not well."),
    # Bad token, or too large, or an argument of ours: one such answer proves no death.
    "INVALID_ARGUMENT": (Verdict.REFUSED, "FCM does not take the token or the message."),
}


class _Detail(Struct, rename={"kind": "@type", "code": "errorCode"}):
    kind: str = ""
    code: str = ""


class _Error(Struct):
    status: str = ""
    message: str = ""
    details: list[_Detail] = []


class _Rejection(Struct):
    error: _Error = msgspec.field(default_factory=_Error)


class _Sent(Struct):
    name: str = ""


def message(parcel: Parcel, now: datetime) -> bytes | None:
    """Return a message, cut to fit; None where its data are too large."""
    if _size(parcel) > MOST_BYTES:
        cut = fitted(parcel, MOST_BYTES, _size)
        if cut is None:
            return None
        parcel = cut
    whole = {"token": parcel.target.address, **_payload(parcel), **_platform(parcel, now)}
    return msgspec.json.encode({"message": whole})


def _size(parcel: Parcel) -> int:
    return len(msgspec.json.encode(_payload(parcel)))


def _payload(parcel: Parcel) -> dict[str, object]:
    """Return what counts towards the limit."""
    data = parcel.data if parcel.url is None else {**parcel.data, "url": parcel.url}
    payload: dict[str, object] = {"data": data} if data else {}
    if parcel.title or parcel.body:
        payload["notification"] = {"title": parcel.title, "body": parcel.body}
    return payload


def _platform(parcel: Parcel, now: datetime) -> dict[str, object]:
    seconds = min(int((parcel.expires_at - now).total_seconds()), LONGEST_TTL_S)
    if parcel.target.platform == "ios":
        headers = {
            "apns-priority": "10" if parcel.urgent and (parcel.title or parcel.body) else "5",
            "apns-expiration": str(int(parcel.expires_at.timestamp())),
            "apns-collapse-id": parcel.collapse_id[:64],
        }
        aps = {} if parcel.badge is None else {"badge": parcel.badge}
        return {"apns": {"headers": headers, "payload": {"aps": aps}}}
    if parcel.target.platform == "web":
        headers = {"TTL": str(seconds), "Urgency": "high" if parcel.urgent else "normal"}
        shown = {"tag": parcel.collapse_id, "lang": parcel.locale}
        web: dict[str, object] = {"headers": headers, "notification": shown}
        if parcel.url and parcel.url.startswith("https://"):
            web["fcm_options"] = {"link": parcel.url}
        return {"webpush": web}
    # The tag replaces what is shown. A collapse key would do so for what is still waiting, but
    # FCM keeps only four of them for a device, so that others would be lost.
    shown_on_android: dict[str, object] = {"tag": parcel.collapse_id}
    if parcel.badge is not None:
        shown_on_android["notification_count"] = parcel.badge
    android: dict[str, object] = {
        "priority": "HIGH" if parcel.urgent else "NORMAL",
        "ttl": f"{seconds}s",
    }
    if parcel.title or parcel.body:
        android["notification"] = shown_on_android
    return {"android": android}


def verdict(status: int, headers: Mapping[bytes, bytes], body: bytes, now: datetime) -> Outcome:
    """Judge an answer by its details' @type, never by its sentences."""
    if status == _OK:
        return outcome(Verdict.SENT, "200", "FCM has it.", provider_id=_name(body))
    error = _error(body)
    code = next((each.code for each in error.details if each.kind.endswith(_FCM_ERROR)), "")
    if any(each.kind.endswith(_BAD_REQUEST) for each in error.details):
        text = f"The message is malformed: {beginning(error.message, 200)}"
        return outcome(Verdict.REFUSED, "BadRequest", text)
    judged, text = _ERRORS.get(code) or _unknown(status)
    if error.message:
        text += f" It said: {beginning(error.message, 200)}"
    wait = None
    if judged is Verdict.RETRY:
        wait = retry_after(headers.get(b"retry-after"), now)
        if wait is None:
            wait = THROTTLED_S if status == 429 or code == "QUOTA_EXCEEDED" else PAUSE_S
        elif status >= 500:
            wait = max(wait, PAUSE_S)
    return outcome(judged, code or error.status or str(status), text, retry_after_s=wait)


def _unknown(status: int) -> tuple[Verdict, str]:
    """Judge an answer without FCM's own code: of a proxy, or of Google's front."""
    if status in {401, 403}:
        return Verdict.MISCONFIGURED, "FCM does not accept the service account."
    if status == 404:
        return Verdict.MISCONFIGURED, "FCM does not know the project."
    if status in {408, 429} or status >= 500:
        return Verdict.RETRY, "FCM takes no more now."
    return Verdict.REFUSED, "FCM refused the message."


def _error(body: bytes) -> _Error:
    try:
        return msgspec.json.decode(body, type=_Rejection).error
    except msgspec.MsgspecError:
        return _Error()


def _name(body: bytes) -> str | None:
    try:
        return msgspec.json.decode(body, type=_Sent).name or None
    except msgspec.MsgspecError:
        return None
