"""Hears what happens to notifications, and keeps the ledger in step: plans, cancels, takes back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Tx
from nova.features.deliveries import plan, store, store_schedule
from nova.features.deliveries.asks import Devices, People
from nova.features.deliveries.digests import Digests, Entry
from nova.features.deliveries.endings import Endings
from nova.features.deliveries.events import ActorMuted
from nova.features.deliveries.models import New
from nova.features.deliveries.plan import Choice, Person
from nova.features.deliveries.policies import PLAIN, Policies, Policy
from nova.features.deliveries.quiet_hours import QuietBook
from nova.features.deliveries.throttles import Bounds, Throttles
from nova.features.graph.events import Muted
from nova.features.notifications.events import (
    NotificationEdited,
    NotificationsMarked,
    NotificationsRemoved,
    NotificationStored,
)
from nova.kernel.clock import Clock
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from nova.ports.database import Queries

RECALLABLE_S = 7 * 86_400.0
"""What went out longer ago is no longer taken back."""

EVERYBODY = UUID(int=0)
"""In place of a user: the rate of a type, over all people."""


class Chosen(Struct, frozen=True, kw_only=True):
    """What a deployment chose about plans."""

    spread_s: float
    """Over how long what is due at once is spread."""
    bounds: Bounds
    schemes: frozenset[str]
    """Of app links, besides http(s)."""


class Planner:
    """Turns facts into rows of the ledger, in the transaction that moves the log's cursor.

    A batch that runs again does nothing twice: the ledger's key and that of the digests' entries
    refuse what is there.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        devices: Devices,
        people: People,
        policies: Policies,
        quiet: QuietBook,
        digests: Digests,
        endings: Endings,
        rings: Callable[[str], None],
        chosen: Chosen,
    ) -> None:
        self._clock = clock
        self._devices = devices
        self._people = people
        self._policies = policies
        self._quiet = quiet
        self._digests = digests
        self._endings = endings
        self._rings = rings
        self._spread_s = chosen.spread_s
        self._bounds = chosen.bounds
        self._schemes = chosen.schemes

    async def stored(self, tx: Tx, heard: Sequence[Heard[NotificationStored]]) -> None:
        """Decide what becomes of new notifications outside the app."""
        now = self._clock.now()
        facts = [each.fact for each in heard if each.fact.expires_at > now]
        people = await self.persons({fact.user for fact in facts})
        policies = await self._policies.known()
        throttles = await self.throttles(tx, facts, policies, now)
        turns = await self._turns(tx, facts, policies, now)
        rows: list[New] = []
        entries: list[tuple[Entry, Choice]] = []
        for fact in facts:
            person, policy = people[fact.user], policies.get(fact.type, PLAIN)
            decided = self.decided(fact, person, policy, now, throttles=throttles)
            decided = plan.paced(decided, turns.get(fact.notification, now), policy, now)
            url = self.url_of(fact)
            rows += plan.written(fact, person, policy, decided, now, url=url)
            entries += [
                (_entry(fact, channel, person.zone, url), choice)
                for channel, choice in decided.items()
                if choice.phase == "digest"
            ]
        at_once = await self._digests.take(tx, entries, now)
        for entry in at_once:
            fact = next(each for each in facts if each.notification == entry.notification)
            person, policy = people[fact.user], policies.get(fact.type, PLAIN)
            choice = plan.at_once_or_held(
                entry.channel,
                fact.user,
                person,
                now=now,
                spread_s=self._spread_s,
                rule="first of a digest",
            )
            chosen = {entry.channel: choice}
            rows += plan.written(fact, person, policy, chosen, now, url=entry.url)
        await throttles.keep(tx)
        await self._write(tx, rows)

    async def name_of(self, user: UUID) -> str | None:
        """Return what somebody is called."""
        profiles = await self._people.profiles([user])
        return profiles[user].name if user in profiles else None

    def url_of(self, fact: NotificationStored) -> str | None:
        """Return where a tap leads."""
        return plan.url_of(fact, self._schemes)

    async def throttles(
        self,
        db: Queries,
        facts: Sequence[NotificationStored],
        policies: Mapping[str, Policy],
        now: datetime,
    ) -> Throttles:
        return await Throttles.load(db, facts, policies, now, self._bounds)

    def decided(
        self,
        fact: NotificationStored,
        person: Person,
        policy: Policy,
        now: datetime,
        *,
        throttles: Throttles,
    ) -> Mapping[str, Choice]:
        throttle = throttles.against(fact, policy)
        choices = plan.choices(
            fact, person, policy, now=now, throttle=throttle, spread_s=self._spread_s
        )
        return throttles.gathered(fact, choices)

    async def persons(self, users: set[UUID]) -> Mapping[UUID, Person]:
        """Return what is known of these recipients."""
        wanted = list(users)
        reach = await self._devices.reach(wanted)
        profiles = await self._people.profiles(wanted)
        schedules = await self._quiet.of(wanted)
        return {
            user: Person(
                zone=profiles[user].timezone if user in profiles else "UTC",
                schedule=schedules[user],
                reach=reach.get(user, ()),
            )
            for user in wanted
        }

    async def marked(self, tx: Tx, heard: Sequence[Heard[NotificationsMarked]]) -> None:
        """Cancel what was seen on another device meanwhile."""
        for each in heard:
            fact = each.fact
            await self._cancel(tx, store.CANCEL, fact.user, "seen_elsewhere", fact.ids, fact.up_to)
            await self._digests.withdraw(tx, fact.user, fact.ids, up_to=fact.up_to)

    async def removed(self, tx: Tx, heard: Sequence[Heard[NotificationsRemoved]]) -> None:
        """Cancel what is gone, take it out of open digests, and recall what is out already."""
        now = self._clock.now()
        for each in heard:
            fact = each.fact
            reason = "expired" if fact.reason == "expired" else "removed"
            await self._cancel(tx, store.CANCEL, fact.user, reason, fact.ids, None)
            if reason == "expired":
                await self._digests.withdraw(tx, fact.user, fact.ids)
                continue
            told = await self._digests.strike(tx, fact.user, fact.ids)
            await self._endings.tell(tx, await tx.fetch(store.EMPTIED, told))
            if fact.reason != "deleted":
                told += await self._speakers(tx, fact.user, fact.ids)
            await self._recall(tx, fact.user, fact.ids, now, told)
            await tx.run(store.SEAL, fact.user, fact.ids, "removed")
            await tx.run(store.SCRUB, fact.user, fact.ids)

    async def edited(self, tx: Tx, heard: Sequence[Heard[NotificationEdited]]) -> None:
        """Have what waits, and what is gathered, say what it is to say now.

        Where it names somebody else now, what is out with the former name is recalled.
        """
        now = self._clock.now()
        for each in heard:
            fact = each.fact
            short = plan.cut(fact.body, "push")
            words = (fact.title, fact.body, short, fact.actor_id, fact.is_other)
            await tx.run(store.EDIT, fact.user, fact.notification, *words, *plan.other(fact))
            told = await self._digests.edit(tx, fact)
            if fact.is_other:
                told += await self._speakers(tx, fact.user, [fact.notification])
                await self._recall(tx, fact.user, [fact.notification], now, told)

    async def _speakers(self, tx: Tx, user: UUID, ids: Sequence[UUID]) -> list[UUID]:
        """Return the deliveries that spoke for these; what they said together is forgotten."""
        found = [row["into_id"] for row in await tx.fetch(store.SPEAKERS, user, ids)]
        await tx.run(store.OUTDATE, found)
        await tx.run(store.SCRUB_SUMMARIES, found)
        return found

    async def muted(self, tx: Tx, heard: Sequence[Heard[Muted]]) -> None:
        """Tell of it among the notifications: between topics there is no order.

        What the muted person did before may not be planned yet.
        """
        facts = [each.fact for each in heard]
        await tx.emit(*(ActorMuted(user=fact.person, actor=fact.other) for fact in facts))

    async def actor_muted(self, tx: Tx, heard: Sequence[Heard[ActorMuted]]) -> None:
        """Cancel what somebody muted had to do with; what is out may stay."""
        for each in heard:
            fact = each.fact
            await self._cancel(tx, store.CANCEL_BY_ACTOR, fact.user, "muted", fact.actor)
            await self._digests.withdraw(tx, fact.user, actor=fact.actor)

    async def _cancel(self, tx: Tx, statement: str, *which: object) -> None:
        rows = await tx.fetch(statement, *which)
        await self._endings.tell(tx, rows)
        spokesmen = {row["into_id"] or row["id"] for row in rows if store.spoken_for(row)}
        if spokesmen:
            parted = await tx.fetch(store.PART, list(spokesmen), self._clock.now())
            await self._endings.tell(tx, parted)

    async def _recall(
        self,
        tx: Tx,
        user: UUID,
        notifications: Sequence[UUID],
        now: datetime,
        told: Sequence[UUID],
    ) -> None:
        """Take back what is out; `told` are digests and deliveries that told of it as well."""
        since = now - timedelta(seconds=RECALLABLE_S)
        rows = await tx.fetch(store.SENT, user, notifications, since, told)
        await tx.run(store.UNKEEP, user, notifications, told)
        recalls = [store.recall(row, new_id(), now, "removed") for row in rows]
        await self._write(tx, [each for each in recalls if each.expires_at > now])

    async def _write(self, tx: Tx, rows: Sequence[New]) -> None:
        added = await store.add(tx, rows)
        lanes = {row["lane"] for row in added if row["phase"] == "waiting"}

        def ring() -> None:
            for lane in lanes:
                self._rings(lane)

        tx.after_commit(ring)

    async def _turns(
        self,
        tx: Tx,
        facts: Sequence[NotificationStored],
        policies: Mapping[str, Policy],
        now: datetime,
    ) -> Mapping[UUID, datetime]:
        """Return when those may go whose type has a rate, in their order."""
        waiting: dict[str, list[UUID]] = {}
        for fact in facts:
            if policies.get(fact.type, PLAIN).rate is not None and not fact.critical:
                waiting.setdefault(fact.type, []).append(fact.notification)
        found: dict[UUID, datetime] = {}
        for kind, some in sorted(waiting.items()):
            rate = policies[kind].rate
            if rate is not None:
                width = timedelta(seconds=len(some) * rate.per_s / rate.limit)
                end = await tx.value(store_schedule.RESERVE, EVERYBODY, kind, now, width)
                turns = plan.slots(rate, end - width, len(some), now)
                found |= dict(zip(some, turns, strict=True))
        return found


def _entry(fact: NotificationStored, channel: str, zone: str, url: str | None) -> Entry:
    return Entry(
        notification=fact.notification,
        channel=channel,
        user=fact.user,
        number=fact.number,
        actor=fact.actor_id,
        actor_name=fact.actor_name,
        type=fact.type,
        about=fact.related_entity_id,
        title=fact.title,
        body=fact.body,
        url=url,
        locale=fact.locale,
        at=fact.created_at,
        zone=zone,
    )
