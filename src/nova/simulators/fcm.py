"""FCM's HTTP v1 interface and the OAuth endpoint before it, with Google's details of errors."""

import secrets
import time
from typing import Any
from urllib.parse import parse_qs

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.simulators.scripts import MANNERS, Received, Rule, Script, answer_json, steered
from nova.simulators.tokens import BadToken, verified

_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"
_MOST_BYTES = 4096
ERRORS = {
    "BadRequest": (400, "INVALID_ARGUMENT"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "UNAUTHENTICATED": (401, "UNAUTHENTICATED"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "PERMISSION_DENIED": (403, "PERMISSION_DENIED"),
    "UNREGISTERED": (404, "NOT_FOUND"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "INTERNAL": (500, "INTERNAL"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
}
"""Answers by name: the status of HTTP and of Google's own."""
_WITHOUT_FCM_ERROR = {"BadRequest", "UNAUTHENTICATED", "PERMISSION_DENIED"}
_MEMBERS = {
    "name", "data", "notification", "android", "webpush", "apns", "fcm_options", "fcmOptions",
    "token", "topic", "condition",
}  # fmt: skip
_ANDROID = {
    "collapse_key", "collapseKey", "priority", "ttl", "restricted_package_name", "data",
    "notification", "fcm_options", "direct_boot_ok", "directBootOk", "restrictedPackageName",
}  # fmt: skip


class Message(Struct, frozen=True):
    """A message as it arrived, and how it was answered."""

    token: str
    message: Any
    answered: str


class FcmSimulator:
    """A token that begins with an answer's name and a dot gets that answer."""

    def __init__(
        self,
        project: str = "nova-simulated",
        *,
        key: rsa.RSAPrivateKey | None = None,
        lifetime_s: float = 3599,
        quota: int = 600_000,
        most_kept: int = 10_000,
    ) -> None:
        """Access tokens live `lifetime_s`; `quota` messages are taken in a minute."""
        self.project = project
        self.script = Script(ERRORS)
        self.received: Received[Message] = Received(most_kept)
        self.server = HttpServer(self.handle)
        self.granted: dict[str, float] = {}
        self.asked_for_tokens = 0
        self.refuses_tokens = 0
        """Answer so to questions for a token, when it is not 0."""
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._lifetime_s, self._quota = lifetime_s, quota
        self._minute, self._taken = 0, 0
        self._tls = False

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> None:
        self._tls = tls is not None
        await self.server.start(host, port, tls)

    async def close(self) -> None:
        await self.server.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.server.host}:{self.server.port}"

    def service_account(self) -> dict[str, str]:
        """Return what Google's console would hand out for this project."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "simulated",
            "private_key": pem.decode(),
            "client_email": f"nova@{self.project}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }

    def handle(self, asked: Asked, _peer: Peer) -> Answer:
        if asked.path == "/token":
            return self._token(asked)
        steering = steered(asked, self.script, self.received, self.server.peers())
        if steering is not None:
            return steering
        if asked.path != f"/v1/projects/{self.project}/messages:send":
            return answer_json(404, {"error": {"code": 404, "status": "NOT_FOUND"}})
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self.granted.get(token, 0) < time.monotonic():
            return refusal("UNAUTHENTICATED", "Request had invalid authentication credentials.")
        return self._message(asked.body)

    def _token(self, asked: Asked) -> Answer:
        self.asked_for_tokens += 1
        if self.refuses_tokens:
            return answer_json(self.refuses_tokens, {"error": "unavailable"})
        form = parse_qs(asked.body.decode("latin-1"))
        if form.get("grant_type") != [_GRANT]:
            return answer_json(400, {"error": "unsupported_grant_type"})
        try:
            claims = verified(form.get("assertion", [""])[0], self._key.public_key(), "RS256")
        except BadToken as wrong:
            return answer_json(400, {"error": "invalid_grant", "error_description": str(wrong)})
        now = time.time()
        account = self.service_account()
        if (
            claims.get("iss") != account["client_email"]
            or claims.get("aud") != account["token_uri"]
        ):
            return answer_json(400, {"error": "invalid_grant", "error_description": "iss or aud"})
        if not now - 300 < claims.get("exp", 0) <= now + 3900 or _SCOPE not in claims.get(
            "scope", ""
        ):
            return answer_json(400, {"error": "invalid_grant", "error_description": "exp or scope"})
        token = self.grant()
        whole = {"access_token": token, "expires_in": int(self._lifetime_s), "token_type": "Bearer"}
        return answer_json(200, whole)

    def grant(self) -> str:
        """Return a new access token."""
        token = "ya29." + secrets.token_urlsafe(120)
        self.granted[token] = time.monotonic() + self._lifetime_s
        return token

    def _message(self, body: bytes) -> Answer:
        try:
            message = msgspec.json.decode(body, type=dict[str, Any]).get("message")
        except msgspec.MsgspecError:
            return refusal("BadRequest", "Invalid JSON payload received.")
        if not isinstance(message, dict):
            return refusal("BadRequest", "Invalid JSON payload received: no message.")
        wrong = _violation(message)
        token = str(message.get("token", ""))
        rule = self.script.find(token)
        name = rule.answer if rule.answer in ERRORS else ""
        if wrong:
            name = "BadRequest"
        elif _size(message) > _MOST_BYTES:
            name, wrong = "INVALID_ARGUMENT", "Message is too big"
        elif self._over_quota():
            name = "QUOTA_EXCEEDED"
        if not rule.refuses:
            self.received.add(Message(token, message, name))
        if name:
            return refusal(name, wrong or f"Simulated {name}.", rule)
        number = f"projects/{self.project}/messages/0:{time.time_ns()}%{self.received.count:x}"
        manner = MANNERS.get(rule.answer, "reply")
        answer = answer_json(200, {"name": number})
        return Answer(200, answer.headers, answer.body, rule.after_s, manner)

    def _over_quota(self) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._taken = minute, 0
        self._taken += 1
        return self._taken > self._quota


def _violation(message: dict[str, Any]) -> str:
    """Return what Google's parser would find wrong with a message, or nothing."""
    if unknown := message.keys() - _MEMBERS:
        return f"Unknown name \"{min(unknown)}\" at 'message': Cannot find field."
    if sum(each in message for each in ("token", "topic", "condition")) != 1:
        return "Exactly one of token, topic or condition is needed."
    data = message.get("data", {})
    if not isinstance(data, dict) or not all(isinstance(each, str) for each in data.values()):
        return "Invalid value at 'message.data[0].value' (TYPE_STRING)"
    android = message.get("android", {})
    if unknown := android.keys() - _ANDROID:
        return f"Unknown name \"{min(unknown)}\" at 'message.android': Cannot find field."
    if str(android.get("priority", "high")).upper() not in {"HIGH", "NORMAL"}:
        return "Invalid value at 'message.android.priority'"
    ttl = str(android.get("ttl", "0s"))
    if not ttl.endswith("s") or not ttl[:-1].replace(".", "", 1).isdecimal():
        return "Invalid value at 'message.android.ttl'"
    if float(ttl[:-1]) > 28 * 86_400:
        return "ttl is more than four weeks"
    return ""


def _size(message: dict[str, Any]) -> int:
    counted = {name: message[name] for name in ("notification", "data") if name in message}
    return len(msgspec.json.encode(counted))


def refusal(name: str, text: str, rule: Rule | None = None) -> Answer:
    """Return an error as Google words it."""
    status, google = ERRORS[name]
    details: list[dict[str, object]] = []
    if name == "BadRequest":
        violation = {"field": "message", "description": text}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    if name == "QUOTA_EXCEEDED":
        failure = {"subject": "project", "description": "messages per minute"}
        details.append({"@type": _QUOTA_FAILURE, "violations": [failure]})
    if name not in _WITHOUT_FCM_ERROR:
        details.append({"@type": _FCM_ERROR, "errorCode": name})
    error = {"code": status, "message": text, "status": google, "details": details}
    headers: tuple[tuple[str, str], ...] = ()
    if rule is not None and rule.retry_after:
        headers = (("retry-after", rule.retry_after),)
    answer = answer_json(status, {"error": error}, *headers)
    return Answer(status, answer.headers, answer.body, rule.after_s if rule else 0.0)
