"""Mail, through a server that can be told to refuse."""

import asyncio
import email
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email import policy
from typing import Any

import dkim
import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import example, given
from hypothesis import strategies as some

from nova.adapters.smtp.carrier import SmtpUnreachable
from nova.adapters.smtp.dkim import Signer
from nova.adapters.smtp.message import BadAddress, HeaderInjection, address, message, sender
from nova.adapters.smtp.rules import Stage, verdict
from nova.ports.carriers import Verdict
from nova.simulators.scripts import Rule
from support.carried import SENDER, mailbox, parcel, post_office, rsa_key

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEN = mailbox("ben@example.net")


@pytest.mark.parametrize(
    ("status", "text", "stage", "expected", "wait", "code"),
    [
        (250, "2.0.0 Queued", "data", Verdict.SENT, None, "2.0.0"),
        (450, "Try later", "rcpt", Verdict.RETRY, 300, "450"),
        (451, "4.7.1 Greylisted", "rcpt", Verdict.RETRY, 300, "4.7.1"),
        (452, "4.2.2 Full", "rcpt", Verdict.RETRY, 300, "4.2.2"),
        (421, "4.3.2 Closing", "mail", Verdict.RETRY, 60, "4.3.2"),
        (454, "4.7.0 Temporary", "login", Verdict.RETRY, 60, "4.7.0"),
        (550, "5.1.1 No such user", "rcpt", Verdict.GONE, None, "5.1.1"),
        (550, "5.1.2 No such domain", "rcpt", Verdict.GONE, None, "5.1.2"),
        (556, "5.1.10 Null MX", "rcpt", Verdict.GONE, None, "5.1.10"),
        (550, "5.2.1 Disabled", "rcpt", Verdict.GONE, None, "5.2.1"),
        (550, "No such user", "rcpt", Verdict.GONE, None, "550"),
        (551, "Not local", "rcpt", Verdict.GONE, None, "551"),
        (553, "Bad name", "rcpt", Verdict.GONE, None, "553"),
        (552, "5.2.2 Full", "rcpt", Verdict.RETRY, 3600, "5.2.2"),
        (552, "Full", "data", Verdict.RETRY, 3600, "552"),
        (552, "5.3.4 Too big", "data", Verdict.REFUSED, None, "5.3.4"),
        (552, "5.2.3 Too long", "data", Verdict.REFUSED, None, "5.2.3"),
        (554, "Spam", "data", Verdict.REFUSED, None, "554"),
        (550, "5.6.0 Bad content", "data", Verdict.REFUSED, None, "5.6.0"),
        (550, "5.4.1 No route", "rcpt", Verdict.REFUSED, None, "5.4.1"),
        (501, "5.5.4 Syntax", "rcpt", Verdict.REFUSED, None, "5.5.4"),
        (550, "5.7.1 Not for you", "rcpt", Verdict.REFUSED, None, "5.7.1"),
        (554, "5.7.1 Spam", "data", Verdict.REFUSED, None, "5.7.1"),
        (550, "5.7.0 No", "rcpt", Verdict.REFUSED, None, "5.7.0"),
        (550, "5.7.2 Members only", "rcpt", Verdict.REFUSED, None, "5.7.2"),
        (550, "5.7.133 Senders of this group only", "rcpt", Verdict.REFUSED, None, "5.7.133"),
        (550, "5.7.17 The owner has changed", "rcpt", Verdict.GONE, None, "5.7.17"),
        (550, "5.7.1 Sender not allowed", "mail", Verdict.MISCONFIGURED, None, "5.7.1"),
        (550, "5.7.9 Weak", "data", Verdict.MISCONFIGURED, None, "5.7.9"),
        (550, "5.7.20 No DKIM", "data", Verdict.MISCONFIGURED, None, "5.7.20"),
        (550, "5.7.25 No reverse DNS", "data", Verdict.MISCONFIGURED, None, "5.7.25"),
        (550, "5.7.26 Unauthenticated", "data", Verdict.MISCONFIGURED, None, "5.7.26"),
        (550, "5.7.606 Banned", "rcpt", Verdict.MISCONFIGURED, None, "5.7.606"),
        (550, "5.7.28 Flood", "data", Verdict.RETRY, 3600, "5.7.28"),
        (421, "4.7.28 Unusual rate", "data", Verdict.RETRY, 60, "4.7.28"),
        (550, "5.1.8 Bad sender", "rcpt", Verdict.MISCONFIGURED, None, "5.1.8"),
        (550, "5.1.0 Sender rejected", "mail", Verdict.MISCONFIGURED, None, "5.1.0"),
        (553, "Sender rejected", "mail", Verdict.MISCONFIGURED, None, "553"),
        (535, "5.7.8 Bad credentials", "login", Verdict.MISCONFIGURED, None, "5.7.8"),
        (530, "Authentication required", "mail", Verdict.MISCONFIGURED, None, "530"),
        (554, "No service for you", "connect", Verdict.MISCONFIGURED, None, "554"),
        (550, "Version 5.1.12.7 says no", "data", Verdict.REFUSED, None, "550"),
    ],
)
def test_every_answer_has_its_verdict(  # noqa: PLR0917  # a column each
    status: int, text: str, stage: Stage, expected: Verdict, wait: float | None, code: str
) -> None:
    judged = verdict(status, text, stage)
    assert (judged.verdict, judged.retry_after_s, judged.code) == (expected, wait, code)


def read(mail: bytes) -> Any:
    assert b"\n" not in mail.replace(b"\r\n", b"")
    assert max(map(len, mail.split(b"\r\n"))) <= 200
    return email.message_from_bytes(mail, policy=policy.default)


def test_a_mail_reads_as_it_was_written() -> None:
    title = "Ada und 3 andere mögen deinen Beitrag über „Maschinen“ und 🎉 noch viel mehr davon"
    sent = parcel(
        BEN,
        title=title,
        body="Grüße\n.\nEnde",
        html="<p>Grüße</p>",
        unsubscribe_url="https://nova.example/u/1",
        locale="de",
    )
    mail = read(message(sent, SENDER, "ben@example.net", NOW))
    assert mail["Subject"] == title
    assert str(mail["From"]) == "Nova für alle <no-reply@example.com>"
    assert mail["To"] == "ben@example.net"
    assert mail["Message-ID"] == f"<{sent.id}@example.com>"
    assert mail["Date"].datetime == NOW
    assert mail["List-Unsubscribe"] == "<https://nova.example/u/1>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().splitlines() == ["Grüße", ".", "Ende"]
    assert mail.get_body(("html",)).get_content().strip() == "<p>Grüße</p>"


WORDS = some.text(some.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]))


@example("Bonjour\u00a0!  Encore", "")
@given(WORDS.filter(lambda text: text == text.strip()), some.text(some.characters(codec="utf-8")))
def test_any_title_and_body_arrive(title: str, body: str) -> None:
    mail = read(message(parcel(BEN, title=title, body=body), SENDER, "ben@example.net", NOW))
    assert email.header.make_header(email.header.decode_header(_raw(mail, "Subject"))) == title
    lines = body.replace("\r\n", "\n").replace("\r", "\n")
    plain = mail.get_payload(decode=True).decode().replace("\r\n", "\n")
    assert plain == lines + "\n"


def _raw(mail: Any, name: str) -> str:
    return str(next(value for key, value in mail.raw_items() if key == name))


@pytest.mark.parametrize(
    "changes",
    [
        {"locale": "en\r\nBcc: eve@example.com"},
        {"unsubscribe_url": "https://a.example/>\r\nBcc: x"},
        {"unsubscribe_url": "https://a.example/> <b"},
    ],
)
async def test_a_header_in_a_header_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(HeaderInjection):
        message(parcel(BEN, **changes), SENDER, "ben@example.net", NOW)
    async with post_office(security="none") as (office, carrier):
        outcome = await carrier.send(parcel(BEN, **changes))
        assert (outcome.verdict, outcome.code) == (Verdict.REFUSED, "header_injection")
        assert office.received.count == 0


@pytest.mark.parametrize("between", ["\r\n", "\n", "\0", "\u2028", "\x85"])
def test_a_title_of_several_lines_is_a_subject_of_one(between: str) -> None:
    title = f"Tea{between}Bcc: eve@example.com"
    raw = message(parcel(BEN, title=title), SENDER, "ben@example.net", NOW)
    mail = email.message_from_bytes(raw, policy=policy.SMTP)
    assert mail["Subject"] == "Tea Bcc: eve@example.com"
    assert mail["Bcc"] is None


@pytest.mark.parametrize(
    "text",
    [
        "", "ben", "@x.y", "ben@", "a@b@c", "a b@c", "a@b c", "a\r\n@b", "<a@b>", "a@b>", "a,b@c",
        "a" * 65 + "@b.c", "a@" + "b" * 300, "a@b\r\nRCPT TO:<eve@x>", "a@..", "a\0@b",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        address(text)


def test_domains_are_written_in_ascii() -> None:
    assert address("ben@bücher.example") == "ben@xn--bcher-kva.example"
    assert address("ada@faß.de") == "ada@xn--fa-hia.de"
    assert address("bén@Example.org") == "bén@Example.org"
    with pytest.raises(BadAddress, match="domain"):
        address("ada@i❤.ws")
    assert sender('"Nova, Inc." <a@b.example>').name == "Nova, Inc."
    with pytest.raises(HeaderInjection):
        sender("Nova\r\nBcc: x <a@b.example>")


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
async def test_a_mail_reaches_the_mailbox(security: Any) -> None:
    async with post_office(security=security, username="nova") as (office, carrier):
        sent = parcel(
            BEN, html="<b>Hi</b>", body=".dot\n..two", unsubscribe_url="https://u.example/1"
        )
        outcome = await carrier.send(sent)
        assert (outcome.verdict, outcome.provider_id) == (Verdict.SENT, f"<{sent.id}@example.com>")
        [mail] = office.received.items
        assert (mail.sender, mail.recipient) == ("no-reply@example.com", "ben@example.net")
        letter = mail.read()
        assert letter.plain.splitlines()[:2] == [".dot", "..two"]
        assert (letter.html or "").strip() == "<b>Hi</b>"
        assert await carrier.ping() == f"connected to 127.0.0.1:{office.port}"


async def test_a_repeat_carries_the_same_message_id() -> None:
    async with post_office() as (office, carrier):
        sent = parcel(BEN)
        office.script.add(Rule(answer="lost", times=1))
        assert (await carrier.send(sent)).verdict is Verdict.UNKNOWN
        assert (await carrier.send(sent)).verdict is Verdict.SENT
        first, second = (mail.read() for mail in office.received.items)
        assert first.headers["Message-ID"] == second.headers["Message-ID"]


async def test_a_hundred_mails_share_a_few_connections() -> None:
    async with post_office(connections=3) as (office, carrier):
        outcomes = await asyncio.gather(
            *(carrier.send(parcel(mailbox(f"user{n}@example.net"))) for n in range(100))
        )
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        assert len({mail.recipient for mail in office.received.items}) == 100
        assert office.accepted <= 3


@pytest.mark.parametrize(
    ("local", "expected", "code"),
    [
        ("unknown", Verdict.GONE, "5.1.1"),
        ("disabled", Verdict.GONE, "5.2.1"),
        ("full", Verdict.RETRY, "5.2.2"),
        ("policy", Verdict.REFUSED, "5.7.1"),
        ("greylist", Verdict.RETRY, "4.7.1"),
        ("toobig", Verdict.REFUSED, "5.3.4"),
        ("spam", Verdict.REFUSED, "5.7.1"),
        ("dkim", Verdict.MISCONFIGURED, "5.7.20"),
        ("flood", Verdict.RETRY, "4.7.28"),
        ("later", Verdict.RETRY, "4.3.0"),
        ("drop", Verdict.RETRY, "unsent"),
        ("lost", Verdict.UNKNOWN, "reply_lost"),
    ],
)
async def test_a_refused_mail_leaves_the_next_one_unharmed(
    local: str, expected: Verdict, code: str
) -> None:
    async with post_office(security="none", connections=1) as (_, carrier):
        refused = await carrier.send(parcel(mailbox(f"{local}.ben@example.net")))
        assert (refused.verdict, refused.code) == (expected, code)
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.SENT


async def test_a_connection_that_the_server_ended_meanwhile_costs_nothing() -> None:
    async with post_office(security="none", connections=1) as (office, carrier):
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.SENT
        office.script.add(Rule(answer="busy", times=1))
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.SENT
        office.cut()
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.SENT
        assert office.received.count == 3
        office.script.add(Rule(answer="busy"))
        outcome = await carrier.send(parcel(BEN))
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "4.3.2")


async def test_a_server_that_never_answers_leaves_the_outcome_unknown() -> None:
    async with post_office(security="none", timeout_s=0.3) as (_, carrier):
        outcome = await carrier.send(parcel(mailbox("tarpit.ben@example.net")))
        assert outcome.verdict is Verdict.UNKNOWN


async def test_a_wrong_password_is_our_misconfiguration() -> None:
    async with post_office(username="nova", given="wrong") as (_, carrier):
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.MISCONFIGURED
        with pytest.raises(SmtpUnreachable):
            await carrier.ping()


async def test_a_server_without_tls_gets_no_mail_where_tls_is_demanded() -> None:
    async with post_office(security="none") as (office, carrier):
        carrier._pool._relay = type(carrier._relay)(
            "127.0.0.1", office.port, "starttls", timeout_s=5
        )
        assert (await carrier.send(parcel(BEN))).verdict is Verdict.MISCONFIGURED
        assert office.received.count == 0


async def test_an_unreachable_server_is_tried_again_later() -> None:
    async with post_office(security="none") as (office, carrier):
        await office.close()
        outcome = await carrier.send(parcel(BEN))
        assert (outcome.verdict, outcome.code) == (Verdict.RETRY, "unsent")


async def test_too_many_who_wait_are_told_at_once() -> None:
    async with post_office(security="none", connections=1, waiting=5) as (office, carrier):
        outcomes = await asyncio.gather(*(carrier.send(parcel(BEN)) for _ in range(10)))
        found = [outcome.verdict for outcome in outcomes]
        assert (found.count(Verdict.SENT), found.count(Verdict.RETRY)) == (6, 4)
        assert office.received.count == 6


async def test_what_is_too_late_or_to_nobody_is_not_sent() -> None:
    async with post_office(security="none") as (office, carrier):
        late = await carrier.send(parcel(BEN, expires_at=NOW - timedelta(3650)))
        assert late.code == "expired"
        nobody = await carrier.send(parcel(mailbox("nobody")))
        assert (nobody.verdict, nobody.code) == (Verdict.GONE, "bad_address")
        assert office.received.count == 0


async def test_receivers_verify_our_signature() -> None:
    key = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    public = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + b64encode(public)
    signer = Signer(key, selector="nova", domain="example.com")
    async with post_office(sign=signer.signed) as (office, carrier):
        unsubscribe = "https://nova.example/u/1"
        sent = parcel(BEN, html="<b>Hi</b>", title="Grüße " * 20, unsubscribe_url=unsubscribe)
        assert (await carrier.send(sent)).verdict is Verdict.SENT
        [mail] = office.received.items
        raw = mail.raw
        looked: list[bytes] = []

        def dns(name: bytes, timeout: float = 5) -> bytes:
            looked.append(name)
            return record

        assert dkim.verify(raw, dnsfunc=dns)
        assert looked == [b"nova._domainkey.example.com."]
        signed = mail.read().headers["DKIM-Signature"].lower().replace(" ", "")
        assert "list-unsubscribe:list-unsubscribe-post" in signed
        assert not dkim.verify(raw.replace(b"u/1", b"u/2"), dnsfunc=dns)
