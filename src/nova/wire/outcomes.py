"""What is the same in the outcomes of all providers."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from nova.ports.carriers import Outcome, Verdict
from nova.wire.exchange import Lost, Unsent

LONGEST_WAIT_S = 86_400.0
"""What a provider may make us wait: one that says more is not believed."""


def outcome(
    verdict: Verdict,
    code: str,
    text: str,
    *,
    retry_after_s: float | None = None,
    gone_since: datetime | None = None,
    provider_id: str | None = None,
) -> Outcome:
    return Outcome(verdict, code, text, retry_after_s, gone_since, provider_id)


def unsent(wrong: Unsent) -> Outcome:
    """Nothing was processed, so to try again is safe."""
    return outcome(Verdict.RETRY, "unsent", wrong.reason, retry_after_s=wrong.retry_after_s)


def lost(wrong: Lost) -> Outcome:
    return outcome(Verdict.UNKNOWN, "reply_lost", f"It may have been delivered: {wrong}.")


async def judged(sending: Awaitable[Outcome]) -> Outcome:
    """Return the outcome of a send, also where the network let it down."""
    try:
        return await sending
    except Unsent as wrong:
        return unsent(wrong)
    except Lost as wrong:
        return lost(wrong)


def expired(until: datetime) -> Outcome:
    return outcome(
        Verdict.REFUSED, "expired", f"It was of use until {until.isoformat(timespec='seconds')}."
    )


def retry_after(value: bytes | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, 10.2.3), seconds or a date; None if it is neither."""
    if not value:
        return None
    text = value.decode("latin-1").strip()
    if text.isdecimal() and text.isascii():
        return min(float(text[:12]), LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), LONGEST_WAIT_S)
