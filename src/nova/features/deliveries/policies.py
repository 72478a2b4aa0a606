"""How deliveries of a type go about: urgency, throttles, digests and escalation."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from nova.backbone.database import Database
from nova.features.deliveries import store_policies
from nova.features.deliveries.models import Channel
from nova.features.deliveries.quiet import Wall, Weekday
from nova.kernel.clock import Clock
from nova.kernel.errors import Invalid
from nova.kernel.text import Name

SIGNAL = "policies"
MOST = 1_000


Seconds = Annotated[float, Meta(gt=0, le=30 * 86_400)]


class Throttle(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most so many of a type per user; what is beyond stays in the inbox alone."""

    limit: Annotated[int, Meta(ge=1, le=1_000)]
    """How many at most."""
    per_s: Seconds
    """In so many seconds."""


class Rate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """At most so many of a type, over all people; what is beyond waits for its turn."""

    limit: Annotated[int, Meta(ge=1, le=1_000_000)]
    """How many at most."""
    per_s: Seconds
    """In so many seconds."""


class DigestRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is gathered into one: for `window_s` from the first, or until a time of day."""

    window_s: Seconds | None = None
    """Seconds from the first that is gathered until the digest goes out."""
    at: Annotated[list[Wall], Meta(min_length=1, max_length=24)] | None = None
    """In the recipient's zone; a few minutes later, so that not all mail leaves at once."""
    days: Annotated[list[Weekday], Meta(min_length=1, max_length=7)] | None = None
    """Weekdays on which it goes out; every day when absent."""
    by: Literal["type", "object"] = "type"
    """One digest for all of the type, or one for each thing that it is about."""
    look_back_s: Seconds | None = None
    """The first goes out at once when nothing did for so long; what follows is gathered."""


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How deliveries of one type go about."""

    urgent: bool = False
    """Wakes a sleeping device."""
    ttl_s: Seconds | None = None
    """For how long a delivery is worth trying; the lane's usual time when absent."""
    throttle: Throttle | None = None
    """A bound for each person."""
    per_actor: Throttle | None = None
    """Of one actor to one person; comments, replies and mentions count together, and so do follows
    with their requests. A built-in bound when absent."""
    rate: Rate | None = None
    """A bound over all people."""
    digests: Annotated[dict[Channel, DigestRule], Meta(max_length=3)] = {}
    """By channel, what is gathered into one."""
    escalate_after_s: Annotated[
        dict[Channel, Annotated[float, Meta(ge=0, le=30 * 86_400)]], Meta(max_length=3)
    ] = {}
    """A channel that stands by: needed when nothing was seen after so many seconds, or as soon as
    the others have failed."""


class UnclearDigest(Invalid):
    """A digest has either `window_s` or `at`."""

    code = "unclear_digest"


class TooManyPolicies(Invalid):
    """A deployment may register up to 1,000 policies."""

    code = "too_many_policies"


_NIGHTLY = DigestRule(at=["18:00"])
BUILT_IN: Mapping[str, Policy] = {
    "like": Policy(digests={"email": _NIGHTLY}, throttle=Throttle(limit=30, per_s=3_600.0)),
    "follow": Policy(digests={"email": _NIGHTLY}),
    "follow_approved": Policy(digests={"email": _NIGHTLY}),
    "stream_update": Policy(digests={"email": _NIGHTLY}),
    "comment": Policy(escalate_after_s={"email": 1_800.0}),
    "follow_request": Policy(escalate_after_s={"email": 1_800.0}),
    "message": Policy(urgent=True, escalate_after_s={"email": 900.0}),
    "live_start": Policy(urgent=True, ttl_s=3_600.0, escalate_after_s={"email": 900.0}),
}
PLAIN = Policy()

_policy = msgspec.json.Decoder(Policy)


class Policies:
    """Which policy a type has. A change is known in every process as soon as it is signalled."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._known: Mapping[str, Policy] | None = None
        self._forgotten = 0

    def forget(self, _payload: str | None) -> None:
        self._known = None
        self._forgotten += 1

    async def known(self) -> Mapping[str, Policy]:
        if self._known is not None:
            return self._known
        forgotten = self._forgotten
        rows = await self._db.fetch(store_policies.ALL)
        known = dict(BUILT_IN) | {row["type"]: _policy.decode(row["policy"]) for row in rows}
        if forgotten == self._forgotten:
            self._known = known
        return known

    async def of(self, kind: str) -> Policy:
        return (await self.known()).get(kind, PLAIN)

    async def put(self, kind: Name, policy: Policy) -> Policy:
        """Set the policy of a type, whether or not that is registered yet."""
        for rule in policy.digests.values():
            if (rule.window_s is None) == (rule.at is None):
                raise UnclearDigest
        async with self._db.transaction() as tx:
            if await tx.value(store_policies.COUNT, kind) >= MOST:
                raise TooManyPolicies
            await tx.run(
                store_policies.PUT, kind, msgspec.json.encode(policy).decode(), self._clock.now()
            )
            tx.signal(SIGNAL, kind)
            tx.after_commit(lambda: self.forget(kind))
        return policy

    async def delete(self, kind: str) -> None:
        """Go back to the built-in policy, or the plain one."""
        async with self._db.transaction() as tx:
            await tx.run(store_policies.DELETE, kind)
            tx.signal(SIGNAL, kind)
            tx.after_commit(lambda: self.forget(kind))
