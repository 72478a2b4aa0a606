"""APNs as Apple describes it: its checks, every reason, and the moods of its connections."""

import time
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID, uuid4
from weakref import WeakSet

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Struct

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.simulators.scripts import (
    JSON,
    MANNERS,
    Received,
    Rule,
    Script,
    now_ms,
    readable,
    steered,
)
from nova.simulators.tokens import BadToken, claims_of, header_of, verified

STATUSES = {
    **dict.fromkeys(
        (
            "BadCollapseId", "BadDeviceToken", "BadExpirationDate", "BadMessageId", "BadPriority",
            "BadTopic", "DeviceTokenNotForTopic", "DuplicateHeaders", "IdleTimeout",
            "InvalidPushType", "MissingDeviceToken", "MissingTopic", "PayloadEmpty",
            "TopicDisallowed",
        ),
        400,
    ),
    **dict.fromkeys(
        (
            "BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken",
            "ExpiredProviderToken", "Forbidden", "InvalidProviderToken", "MissingProviderToken",
            "UnrelatedKeyIdInToken",
        ),
        403,
    ),
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}  # fmt: skip
_KINDS = {
    "alert", "background", "complication", "controls", "fileprovider", "liveactivity", "location",
    "mdm", "pushtotalk", "voip", "widgets",
}  # fmt: skip
_MOST_BYTES, _MOST_VOIP_BYTES = 4096, 5120
_TOKEN_S, _FUTURE_S = 3600, 300
_MOST_TOKENS = 1000


class Notification(Struct, frozen=True):
    """A notification as it arrived, and how it was answered."""

    device: str
    id: str
    kind: str
    priority: str
    expiration: str
    collapse_id: str | None
    topic: str
    body: bytes
    reason: str

    @property
    def payload(self) -> Any:
        """What the device gets; None where it is no JSON."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.MsgspecError:
            return None

    def read(self) -> dict[str, Any]:
        return {**msgspec.structs.asdict(self), "body": None, "payload": self.payload}


class Rejected(Exception):
    """One of Apple's reasons."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class ApnsSimulator:
    """One of the two hosts.

    A device token that begins with a reason and a dot is answered with it; one that begins with
    `production.` or `sandbox.` is known to that host only.
    """

    def __init__(
        self,
        environment: str = "production",
        *,
        keys: Mapping[str, ec.EllipticCurvePublicKey] | None = None,
        topics: Collection[str] | None = None,
        cautious: bool = False,
        update_s: float = 1200,
        most_kept: int = 10_000,
    ) -> None:
        """Check tokens by `keys` (by key id; None: any signature), `topics` (None: any).

        `cautious`: one stream at a time until a valid token came, and again after an invalid
        one. A team's token may change once in `update_s` seconds.
        """
        self.environment = environment
        self.script = Script(STATUSES)
        self.received: Received[Notification] = Received(most_kept, shown=Notification.read)
        self.server = HttpServer(self.handle, most_streams=1 if cautious else 1000)
        self.tokens: dict[str, float] = {}
        self._issued_at: dict[str, float] = {}
        self._keys, self._topics = keys, topics
        self._cautious, self._update_s = cautious, update_s
        self._trusted: WeakSet[Peer] = WeakSet()

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> None:
        await self.server.start(host, port, tls)

    async def close(self) -> None:
        await self.server.close()

    def handle(self, asked: Asked, peer: Peer) -> Answer:
        steering = steered(asked, self.script, self.received, self.server.peers())
        if steering is not None:
            return steering
        given = asked.headers.get("apns-id") or str(uuid4()).upper()
        rule = Rule(answer="ok")
        try:
            self._check_credentials(asked)
            self._trust(peer)
            device = self._device(asked)
            self._check(asked)
            rule = self.script.find(readable(device))
            reason = rule.answer if rule.answer in STATUSES else ""
        except Rejected as rejected:
            reason = rejected.reason
        if STATUSES.get(reason) == 403:
            self._distrust(peer)
        if not rule.refuses:
            self._keep(asked, given, reason)
        return _answer(reason, rule, given)

    def _trust(self, peer: Peer) -> None:
        if self._cautious and peer not in self._trusted:
            self._trusted.add(peer)
            peer.limit_streams(1000)

    def _distrust(self, peer: Peer) -> None:
        if self._cautious:
            self._trusted.discard(peer)
            peer.limit_streams(1)

    def _check_credentials(self, asked: Asked) -> None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Rejected("MissingProviderToken")
        if token not in self.tokens:
            issued = self._issued(token)
            newest = max(self.tokens.values(), default=None)
            if newest is not None and time.monotonic() - newest < self._update_s:
                raise Rejected("TooManyProviderTokenUpdates")
            if len(self.tokens) >= _MOST_TOKENS:
                self.tokens.clear()
                self._issued_at.clear()
            self.tokens[token] = time.monotonic()
            self._issued_at[token] = issued
        if time.time() - self._issued_at[token] > _TOKEN_S:
            raise Rejected("ExpiredProviderToken")

    def _issued(self, token: str) -> float:
        """Return when a token was issued, having verified it."""
        try:
            header = header_of(token)
            if self._keys is None:
                claims = claims_of(token)
            else:
                key = self._keys.get(str(header.get("kid")))
                if key is None:
                    raise Rejected("InvalidProviderToken")
                claims = verified(token, key, "ES256")
            issued = float(claims["iat"])
        except (BadToken, msgspec.MsgspecError, KeyError, ValueError, TypeError) as wrong:
            raise Rejected("InvalidProviderToken") from wrong
        if header.get("alg") != "ES256" or not claims.get("iss"):
            raise Rejected("InvalidProviderToken")
        if issued > time.time() + _FUTURE_S:
            raise Rejected("InvalidProviderToken")
        if time.time() - issued > _TOKEN_S:
            raise Rejected("ExpiredProviderToken")
        return issued

    def _device(self, asked: Asked) -> str:
        if not asked.path.startswith("/3/device/"):
            raise Rejected("BadPath")
        if asked.method != "POST":
            raise Rejected("MethodNotAllowed")
        device = asked.path.removeprefix("/3/device/")
        if not device:
            raise Rejected("MissingDeviceToken")
        if device.startswith(("production.", "sandbox.")) and not device.startswith(
            f"{self.environment}."
        ):
            raise Rejected("BadDeviceToken")
        return device

    def _check(self, asked: Asked) -> None:
        headers = asked.headers
        topic, kind = headers.get("apns-topic", ""), headers.get("apns-push-type", "")
        if not topic:
            raise Rejected("MissingTopic")
        if self._topics is not None and topic not in self._topics:
            raise Rejected("BadTopic")
        if kind not in _KINDS:
            raise Rejected("InvalidPushType")
        priority = headers.get("apns-priority", "10")
        if priority not in {"1", "5", "10"} or (kind == "background" and priority == "10"):
            raise Rejected("BadPriority")
        if not headers.get("apns-expiration", "0").isdecimal():
            raise Rejected("BadExpirationDate")
        if len(headers.get("apns-collapse-id", "").encode("latin-1")) > 64:
            raise Rejected("BadCollapseId")
        try:
            UUID(headers.get("apns-id", "00000000-0000-0000-0000-000000000000"))
        except ValueError as wrong:
            raise Rejected("BadMessageId") from wrong
        self._check_payload(asked.body, kind)

    def _check_payload(self, body: bytes, kind: str) -> None:
        if not body:
            raise Rejected("PayloadEmpty")
        if len(body) > (_MOST_VOIP_BYTES if kind == "voip" else _MOST_BYTES):
            raise Rejected("PayloadTooLarge")
        try:
            aps = msgspec.json.decode(body, type=dict[str, Any]).get("aps")
        except msgspec.MsgspecError as wrong:
            raise Rejected("PayloadEmpty") from wrong
        if not isinstance(aps, dict):
            raise Rejected("PayloadEmpty")
        if kind == "background" and (aps.get("content-available") != 1 or "alert" in aps):
            raise Rejected("InvalidPushType")

    def _keep(self, asked: Asked, given: str, reason: str) -> None:
        headers = asked.headers
        self.received.add(
            Notification(
                asked.path.removeprefix("/3/device/"),
                given,
                headers.get("apns-push-type", ""),
                headers.get("apns-priority", ""),
                headers.get("apns-expiration", ""),
                headers.get("apns-collapse-id"),
                headers.get("apns-topic", ""),
                asked.body,
                reason,
            )
        )


def _answer(reason: str, rule: Rule, given: str) -> Answer:
    headers = [("apns-id", given)]
    if rule.retry_after:
        headers.append(("retry-after", rule.retry_after))
    manner = MANNERS.get(rule.answer, "reply")
    if not reason:
        return Answer(200, tuple(headers), after_s=rule.after_s, manner=manner)
    status = STATUSES[reason]
    body: dict[str, object] = {"reason": reason}
    if status == 410:
        body["timestamp"] = now_ms() if rule.timestamp_ms is None else rule.timestamp_ms
    return Answer(
        status,
        (*headers, *JSON),
        msgspec.json.encode(body),
        rule.after_s,
        "goaway" if reason == "Shutdown" else manner,
    )
