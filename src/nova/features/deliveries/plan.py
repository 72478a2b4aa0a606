"""What becomes of a notification outside the app: a pure decision for each channel and target."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct

from nova.features.deliveries import quiet, rendering, rules
from nova.features.deliveries.asks import Reach
from nova.features.deliveries.models import CHANNEL_OF, CHANNELS, New
from nova.features.deliveries.policies import DigestRule, Policy, Rate
from nova.features.deliveries.quiet import Schedule
from nova.features.notifications.events import NotificationEdited, NotificationStored
from nova.kernel.ids import new_id
from nova.kernel.text import beginning

MOST_BODY = 1_000
"""Characters of a push's text; providers take 4 KB in all."""
DIGEST_EARLIEST_S, DIGEST_LATEST_S = 150, 720
"""How long after a fixed time a digest leaves. FCM asks to avoid the two minutes around quarters
of an hour; the rest spreads the load."""

_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(dict[str, object])


class Person(Struct, frozen=True):
    """What is known of a recipient."""

    zone: str
    schedule: Schedule | None
    reach: Sequence[Reach]


class Choice(Struct, frozen=True):
    """What is done with a channel, and why."""

    phase: str
    """A delivery's phase, or `digest`."""
    reason: str | None = None
    rule: str | None = None
    due: datetime | None = None
    priority: int = 0
    digest: DigestRule | None = None


def choices(
    fact: NotificationStored,
    person: Person,
    policy: Policy,
    *,
    now: datetime,
    throttle: str | None,
    spread_s: float,
) -> dict[str, Choice]:
    """Decide about each channel that leads to the person; `throttle` is the rule it is beyond."""
    there = {CHANNEL_OF[each.platform] for each in person.reach}
    return {
        channel: _particular(channel, fact, policy, now, throttle=throttle)
        or at_once_or_held(
            channel, fact.user, person, now=now, spread_s=spread_s, rule=fact.rules.get(channel)
        )
        for channel in CHANNELS
        if channel in there
    }


def _particular(
    channel: str, fact: NotificationStored, policy: Policy, now: datetime, *, throttle: str | None
) -> Choice | None:
    """Return what preferences, the type's policy and throttles say; None: nothing in particular."""
    rule = fact.rules.get(channel)
    if not fact.channels.get(channel, False):
        return Choice("dropped", "preference", rule)
    if fact.critical:
        return Choice("waiting", None, rule, now)
    digest = policy.digests.get(channel)  # type: ignore[call-overload]  # a channel's name
    if digest is not None:
        return Choice("digest", "digest", rule, digest=digest)
    if throttle is not None:
        return Choice("dropped", "throttled", throttle)
    after_s = policy.escalate_after_s.get(channel)  # type: ignore[call-overload]  # likewise
    if after_s is not None:
        return Choice("standby", "unless_seen", rule, now + timedelta(seconds=after_s), 1)
    return None


def at_once_or_held(
    channel: str,
    user: UUID,
    person: Person,
    *,
    now: datetime,
    spread_s: float,
    rule: str | None,
) -> Choice:
    """Let a delivery go now, or hold it until the person's quiet hours are over."""
    schedule = person.schedule
    if schedule is None or channel not in schedule.channels:
        return Choice("waiting", None, rule, now)
    zone = quiet.zone_of(schedule.timezone or person.zone)
    if not quiet.covers(schedule, zone, now):
        return Choice("waiting", None, rule, now)
    over = quiet.release(schedule, zone, now)
    if over is None:
        return Choice("dropped", "always_quiet", "quiet hours")
    due = over + timedelta(seconds=share(user) * spread_s)
    return Choice("held", "quiet_hours", "quiet hours", due, 1)


def paced(
    decided: Mapping[str, Choice], slot: datetime, policy: Policy, now: datetime
) -> dict[str, Choice]:
    """Let what would go now wait for its turn among all of its type, if that is worth it."""
    if slot <= now:
        return dict(decided)
    turn = Choice("waiting", "rate", "rate of the type", slot, 1)
    if (slot - now).total_seconds() > (policy.ttl_s or rules.DAY_S):
        turn = Choice("dropped", "rate", "rate of the type")
    return {
        channel: turn if choice.phase == "waiting" else choice
        for channel, choice in decided.items()
    }


def slots(rate: Rate, start: datetime, count: int, now: datetime) -> list[datetime]:
    """Return when so many may go; `start` is when the first would be in time (GCRA)."""
    apart_s = rate.per_s / rate.limit
    burst_s = rate.per_s - apart_s
    return [
        max(now, start + timedelta(seconds=number * apart_s - burst_s)) for number in range(count)
    ]


def share(user: UUID, salt: str = "") -> float:
    """Return a number from [0, 1) that is always the same for a person."""
    digest = hashlib.blake2b(user.bytes + salt.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def closes(rule: DigestRule, user: UUID, zone: str, now: datetime) -> datetime:
    """Return when a digest that is opened now goes out."""
    if rule.at is None:
        return now + timedelta(seconds=rule.window_s or 3_600.0)
    at = quiet.fixed(quiet.zone_of(zone), rule.at, rule.days, now)
    width = DIGEST_LATEST_S - DIGEST_EARLIEST_S
    return at + timedelta(seconds=DIGEST_EARLIEST_S + share(user, "digest") * width)


def written(
    fact: NotificationStored,
    person: Person,
    policy: Policy,
    decided: Mapping[str, Choice],
    now: datetime,
    *,
    url: str | None,
) -> list[New]:
    """Return the rows of the ledger: one per target, or one per channel that leads nowhere."""
    rows: list[New] = []
    for channel, choice in decided.items():
        if choice.phase == "digest":
            continue
        targets: list[Reach | None] = [
            each for each in person.reach if CHANNEL_OF[each.platform] == channel
        ]
        rows += [
            _row(fact, policy, channel, choice, target=target, now=now, url=url)
            for target in (targets if choice.phase != "dropped" else [None])
        ]
    return rows


def _row(
    fact: NotificationStored,
    policy: Policy,
    channel: str,
    choice: Choice,
    *,
    target: Reach | None,
    now: datetime,
    url: str | None,
) -> New:
    return New(
        id=new_id(),
        notification=fact.notification,
        user=fact.user,
        number=fact.number,
        actor=fact.actor_id,
        type=fact.type,
        about=fact.related_entity_id,
        channel=channel,
        lane=target.platform if target else "",
        target=(target.device if target else None) or fact.user,
        address=target.address if target else "",
        keys=json(target.keys) if target else "{}",
        title=fact.title,
        body=cut(fact.body, channel),
        url=url,
        data=json(data(fact)),
        locale=fact.locale,
        urgent=policy.urgent or fact.critical,
        critical=fact.critical,
        collapse_id=fact.notification.hex,
        made_at=now,
        expires_at=expiry(fact.expires_at, policy, target.platform if target else "", choice, now),
        phase=choice.phase,
        reason=choice.reason,
        rule=choice.rule,
        due=choice.due,
        priority=choice.priority,
    )


def expiry(
    latest: datetime, policy: Policy, platform: str, choice: Choice, now: datetime
) -> datetime:
    """Return until when a delivery is worth trying: from when it may first go."""
    patience = rules.PATIENCE.get(platform)
    ttl_s = policy.ttl_s or (patience.ttl_s if patience else rules.DAY_S)
    return min(latest, max(now, choice.due or now) + timedelta(seconds=ttl_s))


def url_of(fact: NotificationStored, schemes: Collection[str]) -> str | None:
    return rendering.link(_metadata.decode(fact.metadata), schemes)


def other(fact: NotificationEdited) -> tuple[bool, str | None, str | None]:
    """Return whether a notification tells of another event, what that is about, and its link."""
    if fact.metadata is UNSET:
        return False, None, None
    return True, fact.related_entity_id, rendering.link(_metadata.decode(fact.metadata))


def cut(body: str, channel: str) -> str:
    """Return as much of a text as a channel takes."""
    return body if channel == "email" else beginning(body, MOST_BODY)


def json(texts: Mapping[str, str]) -> str:
    return _encode(texts).decode()


def data(fact: NotificationStored) -> dict[str, str]:
    """Return what the app gets along: texts only, as FCM wants it."""
    found = {"notification": str(fact.notification), "type": fact.type}
    if fact.related_entity_id is not None:
        found["related_entity_id"] = fact.related_entity_id
    if fact.actor_id is not None:
        found["actor_id"] = str(fact.actor_id)
    return found
