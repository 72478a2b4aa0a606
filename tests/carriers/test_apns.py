"""Notifications to Apple's devices, over a simulator of both hosts."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from nova.adapters.apns.carrier import ApnsUnreachable
from nova.adapters.apns.rules import REASONS, collapse_id, push, verdict
from nova.adapters.apns.tokens import LAG_S, PERIOD_S, Tokens, issued_at
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Verdict
from nova.simulators.apns import STATUSES
from nova.simulators.scripts import Rule
from nova.wire.origin import Bounds
from support.carried import TOPIC, apple, iphone, parcel

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GONE = {"BadDeviceToken", "ExpiredToken", "Unregistered"}
OURS = {
    "BadCertificate", "BadCertificateEnvironment", "BadEnvironmentKeyIdInToken", "BadTopic",
    "DeviceTokenNotForTopic", "ExpiredProviderToken", "Forbidden", "InvalidProviderToken",
    "MissingProviderToken", "MissingTopic", "TopicDisallowed", "UnrelatedKeyIdInToken",
}  # fmt: skip
LATER = {
    "IdleTimeout": None,
    "InternalServerError": None,
    "ServiceUnavailable": None,
    "Shutdown": None,
    "TooManyProviderTokenUpdates": 60,
    "TooManyRequests": 60,
}


def expected(reason: str) -> Verdict:
    if reason in GONE:
        return Verdict.GONE
    if reason in OURS:
        return Verdict.MISCONFIGURED
    return Verdict.RETRY if reason in LATER else Verdict.REFUSED


@pytest.mark.parametrize("reason", STATUSES)
def test_every_reason_has_its_verdict(reason: str) -> None:
    body = json.dumps({"reason": reason, "timestamp": 1_700_000_000_000}).encode()
    judged = verdict(STATUSES[reason], {b"apns-id": b"1"}, body, NOW)
    assert (judged.verdict, judged.code) == (expected(reason), reason)
    assert judged.retry_after_s == LATER.get(reason)
    since = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC) if reason in GONE else None
    assert judged.gone_since == since
    assert set(REASONS) == set(STATUSES)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (410, b"", Verdict.GONE),
        (410, b'{"reason": "New", "timestamp": 1e300}', Verdict.GONE),
        (403, b'{"reason": "New"}', Verdict.MISCONFIGURED),
        (400, b'{"reason": "New"}', Verdict.REFUSED),
        (429, b"<html>", Verdict.RETRY),
        (502, b"\xff", Verdict.RETRY),
    ],
)
def test_a_reason_that_is_new_is_judged_by_its_status(
    status: int, body: bytes, expected: Verdict
) -> None:
    assert verdict(status, {}, body, NOW).verdict is expected


def test_all_processes_mint_the_same_token_and_change_it_together() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    clocks = [ManualClock(NOW), ManualClock(NOW + timedelta(minutes=4))]
    processes = [Tokens(pem, key_id="K", team_id="T", clock=clock) for clock in clocks]
    seen = set()
    for _ in range(100):
        for process, clock in zip(processes, clocks, strict=True):
            header = process.header()
            assert process.header() is header
            assert LAG_S <= clock.now().timestamp() - _issued(pem, header[1]) <= LAG_S + PERIOD_S
            seen.add(header)
            clock.advance(600)
    # 1,000 minutes and four more; 45 minutes each.
    assert len(seen) in {23, 24}


def _issued(pem: str, header: bytes) -> float:
    token = jwt.decode(header.removeprefix(b"bearer ").decode(), ECKey.import_key(pem))
    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": "K"}
    assert token.claims["iss"] == "T"
    issued: float = token.claims["iat"]
    return issued


def test_an_issue_time_is_a_boundary_of_the_wall_clock() -> None:
    at = 100 * PERIOD_S
    assert issued_at(at + LAG_S) == at
    assert issued_at(at + LAG_S - 1) == at - PERIOD_S


def test_an_expired_token_is_renewed_once_in_twenty_minutes() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    clock = ManualClock(NOW)
    tokens = Tokens(pem, key_id="K", team_id="T", clock=clock)
    first = tokens.header()
    assert tokens.renew(first)
    second = tokens.header()
    assert second != first
    assert tokens.renew(first)  # another send found out the same
    assert tokens.header() is second
    assert not tokens.renew(second)
    clock.advance(1201)
    assert tokens.renew(second)


@pytest.mark.parametrize(
    ("changes", "kind", "priority", "aps"),
    [
        (
            {},
            "alert",
            b"10",
            {"alert": {"title": "T", "body": "B"}, "sound": "default", "badge": 3},
        ),
        (
            {"urgent": False, "badge": None},
            "alert",
            b"5",
            {"alert": {"title": "T", "body": "B"}},
        ),
        ({"title": "", "body": ""}, "alert", b"10", {"badge": 3}),
        ({"title": "", "body": "", "badge": None}, "background", b"5", {"content-available": 1}),
    ],
)
def test_kind_and_priority_fit_the_payload(
    changes: dict[str, Any], kind: str, priority: bytes, aps: dict[str, Any]
) -> None:
    made = push(parcel(iphone("a"), **{"title": "T", "body": "B"} | changes))
    assert made is not None
    assert (made.kind, made.priority) == (kind, priority)
    assert json.loads(made.payload)["aps"] == aps


def test_a_collapse_id_that_no_header_holds_becomes_its_digest() -> None:
    assert collapse_id("post-1") == b"post-1"
    for unfit in ("a" * 65, "ä", "a\r\nb", ""):
        assert len(collapse_id(unfit)) == 64


async def test_a_notification_reaches_the_device() -> None:
    async with apple() as each:
        sent = parcel(iphone("ab12"))
        outcome = await each.carrier.send(sent)
        assert (outcome.verdict, outcome.provider_id) == (Verdict.SENT, str(sent.id))
        [got] = each.production.received.items
        assert (got.device, got.kind, got.priority, got.topic) == ("ab12", "alert", "10", TOPIC)
        assert got.expiration == str(int(sent.expires_at.timestamp()))
        assert got.collapse_id == sent.collapse_id
        assert got.payload["aps"]["alert"]["title"] == sent.title
        assert got.payload["data"] == {"post": "1"}
        assert await each.carrier.ping() == f"connected to 127.0.0.1:{each.production.server.port}"


@pytest.mark.parametrize("reason", sorted(set(STATUSES) - {"ExpiredProviderToken"}))
async def test_every_reason_over_the_wire(reason: str) -> None:
    async with apple() as each:
        target = iphone(f"{reason}.ben")
        outcome = await each.carrier.send(parcel(target))
        assert (outcome.verdict, outcome.code) == (expected(reason), reason)
        assert (outcome.gone_since is not None) == (reason in {"Unregistered", "ExpiredToken"})
        # A bad device token is looked for on the other host once; nothing else is.
        assert each.sandbox.received.count == (reason == "BadDeviceToken")


async def test_a_sandbox_token_is_found_on_the_other_host_and_remembered() -> None:
    async with apple() as each:
        target = iphone("sandbox.ben")
        for _ in range(2):
            assert (await each.carrier.send(parcel(target))).verdict is Verdict.SENT
        assert (each.production.received.count, each.sandbox.received.count) == (1, 2)
        named = iphone("sandbox.eve", environment="sandbox")
        assert (await each.carrier.send(parcel(named))).verdict is Verdict.SENT
        assert (each.production.received.count, each.sandbox.received.count) == (1, 3)


async def test_an_expired_provider_token_is_minted_anew_once() -> None:
    async with apple(update_s=0) as each:
        each.production.script.add(Rule(match="ben", answer="ExpiredProviderToken", times=1))
        assert (await each.carrier.send(parcel(iphone("ben")))).verdict is Verdict.SENT
        assert len(each.production.tokens) == 2
        each.production.script.add(Rule(match="ben", answer="ExpiredProviderToken"))
        outcome = await each.carrier.send(parcel(iphone("ben")))
        assert (outcome.verdict, outcome.code) == (Verdict.MISCONFIGURED, "ExpiredProviderToken")
        assert len(each.production.tokens) == 2


async def test_a_clock_that_is_an_hour_behind_is_our_misconfiguration() -> None:
    clock = ManualClock(datetime.now(UTC) - timedelta(hours=2))
    async with apple(clock=clock) as each:
        outcome = await each.carrier.send(parcel(iphone("ben")))
        assert (outcome.verdict, outcome.code) == (Verdict.MISCONFIGURED, "ExpiredProviderToken")
        assert "clock" in outcome.text


async def test_three_thousand_rejections_leave_the_connection_as_it_was() -> None:
    """Windows are given back: aioapns 4.0 falls silent after 65,535 bytes of answers."""
    async with apple(bounds=Bounds(waiting=3000)) as each:
        sends = (each.carrier.send(parcel(iphone(f"Unregistered.{n}"))) for n in range(3000))
        outcomes = await asyncio.gather(*sends)
        assert {outcome.code for outcome in outcomes} == {"Unregistered"}
        assert each.production.received.count == 3000
        assert each.production.server.accepted == 1


async def test_after_a_rejected_token_streams_go_one_by_one() -> None:
    async with apple(cautious=True) as each:
        each.production.script.add(Rule(match="ben", answer="InvalidProviderToken", times=1))
        await each.carrier.send(parcel(iphone("ben")))
        outcomes = await asyncio.gather(
            *(each.carrier.send(parcel(iphone(f"user-{n}"))) for n in range(50))
        )
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        assert (each.production.server.accepted, each.production.server.overruns) == (1, 0)


async def test_what_is_lost_on_the_way_back_is_unknown_and_was_sent_once() -> None:
    async with apple() as each:
        each.production.script.add(Rule(match="ben", answer="lost", times=1))
        assert (await each.carrier.send(parcel(iphone("ben")))).verdict is Verdict.UNKNOWN
        assert each.production.received.count == 1


async def test_an_unreachable_host_is_tried_again_later() -> None:
    async with apple() as each:
        await each.production.close()
        outcome = await each.carrier.send(parcel(iphone("ben")))
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "unsent")
        assert outcome.retry_after_s is not None
        with pytest.raises(ApnsUnreachable):
            await each.carrier.ping()


async def test_what_apns_would_refuse_is_not_sent() -> None:
    async with apple() as each:
        ben = iphone("ben")
        assert (
            await each.carrier.send(parcel(ben, expires_at=NOW - timedelta(3650)))
        ).code == "expired"
        assert (await each.carrier.send(parcel(iphone("../x")))).code == "bad_token"
        big = await each.carrier.send(parcel(ben, data={"a": "x" * 5000}))
        assert (big.verdict, big.code) == (Verdict.REFUSED, "PayloadTooLarge")
        cut = await each.carrier.send(parcel(ben, body="🎉" * 5000))
        assert cut.verdict is Verdict.SENT
        [got] = each.production.received.items
        assert got.payload["aps"]["alert"]["body"].endswith("🎉…")
