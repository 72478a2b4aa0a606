"""Pure decisions about retries: what follows from an attempt, by provider."""

from collections.abc import Mapping

from msgspec import Struct

from nova.features.deliveries.models import Status
from nova.ports.carriers import Outcome, Verdict

MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86_400.0
LONGEST_ASKED_S = DAY_S
"""A provider that asks for a longer pause gets this one."""


class Patience(Struct, frozen=True, kw_only=True):
    """How a lane retries. Seconds throughout."""

    first_s: float
    """The earliest second attempt; with every further one the range doubles."""
    range_s: float
    longest_s: float
    give_up_s: float
    attempts: int
    """At most; the fences of a dead letter."""
    ttl_s: float
    """For how long a delivery is worth trying at all, where its type does not say."""
    timeout_s: float = 25.0
    asked_s: float = 0.0
    """After a refusal for pace that names no time."""
    pauses: frozenset[str] = frozenset()
    """Codes that concern the whole lane and not one address: everybody waits."""
    transient: tuple[str, ...] = ()
    """Codes of a retry that tell nothing about the provider's health begin so."""
    about_one: frozenset[str] = frozenset()
    """Codes that blame us, but that anybody can cause by registering another app's token."""


PATIENCE: Mapping[str, Patience] = {
    # https://firebase.google.com/docs/cloud-messaging/scale-fcm: at least 10 s before the first
    # retry and for a timeout, exponential with jitter, Retry-After or 60 s for a 429, stop at 60
    # minutes.
    "android": Patience(
        first_s=10.0,
        range_s=10.0,
        longest_s=15 * MINUTE_S,
        give_up_s=HOUR_S,
        attempts=12,
        ttl_s=DAY_S,
        asked_s=60.0,
        pauses=frozenset({"QUOTA_EXCEEDED"}),
        about_one=frozenset({"SENDER_ID_MISMATCH"}),
    ),
    # Apple asks for no numbers but not to hammer after a 503; a 429 is about one device, but for
    # the one about provider tokens, which is about all of the team's connections.
    "ios": Patience(
        first_s=1.0,
        range_s=4.0,
        longest_s=15 * MINUTE_S,
        give_up_s=DAY_S,
        attempts=20,
        ttl_s=DAY_S,
        asked_s=30.0,
        pauses=frozenset({"TooManyProviderTokenUpdates"}),
        transient=("TooManyRequests",),
        about_one=frozenset({"BadTopic", "DeviceTokenNotForTopic", "TopicDisallowed"}),
    ),
    # RFC 8030, section 8.4: 429 with Retry-After, about one subscription.
    "web": Patience(
        first_s=5.0,
        range_s=10.0,
        longest_s=30 * MINUTE_S,
        give_up_s=DAY_S,
        attempts=15,
        ttl_s=DAY_S,
        asked_s=60.0,
        transient=("429",),
        # Of a subscription that was made with another key than ours, by whoever likes to.
        about_one=frozenset({"401", "403"}),
    ),
    # RFC 5321, section 4.5.4.1: half an hour at least, but grey lists let in after 5 to 15
    # minutes; give up after 4 to 5 days.
    "mail": Patience(
        first_s=5 * MINUTE_S,
        range_s=10 * MINUTE_S,
        longest_s=4 * HOUR_S,
        give_up_s=4 * DAY_S,
        attempts=40,
        ttl_s=4 * DAY_S,
        timeout_s=60.0,
        asked_s=15 * MINUTE_S,
        pauses=frozenset({"4.7.28", "5.7.28"}),  # too much from us: from everybody
        transient=("4.", "45"),
    ),
}


class Step(Struct, frozen=True):
    """What follows from an attempt."""

    phase: str
    status: Status
    reason: str | None = None
    delay_s: float | None = None
    """Until the next attempt."""
    doubtful: bool = False
    """It may have arrived, and the next attempt may be a second one."""
    counts: bool = True
    """Whether the attempt is one of those that patience counts."""


FINAL: Mapping[Verdict, Step] = {
    Verdict.SENT: Step("done", Status.SENT),
    Verdict.GONE: Step("failed", Status.BOUNCED, "gone"),
    Verdict.REFUSED: Step("dead", Status.BOUNCED, "refused"),
}


def after(
    outcome: Outcome, patience: Patience, *, tries: int, spent_s: float, left_s: float, roll: float
) -> Step:
    """Decide about a delivery after its attempt number `tries`.

    `spent_s` is how long it has been tried, `left_s` how long it is worth anything, and `roll`
    is drawn evenly from [0, 1).
    """
    if outcome.verdict in FINAL:
        return FINAL[outcome.verdict]
    if outcome.verdict is Verdict.MISCONFIGURED:
        # Nothing is wrong with the delivery: it waits, at the cost of no attempt.
        delay = pause(outcome, patience) * (1 + roll / 4)
        if left_s <= delay:
            return Step("dead", Status.UNDELIVERED, "misconfigured")
        return Step("waiting", Status.UNDELIVERED, "misconfigured", delay, counts=False)
    delay = wait(outcome, patience, tries, roll)
    doubtful = outcome.verdict is Verdict.UNKNOWN
    if tries >= patience.attempts:
        return Step("dead", Status.ATTEMPTED, "attempts_used_up", doubtful=doubtful)
    if spent_s + delay > patience.give_up_s or delay >= left_s:
        return Step("dead", Status.ATTEMPTED, "too_late", doubtful=doubtful)
    return Step("waiting", Status.ATTEMPTED, "retry", delay, doubtful)


def wait(outcome: Outcome, patience: Patience, tries: int, roll: float) -> float:
    """Return the seconds until the next attempt, with full jitter.

    Never earlier than the provider asked, and not all at the same moment either.
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    reach = min(patience.longest_s, patience.range_s * 2.0 ** min(tries - 1, 40))
    if outcome.retry_after_s is not None:
        asked = min(max(outcome.retry_after_s, 0.0), LONGEST_ASKED_S)
        return max(asked, patience.first_s) + roll * min(reach, max(1.0, asked / 4))
    return patience.first_s + roll * reach


def pause(outcome: Outcome, patience: Patience) -> float:
    """Return for how long a whole lane is to be left alone; 0: go on."""
    if outcome.verdict is Verdict.MISCONFIGURED:
        return min(max(outcome.retry_after_s or MINUTE_S, 1.0), LONGEST_ASKED_S)
    if outcome.verdict is Verdict.RETRY and outcome.code in patience.pauses:
        asked = patience.asked_s if outcome.retry_after_s is None else outcome.retry_after_s
        return min(max(asked, 1.0), LONGEST_ASKED_S)
    return 0.0


def sick(outcome: Outcome, patience: Patience) -> bool:
    """Return whether an outcome speaks of a provider in trouble, rather than of one address."""
    if outcome.verdict is Verdict.UNKNOWN:
        return True
    return outcome.verdict is Verdict.RETRY and not outcome.code.startswith(
        (*patience.transient, *patience.pauses)
    )


def dying_en_masse(gone: int, others: int, *, least: int, share: float) -> bool:
    """Return whether so many addresses die that the fault is likelier ours.

    Ordinary death is a percent or two; a wrong certificate, project or host kills all.
    """
    return gone >= least and gone > share * (gone + others)
