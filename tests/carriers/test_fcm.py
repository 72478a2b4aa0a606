"""Messages through Firebase, over a simulator of FCM and of its OAuth endpoint."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from google.auth import jwt as google_jwt

from nova.adapters.fcm.carrier import FcmUnreachable
from nova.adapters.fcm.oauth import service_account
from nova.adapters.fcm.rules import message, verdict
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from nova.simulators.fcm import ERRORS, refusal
from nova.simulators.scripts import Rule
from nova.wire.jws import BadKey
from support.carried import android, google, iphone, parcel
from support.waiting import until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
EXPECTED: dict[str, tuple[Verdict, str, float | None]] = {
    "BadRequest": (Verdict.REFUSED, "BadRequest", None),
    "INVALID_ARGUMENT": (Verdict.REFUSED, "INVALID_ARGUMENT", None),
    "UNAUTHENTICATED": (Verdict.MISCONFIGURED, "UNAUTHENTICATED", None),
    "THIRD_PARTY_AUTH_ERROR": (Verdict.MISCONFIGURED, "THIRD_PARTY_AUTH_ERROR", None),
    "SENDER_ID_MISMATCH": (Verdict.MISCONFIGURED, "SENDER_ID_MISMATCH", None),
    "PERMISSION_DENIED": (Verdict.MISCONFIGURED, "PERMISSION_DENIED", None),
    "UNREGISTERED": (Verdict.GONE, "UNREGISTERED", None),
    "QUOTA_EXCEEDED": (Verdict.RETRY, "QUOTA_EXCEEDED", 60),
    "INTERNAL": (Verdict.RETRY, "INTERNAL", 10),
    "UNAVAILABLE": (Verdict.RETRY, "UNAVAILABLE", 10),
}


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_has_its_verdict(name: str) -> None:
    answer = refusal(name, "why")
    judged = verdict(answer.status, {}, answer.body, NOW)
    assert (judged.verdict, judged.code, judged.retry_after_s) == EXPECTED[name]


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected", "wait"),
    [
        (404, {}, b"<html>", Verdict.MISCONFIGURED, None),
        (404, {}, b'{"error": {"status": "NOT_FOUND"}}', Verdict.MISCONFIGURED, None),
        (400, {}, b"", Verdict.REFUSED, None),
        (429, {b"retry-after": b"5"}, b"", Verdict.RETRY, 5),
        (503, {b"retry-after": b"5"}, b"", Verdict.RETRY, 10),
        (503, {b"retry-after": b"90"}, b"", Verdict.RETRY, 90),
        (502, {}, b"\xff", Verdict.RETRY, 10),
    ],
)
def test_an_answer_without_fcms_own_code_kills_no_token(
    status: int, headers: dict[bytes, bytes], body: bytes, expected: Verdict, wait: float | None
) -> None:
    judged = verdict(status, headers, body, NOW)
    assert (judged.verdict, judged.retry_after_s) == (expected, wait)


def test_a_sentence_of_googles_decides_nothing() -> None:
    body = {"error": {"message": "UNREGISTERED token: Requested entity was not found."}}
    assert verdict(400, {}, json.dumps(body).encode(), NOW).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    ("platform", "block", "changes"),
    [
        (
            "android",
            {
                "android": {
                    "priority": "HIGH",
                    "ttl": "60s",
                    "notification": {"tag": "c", "notification_count": 3},
                }
            },
            {},
        ),
        ("android", {"android": {"priority": "HIGH", "ttl": "60s"}}, {"title": "", "body": ""}),
        (
            "ios",
            {
                "apns": {
                    "headers": {
                        "apns-priority": "10",
                        "apns-expiration": "1795521660",
                        "apns-collapse-id": "c",
                    },
                    "payload": {"aps": {"badge": 3}},
                }
            },
            {},
        ),
        (
            "web",
            {
                "webpush": {
                    "headers": {"TTL": "60", "Urgency": "normal"},
                    "notification": {"tag": "c", "lang": "en"},
                    "fcm_options": {"link": "https://example.com/posts/1"},
                }
            },
            {"urgent": False},
        ),
    ],
)
def test_each_platform_has_its_block(
    platform: Any, block: dict[str, Any], changes: dict[str, Any]
) -> None:
    given: dict[str, Any] = {"collapse_id": "c", "expires_at": NOW + timedelta(minutes=1)}
    target = android("t")
    target = type(target)(target.device_id, platform, "t")
    body = message(parcel(target, **given | changes), NOW)
    assert body is not None
    whole = json.loads(body)["message"]
    assert whole.pop("token") == "t"
    assert whole.pop("data") == {"post": "1", "url": "https://example.com/posts/1"}
    assert ("notification" in whole) == (changes.get("title") != "")
    whole.pop("notification", None)
    assert whole == block


async def test_a_message_reaches_the_device_and_one_token_serves_all() -> None:
    async with google() as (service, carrier):
        outcomes = await asyncio.gather(
            *(carrier.send(parcel(android(f"device:{n}"))) for n in range(200))
        )
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        assert len({outcome.provider_id for outcome in outcomes}) == 200
        assert (service.received.count, service.asked_for_tokens) == (200, 1)
        assert service.received.items[0].message["notification"]["title"] == "Ada liked your post"
        assert (await carrier.send(parcel(iphone("device:ios")))).verdict is Verdict.SENT
        assert (await carrier.ping()).startswith("connected to 127.0.0.1:")


@pytest.mark.parametrize("name", ERRORS)
async def test_every_error_over_the_wire(name: str) -> None:
    async with google() as (service, carrier):
        outcome = await carrier.send(parcel(android(f"{name}.ben")))
        assert (outcome.verdict, outcome.code, outcome.retry_after_s) == EXPECTED[name]
        service.script.add(Rule(answer="UNAVAILABLE", retry_after="77"))
        assert (await carrier.send(parcel(android("ben")))).retry_after_s == 77


async def test_a_token_is_renewed_ahead_of_its_end_and_after_its_withdrawal() -> None:
    clock = ManualClock(datetime.now(UTC))
    async with google(clock=clock, lifetime_s=400) as (service, carrier):
        ben = parcel(android("ben"))
        await carrier.send(ben)
        first = await carrier.tokens.header()
        clock.advance(200)
        assert await carrier.tokens.header() is first
        later = parcel(android("ben"), expires_at=clock.now() + timedelta(hours=1))
        assert (await carrier.send(later)).verdict is Verdict.SENT
        await until(lambda: carrier.tokens._header is not first)  # nobody waits for the renewal
        assert service.asked_for_tokens == 2
        service.granted.clear()
        assert (await carrier.send(later)).verdict is Verdict.SENT
        assert service.asked_for_tokens == 3


async def test_a_service_account_that_google_refuses_is_our_misconfiguration() -> None:
    async with google() as (service, carrier):
        service.refuses_tokens = 400
        outcome = await carrier.send(parcel(android("ben")))
        assert (outcome.verdict, outcome.code) == (Verdict.MISCONFIGURED, "not_authorised")
        with pytest.raises(FcmUnreachable):
            await carrier.ping()
        service.refuses_tokens = 503
        assert (await carrier.send(parcel(android("ben")))).verdict is Verdict.RETRY
        service.refuses_tokens = 0
        assert (await carrier.send(parcel(android("ben")))).verdict is Verdict.SENT


async def test_the_quota_is_told_and_the_message_kept_for_later() -> None:
    async with google(quota=3) as (_, carrier):
        outcomes = [await carrier.send(parcel(android("ben"))) for _ in range(5)]
        assert [outcome.verdict for outcome in outcomes][:3] == [Verdict.SENT] * 3
        assert outcomes[-1].retry_after_s == 60


async def test_google_verifies_our_assertion() -> None:
    async with google() as (service, carrier):
        public = service._key.public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = google_jwt.decode(carrier.tokens.assertion(), certs=pem)  # type: ignore[no-untyped-call]
        assert claims["aud"] == service.service_account()["token_uri"]


async def test_what_fcm_would_refuse_is_not_sent() -> None:
    async with google() as (service, carrier):
        ben = android("ben")
        assert (await carrier.send(parcel(ben, expires_at=NOW - timedelta(3650)))).code == "expired"
        assert (await carrier.send(parcel(android("a b")))).code == "bad_token"
        assert (await carrier.send(parcel(ben, data={"a": "x" * 5000}))).code == "payload_too_large"
        assert (await carrier.send(parcel(ben, body="ä" * 5000))).verdict is Verdict.SENT
        assert service.received.count == 1


@pytest.mark.parametrize("document", ["", "{}", '{"project_id": "../x"}', "[]"])
def test_what_is_no_service_account_is_said(document: str) -> None:
    with pytest.raises(BadKey, match="service account"):
        service_account(document)
