"""A push service for browsers, and the browsers behind it: checks and decrypts every message."""

import os
import re
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec import Struct

from nova.simulators.http import Answer, Asked, HttpServer, Peer
from nova.simulators.scripts import MANNERS, Received, Rule, Script, answer_json, steered
from nova.simulators.tokens import BadToken, decoded, verified

MOST_BYTES = 4096
LONGEST_VAPID_S = 86_400
_MOST_VERIFIED = 1000
_CURVE = ec.SECP256R1()
_TOPIC = re.compile(r"[A-Za-z0-9_-]{1,32}")
_URGENCIES = {"very-low", "low", "normal", "high"}
_VAPID = re.compile(r"vapid t=([\w.-]+), ?k=([\w-]+)")
STATUSES = {
    "Gone": 410,
    "NotFound": 404,
    "TooLarge": 413,
    "BadRequest": 400,
    "Unauthorized": 401,
    "Forbidden": 403,
    "TooMany": 429,
    "InternalError": 500,
    "Unavailable": 503,
    "Redirect": 307,
}


class Subscription(Struct, frozen=True):
    """What a browser hands to the app."""

    endpoint: str
    p256dh: str
    auth: str


class Message(Struct, frozen=True):
    """A message as the service keeps it: it cannot read it, either."""

    browser: "Browser"
    sealed: bytes
    name: str
    ttl: int
    urgency: str
    topic: str | None
    answered: int

    def read(self) -> "Opened":
        """Decrypt, as the browser does when it fetches the message."""
        try:
            plain, wrong = self.browser.open(self.sealed).decode(), ""
        except (BadRequest, UnicodeDecodeError) as undecryptable:
            plain, wrong = "", str(undecryptable)
        return Opened(self.name, plain, wrong, self.ttl, self.urgency, self.topic, self.answered)


class Opened(Struct, frozen=True):
    """A message as the browser's service worker gets it; `wrong` says why it does not."""

    name: str
    plain: str
    wrong: str
    ttl: int
    urgency: str
    topic: str | None
    answered: int


class Browser:
    """The secrets of one subscription."""

    def __init__(self, application_server_key: str | None) -> None:
        self.key = ec.generate_private_key(_CURVE)
        self.point = self.key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self.auth = os.urandom(16)
        self.application_server_key = application_server_key

    def open(self, message: bytes) -> bytes:
        """Decrypt (RFC 8291, RFC 8188); raises BadRequest."""
        salt, size, length = message[:16], int.from_bytes(message[16:20], "big"), message[20:21]
        if length != b"\x41" or len(message) - 86 > size or size < 18:
            raise BadRequest("the header of aes128gcm is wrong")
        public, record = message[21:86], message[86:]
        try:
            theirs = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, public)
            shared = self.key.exchange(ec.ECDH(), theirs)
            info = b"WebPush: info\0" + self.point + public
            secret = HKDF(hashes.SHA256(), 32, self.auth, info).derive(shared)
            key = HKDF(hashes.SHA256(), 16, salt, b"Content-Encoding: aes128gcm\0").derive(secret)
            nonce = HKDF(hashes.SHA256(), 12, salt, b"Content-Encoding: nonce\0").derive(secret)
            padded = AESGCM(key).decrypt(nonce, record, None)
        except (InvalidTag, ValueError) as wrong:
            raise BadRequest("this subscription cannot decrypt it") from wrong
        plain = padded.rstrip(b"\0")
        if not plain.endswith(b"\2"):
            raise BadRequest("the record is not marked as the last")
        return plain[:-1]


class BadRequest(Exception):
    """A request that a push service refuses."""

    def __init__(self, reason: str, status: int = 400) -> None:
        self.status = status
        super().__init__(reason)


class WebPushSimulator:
    """Subscriptions are made by `subscribe`, or by POST /simulator/subscriptions."""

    def __init__(self) -> None:
        self.script = Script(STATUSES)
        self.received: Received[Message] = Received(shown=Message.read)
        self._verified: dict[str, dict[str, Any]] = {}
        self.server = HttpServer(self.handle)
        self._browsers: dict[str, Browser] = {}
        self._tls = False

    async def start(self, host: str = "127.0.0.1", port: int = 0, tls: Any = None) -> None:
        self._tls = tls is not None
        await self.server.start(host, port, tls)

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.server.host}:{self.server.port}"

    def subscribe(self, name: str, application_server_key: str | None = None) -> Subscription:
        """Make a subscription; with a key, only its owner may send."""
        browser = self._browsers[name] = Browser(application_server_key)
        return Subscription(
            f"{self.origin}/push/{name}",
            urlsafe_b64encode(browser.point).rstrip(b"=").decode(),
            urlsafe_b64encode(browser.auth).rstrip(b"=").decode(),
        )

    def handle(self, asked: Asked, _peer: Peer) -> Answer:
        if asked.path == "/simulator/subscriptions" and asked.method == "POST":
            wanted = msgspec.json.decode(asked.body or b"{}", type=dict[str, str])
            name = wanted.get("name") or os.urandom(8).hex()
            made = self.subscribe(name, wanted.get("application_server_key"))
            keys = {"p256dh": made.p256dh, "auth": made.auth}
            return answer_json(201, {"endpoint": made.endpoint, "keys": keys})
        steering = steered(asked, self.script, self.received, self.server.peers())
        if steering is not None:
            return steering
        try:
            return self._push(asked)
        except BadRequest as wrong:
            return answer_json(wrong.status, {"error": str(wrong)})

    def _push(self, asked: Asked) -> Answer:
        name = asked.path.removeprefix("/push/")
        browser = self._browsers.get(name)
        if asked.method != "POST" or browser is None:
            raise BadRequest("there is no such subscription", 404)
        rule = self.script.find(name)
        self._check(asked, browser)
        status = STATUSES.get(rule.answer, 201)
        message = Message(
            browser,
            asked.body,
            name,
            int(asked.headers["ttl"]),
            asked.headers.get("urgency", "normal"),
            asked.headers.get("topic"),
            status,
        )
        if not rule.refuses:
            self.received.add(message)
        return _answer(status, rule, f"{self.origin}/message/{self.received.count}")

    def _check(self, asked: Asked, browser: Browser) -> None:
        headers = asked.headers
        if not headers.get("ttl", "").isdecimal():
            raise BadRequest("TTL is missing or no number")
        if headers.get("urgency", "normal") not in _URGENCIES:
            raise BadRequest("Urgency is unknown")
        if "topic" in headers and not _TOPIC.fullmatch(headers["topic"]):
            raise BadRequest("Topic is not up to 32 characters of base64url")
        if headers.get("content-encoding") != "aes128gcm":
            raise BadRequest("Content-Encoding is not aes128gcm", 415)
        if len(asked.body) > MOST_BYTES:
            raise BadRequest("more than 4096 bytes", 413)
        self._check_vapid(headers.get("authorization", ""), browser)

    def _check_vapid(self, authorization: str, browser: Browser) -> None:
        """Hold a token against RFC 8292."""
        found = _VAPID.fullmatch(authorization)
        if found is None:
            raise BadRequest("no VAPID credentials", 401)
        if browser.application_server_key not in {None, found[2]}:
            raise BadRequest("the subscription belongs to another key", 403)
        claims = self._verified.get(authorization)
        if claims is None:
            claims = self._verify(*found.groups())
            if len(self._verified) >= _MOST_VERIFIED:
                self._verified.clear()
            self._verified[authorization] = claims
        now = datetime.now(UTC).timestamp()
        if claims.get("aud") != self.origin:
            raise BadRequest(f"VAPID: aud is not {self.origin}", 403)
        if not now < claims.get("exp", 0) <= now + LONGEST_VAPID_S:
            raise BadRequest("VAPID: exp is past, or more than 24 hours ahead", 403)
        if not str(claims.get("sub", "mailto:")).startswith(("mailto:", "https:")):
            raise BadRequest("VAPID: sub is neither mailto: nor https:", 403)

    def _verify(self, token: str, key: str) -> dict[str, Any]:
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, decoded(key))
            return verified(token, point, "ES256")
        except (BadToken, ValueError) as wrong:
            raise BadRequest(f"VAPID: {wrong}", 403) from wrong

    async def close(self) -> None:
        await self.server.close()


def _answer(status: int, rule: Rule, location: str) -> Answer:
    headers: list[tuple[str, str]] = []
    if status in {201, 307}:
        headers.append(("location", location))
    if status == 429 or rule.retry_after:
        headers.append(("retry-after", rule.retry_after or "30"))
    body = b"" if status == 201 else msgspec.json.encode({"error": rule.answer})
    manner = MANNERS.get(rule.answer, "reply")
    return Answer(status, tuple(headers), body, rule.after_s, manner)
