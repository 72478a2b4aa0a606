"""Limit the notifications that leave the app per recipient, per type and per actor (GCRA)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Tx
from nova.features.deliveries import store_throttles
from nova.features.deliveries.plan import Choice
from nova.features.deliveries.policies import PLAIN, DigestRule, Policy, Throttle
from nova.features.notifications.events import NotificationStored
from nova.ports.database import Queries

MINUTE_S = 60.0
PUSHED = ("push", "web_push")
PUSHES = "*push"
"""In place of a type: all pushes to a person."""
NOBODY = UUID(int=0)
"""In place of an actor: everybody."""
GATHERED = DigestRule(window_s=600.0)
"""Pushes beyond what a person gets in a minute."""

FAMILIES = dict.fromkeys(("comment", "reply", "mention"), "comment") | dict.fromkeys(
    ("follow", "follow_request", "follow_approved"), "follow"
)
"""Types that count together against one actor; every other type counts by itself."""
PER_ACTOR: Mapping[str, Throttle] = {
    "comment": Throttle(limit=5, per_s=300.0),
    "like": Throttle(limit=5, per_s=300.0),
    "follow": Throttle(limit=3, per_s=3_600.0),
    "message": Throttle(limit=30, per_s=60.0),
}
"""What one person may cause another to get of a family, where its policy does not say."""
PER_ACTOR_OTHERWISE = Throttle(limit=20, per_s=60.0)


CLOCK_S = 60.0
"""How far the clocks of processes may differ."""


class Bounds(Struct, frozen=True, kw_only=True):
    """What holds for all types, whatever their policies say."""

    pushes_per_minute: int = 0
    """To one person; 0 is no bound."""
    mails_per_hour: int = 0
    """To one person; 0 is no bound. Kept where mails leave, in `lanes/mail_bound`."""
    per_actor: bool = False
    """Whether there is a bound of each actor where the policy of a type has none."""


class Key(NamedTuple):
    """What is counted together."""

    user: UUID
    actor: UUID
    type: str


class Throttles:
    """The throttles that a batch of notifications meets, by GCRA.

    They are read at its beginning and kept in the transaction at its end. One recipient's
    notifications are decided in their order, by one process at a time.
    """

    def __init__(self, now: datetime, bounds: Bounds, due: dict[Key, datetime]) -> None:
        self._now = now
        self._bounds = bounds
        self._due = due
        # Half at once and half one by one: never more than all of them in any minute.
        most = bounds.pushes_per_minute
        self._pushes = Throttle(limit=max(1, most // 2), per_s=MINUTE_S) if most else None
        self._changed: set[Key] = set()

    @staticmethod
    async def load(
        db: Queries,
        facts: Sequence[NotificationStored],
        policies: Mapping[str, Policy],
        now: datetime,
        bounds: Bounds,
    ) -> "Throttles":
        """Read the states."""
        keys = set()
        if bounds.pushes_per_minute:
            keys = {Key(fact.user, NOBODY, PUSHES) for fact in facts}
        for fact in facts:
            keys.update(key for key, _, _ in _of(fact, policies.get(fact.type, PLAIN), bounds))
        due: dict[Key, datetime] = {}
        pairs = [key for key in keys if key.actor != NOBODY]
        alone = [key for key in keys if key.actor == NOBODY]
        if alone:
            rows = await db.fetch(
                store_throttles.STATES, [each.user for each in alone], [e.type for e in alone]
            )
            due = {Key(row["user_id"], NOBODY, row["type"]): row["at"] for row in rows}
        if pairs:
            users, actors, types = zip(*pairs, strict=True)
            rows = await db.fetch(store_throttles.PAIRS, list(users), list(actors), list(types))
            due |= {Key(row["user_id"], row["actor_id"], row["type"]): row["at"] for row in rows}
        return Throttles(now, bounds, due)

    def against(self, fact: NotificationStored, policy: Policy) -> str | None:
        """Return the rule of the throttle that a notification is beyond, or count it."""
        if fact.critical:
            return None
        limits = list(_of(fact, policy, self._bounds))
        for key, throttle, rule in limits:
            if self._is_beyond(key, throttle):
                return rule
        for key, throttle, _ in limits:
            self._count(key, throttle)
        return None

    def gathered(
        self, fact: NotificationStored, decided: Mapping[str, Choice]
    ) -> Mapping[str, Choice]:
        """Have pushes gathered that are beyond what a person gets in a minute, or count them."""
        pushed = [each for each in PUSHED if each in decided and decided[each].phase == "waiting"]
        if self._pushes is None or fact.critical or not pushed:
            return decided
        key = Key(fact.user, NOBODY, PUSHES)
        if not self._is_beyond(key, self._pushes):
            self._count(key, self._pushes)
            return decided
        later = Choice("digest", "digest", "pushes to one person a minute", digest=GATHERED)
        return {**decided, **dict.fromkeys(pushed, later)}

    async def keep(self, tx: Tx) -> None:
        """Write what was counted."""
        changed = sorted(self._changed)  # in one order, so that no two writers wait for each other
        alone = [key for key in changed if key.actor == NOBODY]
        pairs = [key for key in changed if key.actor != NOBODY]
        if alone:
            columns = [[key.user for key in alone], [key.type for key in alone]]
            await tx.run(store_throttles.KEEP, *columns, [self._due[key] for key in alone])
        if pairs:
            users, actors, types = map(list, zip(*pairs, strict=True))
            await tx.run(
                store_throttles.KEEP_PAIRS, users, actors, types, [self._due[key] for key in pairs]
            )

    def _wait_s(self, key: Key, throttle: Throttle) -> float:
        """Return how long what was counted takes to pass.

        What takes longer than the throttle's own time was counted by a clock that was ahead.
        """
        wait_s = (self._due.get(key, self._now) - self._now).total_seconds()
        return max(0.0, wait_s) if wait_s <= throttle.per_s + CLOCK_S else 0.0

    def _is_beyond(self, key: Key, throttle: Throttle) -> bool:
        apart_s = throttle.per_s / throttle.limit
        return self._wait_s(key, throttle) > throttle.per_s - apart_s + 1e-6

    def _count(self, key: Key, throttle: Throttle) -> None:
        apart_s = throttle.per_s / throttle.limit
        self._due[key] = self._now + timedelta(seconds=self._wait_s(key, throttle) + apart_s)
        self._changed.add(key)


def _of(
    fact: NotificationStored, policy: Policy, bounds: Bounds
) -> Iterator[tuple[Key, Throttle, str]]:
    """Yield what a notification counts in, each with its limit and the name of its rule."""
    if policy.throttle is not None:
        yield Key(fact.user, NOBODY, fact.type), policy.throttle, f"throttle of {fact.type}"
    family = FAMILIES.get(fact.type, fact.type)
    limit = policy.per_actor
    if limit is None and bounds.per_actor:
        limit = PER_ACTOR.get(family, PER_ACTOR_OTHERWISE)
    if fact.actor_id is not None and limit is not None:
        yield Key(fact.user, fact.actor_id, family), limit, f"throttle of {family} by one person"
