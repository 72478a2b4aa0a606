"""What a mail server's answers mean (RFC 5321, RFC 3463)."""

import re
from typing import Literal

from nova.kernel.text import beginning
from nova.ports.carriers import Outcome, Verdict
from nova.wire.outcomes import outcome

Stage = Literal["connect", "login", "mail", "rcpt", "data"]

GREYLISTED_S = 300.0
"""The least wait after a temporary refusal: greylisting lets nobody pass earlier."""
BUSY_S = 60.0
FULL_S = 3600.0
_ENHANCED = re.compile(r"(?:^|[\s(])([245])\.(\d{1,3})\.(\d{1,3})(?=$|[\s),:;])")
_SENDER_DETAILS = {7, 8}
_TOO_LARGE = {(2, 3), (3, 4)}
_FULL = (2, 2)
_DISABLED = (2, 1)
_OURS = {530, 534, 535, 538}
_OURS_BY_POLICY = {3, 4, 5, 6, *range(8, 15), *range(20, 28), 29, 30}
"""Details of 5.7 about how we connect, sign in, sign (DKIM, SPF, DMARC) and are named in DNS: the
registry of enhanced codes at IANA. The others are about one recipient or one mail: its owner's
filter (5.7.1), a list (5.7.2), a priority (5.7.15)."""
_VENDORS_POLICY = 500
"""From here on, Microsoft's: banned senders, addresses and tenants. Its 5.7.1xx are recipients'."""
_OWNER_CHANGED = {17, 18}
_FLOOD = 28
_UNKNOWN_USER = {550, 551, 553}
_CLOSING = 421


def enhanced(text: str) -> tuple[int, int] | None:
    """Return subject and detail of the enhanced status code in an answer."""
    found = _ENHANCED.search(text)
    return (int(found[2]), int(found[3])) if found else None


def verdict(status: int, text: str, stage: Stage) -> Outcome:
    """Judge an answer by its enhanced code, and without one by its status and the stage."""
    found = enhanced(text)
    code = f"{status // 100}.{found[0]}.{found[1]}" if found else str(status)
    said = beginning(" ".join(text.split()), 300)
    judged, meaning, wait = _judged(status, found, stage)
    return outcome(judged, code, f"{meaning} It said: {status} {said}", retry_after_s=wait)


def _judged(
    status: int, found: tuple[int, int] | None, stage: Stage
) -> tuple[Verdict, str, float | None]:
    if status < 400:
        return Verdict.SENT, "The mail server has it.", None
    if status < 500:
        wait = BUSY_S if status == _CLOSING or stage in {"connect", "login"} else GREYLISTED_S
        return Verdict.RETRY, "The mail server asks to try later.", wait
    if status in _OURS or stage in {"connect", "login"}:
        return Verdict.MISCONFIGURED, "The mail server does not accept us.", None
    if found is not None:
        return _by_code(found, stage)
    if stage == "mail":
        return Verdict.MISCONFIGURED, "The mail server does not accept our sender.", None
    if status in _UNKNOWN_USER and stage == "rcpt":
        return Verdict.GONE, "The mailbox does not exist.", None
    if status == 552:
        return Verdict.RETRY, "The mailbox is full.", FULL_S
    return Verdict.REFUSED, "The mail server refused the mail.", None


def _by_code(found: tuple[int, int], stage: Stage) -> tuple[Verdict, str, float | None]:
    """Judge a permanent refusal by its subject and detail (RFC 3463, 3)."""
    subject, detail = found
    if subject == 7:
        return _by_policy(detail, stage)
    if subject == 1 and (detail in _SENDER_DETAILS or stage == "mail"):
        return Verdict.MISCONFIGURED, "The mail server does not accept our sender.", None
    if subject == 1 or found == _DISABLED:
        return Verdict.GONE, "The mailbox does not exist or is disabled.", None
    if found == _FULL:
        return Verdict.RETRY, "The mailbox is full.", FULL_S
    if found in _TOO_LARGE:
        return Verdict.REFUSED, "The mail is too large.", None
    return Verdict.REFUSED, "The mail server refused the mail.", None


def _by_policy(detail: int, stage: Stage) -> tuple[Verdict, str, float | None]:
    """Judge a refusal by policy: what is about us stops all mail, what is about one does not."""
    if detail == _FLOOD:
        return Verdict.RETRY, "The mail server says that we send too much.", FULL_S
    if detail in _OWNER_CHANGED:
        return Verdict.GONE, "The mailbox belongs to somebody else now.", None
    if stage == "mail" or detail in _OURS_BY_POLICY or detail >= _VENDORS_POLICY:
        return Verdict.MISCONFIGURED, "A policy keeps our mail out.", None
    return Verdict.REFUSED, "A policy keeps this mail from its recipient.", None
