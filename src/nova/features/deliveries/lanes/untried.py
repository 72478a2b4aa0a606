"""The outcome of a delivery that is not even tried, as a lane reports it."""

from datetime import datetime

from nova.features.deliveries.models import Claimed, Status
from nova.features.deliveries.store import Noted

NOT_REGISTERED = "The device or mailbox is not this person's any more, or is dead."
SAYS_TOO_MUCH = "One of those that it speaks for was turned off or taken back while it waited."
CANCELLED = "It was withdrawn while a process that was killed was sending it."


def gone(one: Claimed) -> Noted:
    """Return the outcome of one that was cancelled, or leads nowhere.

    One that was cancelled ends as such, and is recalled where an attempt may have arrived; of one
    that leads nowhere, what stands by for it is needed.
    """
    if one.cancelled:
        return untried(one, "waiting", None, "cancelled", CANCELLED)
    return untried(one, "failed", "gone", "not_registered", NOT_REGISTERED)


def outdated(one: Claimed, now: datetime) -> Noted:
    """Return the outcome of one that speaks for others, not all of which are still to be told.

    All are held anew and released at once: the next newest speaks for what is left.
    """
    return untried(one, "waiting", "parted", "outdated", SAYS_TOO_MUCH, due=now)


def untried(
    one: Claimed,
    phase: str,
    reason: str | None,
    code: str,
    says: str,
    *,
    rule: str | None = None,
    due: datetime | None = None,
) -> Noted:
    return Noted(
        claimed=one,
        phase=phase,
        status=Status.UNDELIVERED,
        reason=reason,
        due=due,
        verdict="refused",
        code=code,
        says=says,
        provider_id=None,
        doubtful=False,
        counts=False,
        gone_since=None,
        rule=rule,
    )
