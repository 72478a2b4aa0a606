"""Messages to browsers, over both versions of HTTP and against other implementations."""

import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pywebpush import WebPusher

from nova.adapters.webpush.encryption import (
    MOST_PLAIN,
    PAIR_MESSAGES,
    PAIR_S,
    BadKeys,
    Sealer,
    browser,
)
from nova.adapters.webpush.rules import LONGEST_TTL_S, topic, ttl, verdict
from nova.adapters.webpush.vapid import Vapid
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Target, Verdict
from nova.simulators.scripts import Rule
from nova.simulators.webpush import Browser
from nova.wire.addresses import Guard
from nova.wire.origin import Bounds
from support.carried import at, browsers, parcel, vapid_key
from support.waiting import until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VERSIONS = ["h2", "http/1.1"]


@pytest.mark.parametrize(
    ("status", "headers", "expected", "wait"),
    [
        (201, {}, Verdict.SENT, None),
        (200, {}, Verdict.SENT, None),
        (202, {}, Verdict.SENT, None),
        (404, {}, Verdict.GONE, None),
        (410, {}, Verdict.GONE, None),
        (413, {}, Verdict.REFUSED, None),
        (400, {}, Verdict.REFUSED, None),
        (307, {}, Verdict.REFUSED, None),
        (401, {}, Verdict.MISCONFIGURED, None),
        (403, {}, Verdict.MISCONFIGURED, None),
        (429, {}, Verdict.RETRY, 60),
        (429, {b"retry-after": b"7"}, Verdict.RETRY, 7),
        (429, {b"retry-after": b"Tue, 24 Nov 2026 12:01:30 GMT"}, Verdict.RETRY, 90),
        (429, {b"retry-after": b"Tue, 24 Nov 2026 11:00:00 GMT"}, Verdict.RETRY, 0),
        (429, {b"retry-after": b"soon"}, Verdict.RETRY, 60),
        (429, {b"retry-after": b"99999999999999"}, Verdict.RETRY, 86_400),
        (500, {}, Verdict.RETRY, None),
        (503, {b"retry-after": b"120"}, Verdict.RETRY, 120),
    ],
)
def test_every_answer_has_its_verdict(
    status: int, headers: dict[bytes, bytes], expected: Verdict, wait: float | None
) -> None:
    judged = verdict(status, headers, b"why", NOW)
    assert (judged.verdict, judged.retry_after_s, judged.code) == (expected, wait, str(status))


def test_a_topic_is_the_collapse_id_or_its_digest() -> None:
    assert topic("post-1_likes") == b"post-1_likes"
    for unfit in ("a" * 33, "a:b", "", "ä", "a\r\nb"):
        assert len(topic(unfit)) == 32
        assert topic(unfit) == topic(unfit) != topic(unfit + "x")


def test_time_to_live_is_whole_seconds_up_to_28_days() -> None:
    assert ttl(NOW + timedelta(seconds=90.9), NOW) == 90
    assert ttl(NOW + timedelta(days=90), NOW) == LONGEST_TTL_S
    assert ttl(NOW - timedelta(seconds=1), NOW) <= 0


@pytest.mark.parametrize("size", [0, 1, 300, MOST_PLAIN])
def test_other_implementations_decrypt_ours(size: int) -> None:
    key, auth = ec.generate_private_key(ec.SECP256R1()), b"0123456789abcdef"
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    message = Sealer(ManualClock(NOW)).seal(
        b"x" * size, browser(_base64url(point), _base64url(auth))
    )
    assert len(message) <= 4096
    opened = http_ece.decrypt(message, private_key=key, auth_secret=auth, version="aes128gcm")
    assert opened == b"x" * size


def test_the_simulators_browser_decrypts_other_implementations() -> None:
    browser = Browser(None)
    info = {
        "endpoint": "https://push.example/1",
        "keys": {"p256dh": _base64url(browser.point), "auth": _base64url(browser.auth)},
    }
    encoded = WebPusher(info).encode(b"hello", content_encoding="aes128gcm")
    assert encoded is not None
    assert browser.open(encoded["body"]) == b"hello"


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def test_the_example_of_the_rfc_has_keys_that_are_taken() -> None:
    point = (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    auth = _base64url(b"0" * 16)
    assert browser(point, auth).auth == b"0" * 16
    off_the_curve = _base64url(b"\4" + b"1" * 64)
    for bad_point, bad_auth in (
        ("", auth),
        ("!", auth),
        ("ä", auth),
        (off_the_curve, auth),
        (point, ""),
        (point, _base64url(b"0" * 15)),
        (point, "ä"),
    ):
        with pytest.raises(BadKeys):
            browser(bad_point, bad_auth)


def test_a_key_pair_serves_a_few_seconds_and_a_salt_one_message() -> None:
    clock, ben = ManualClock(NOW), Browser(None)
    keys = browser(_base64url(ben.point), _base64url(ben.auth))
    sealer = Sealer(clock)

    def sealed() -> tuple[bytes, bytes]:
        message = sealer.seal(b"hello", keys)
        assert ben.open(message) == b"hello"
        return message[:16], message[21:86]

    first = [sealed() for _ in range(3)]
    assert len({salt for salt, _ in first}) == 3
    assert len({public for _, public in first}) == 1
    clock.advance(PAIR_S)
    later = [sealed()[1] for _ in range(PAIR_MESSAGES + 1)]
    assert first[0][1] not in later
    assert later.count(later[0]) == PAIR_MESSAGES
    assert Sealer(clock).seal(b"", keys)[21:86] not in later


def test_a_token_is_kept_per_origin_and_renewed_before_it_ends() -> None:
    clock = ManualClock(NOW)
    vapid = Vapid(vapid_key(), subject="mailto:ops@example.com", clock=clock)
    first = vapid.header("https://a.example")
    assert vapid.header("https://a.example") is first
    assert vapid.header("https://b.example") != first
    clock.advance(11.5 * 3600)
    assert vapid.header("https://a.example") != first


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_message_reaches_the_browser(version: str) -> None:
    async with browsers(version) as (service, carrier):
        target = at(service.subscribe("ben"))
        outcome = await carrier.send(parcel(target))
        assert outcome.verdict is Verdict.SENT
        assert outcome.provider_id == f"{service.origin}/message/1"
        message = service.received.items[0].read()
        assert (message.urgency, message.topic) == ("high", "post-1-likes")
        assert 3000 < message.ttl <= 3600
        plain = json.loads(message.plain)
        assert plain["web_push"] == 8030
        assert plain["app_badge"] == 3
        assert plain["notification"] == {
            "title": "Ada liked your post",
            "body": "“Notes on the engine”: 3 likes",
            "tag": "post-1-likes",
            "lang": "en",
            "data": {"post": "1"},
            "navigate": "https://example.com/posts/1",
        }


@pytest.mark.parametrize("version", VERSIONS)
async def test_two_hundred_messages_at_once_arrive_once_each(version: str) -> None:
    async with browsers(version, bounds=Bounds(connections=4)) as (service, carrier):
        targets = [at(service.subscribe(f"user-{number}")) for number in range(200)]
        outcomes = await asyncio.gather(*(carrier.send(parcel(target)) for target in targets))
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        assert len({message.name for message in service.received.items}) == 200
        assert service.received.count == 200
        assert service.server.accepted <= 4


async def test_what_services_answer_is_judged() -> None:
    async with browsers() as (service, carrier):
        expected = {
            "Gone": Verdict.GONE,
            "NotFound": Verdict.GONE,
            "TooLarge": Verdict.REFUSED,
            "BadRequest": Verdict.REFUSED,
            "Unauthorized": Verdict.MISCONFIGURED,
            "Forbidden": Verdict.MISCONFIGURED,
            "TooMany": Verdict.RETRY,
            "InternalError": Verdict.RETRY,
            "Unavailable": Verdict.RETRY,
            "Redirect": Verdict.REFUSED,
            "goaway": Verdict.SENT,
            "refused_stream": Verdict.RETRY,
            "lost": Verdict.UNKNOWN,
        }
        found = {
            name: (await carrier.send(parcel(at(service.subscribe(f"{name}.ben"))))).verdict
            for name in expected
        }
        assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_service_that_never_answers_leaves_the_outcome_unknown(version: str) -> None:
    async with browsers(version, bounds=Bounds(deadline_s=3)) as (service, carrier):
        target = at(service.subscribe("ben"))
        assert (await carrier.send(parcel(target))).verdict is Verdict.SENT  # it is connected
        service.script.add(Rule(match="ben", answer="tarpit", times=1))
        assert (await carrier.send(parcel(target))).verdict is Verdict.UNKNOWN

        async def is_sent() -> bool:
            return (await carrier.send(parcel(target))).verdict is Verdict.SENT

        await until(is_sent)  # once there is another connection


async def test_what_a_browser_cannot_decrypt_is_seen_when_it_is_read() -> None:
    async with browsers() as (service, carrier):
        target, other = at(service.subscribe("ben")), at(service.subscribe("eve"))
        mixed = Target(target.device_id, "web", target.address, other.keys)
        assert (await carrier.send(parcel(mixed))).verdict is Verdict.SENT
        assert "cannot decrypt" in service.received.items[0].read().wrong


async def test_another_servers_key_is_our_misconfiguration() -> None:
    async with browsers() as (service, carrier):
        target = at(service.subscribe("ben", application_server_key="somebody-else"))
        assert (await carrier.send(parcel(target))).verdict is Verdict.MISCONFIGURED


async def test_what_is_too_late_or_too_large_is_not_sent() -> None:
    async with browsers() as (service, carrier):
        target = at(service.subscribe("ben"))
        late = await carrier.send(parcel(target, expires_at=datetime.now(UTC)))
        assert (late.verdict, late.code) == (Verdict.REFUSED, "expired")
        large = await carrier.send(parcel(target, data={"a": "x" * 4000}))
        assert (large.verdict, large.code) == (Verdict.REFUSED, "payload_too_large")
        assert service.received.count == 0


async def test_a_long_body_is_cut_to_fit() -> None:
    async with browsers() as (service, carrier):
        target = at(service.subscribe("ben"))
        assert (await carrier.send(parcel(target, body="ä" * 5000))).verdict is Verdict.SENT
        body = json.loads(service.received.items[0].read().plain)["notification"]["body"]
        assert body.endswith("ä…")
        assert len(body) > 1000


@pytest.mark.parametrize(
    ("address", "keys", "expected"),
    [
        ("http://127.0.0.1:1/x", True, "forbidden_address"),
        ("https://127.0.0.1:1/x", True, "forbidden_address"),
        ("https://[::ffff:127.0.0.1]/x", True, "forbidden_address"),
        ("https://2130706433/x", True, "forbidden_address"),
        ("https://push.example/a b\r\nx: y", True, "forbidden_address"),
        ("ftp://push.example/", True, "forbidden_address"),
        ("https:///x", True, "forbidden_address"),
        ("https://localhost:1/x", True, "forbidden_address"),
        ("https://push.example/", False, "bad_keys"),
    ],
)
async def test_an_endpoint_that_no_browser_has_is_never_called(
    address: str, expected: str, *, keys: bool
) -> None:
    async with browsers() as (service, carrier):
        carrier._outgoing._guard = Guard()
        carrier._outgoing._make.keywords["guard"] = Guard()
        good = at(service.subscribe("ben")).keys
        target = Target(uuid4(), "web", address, good if keys else {"p256dh": "!", "auth": "ä"})
        outcome = await carrier.send(parcel(target))
        assert (outcome.verdict, outcome.code) == (Verdict.GONE, expected)
