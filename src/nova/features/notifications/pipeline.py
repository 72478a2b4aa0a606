"""From accepted events to notifications: decide, render, number, store and publish a batch."""

import asyncio
from collections import Counter as Tally
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter, Histogram

from nova.backbone import intake
from nova.backbone.database import Tx
from nova.features.notifications import store
from nova.features.notifications.bursts import JOINED, Blocks, Bursts, Make
from nova.features.notifications.catalogue import Ready, someone
from nova.features.notifications.events import EventAccepted, NotificationStored
from nova.features.notifications.models import Arrived, Choices, Notification, Profile
from nova.features.notifications.preferences import PreferenceBook
from nova.features.notifications.rules import (
    CHANNELS,
    GONE,
    IN_APP,
    SILENCED,
    SUSPENDED,
    Decision,
    allowed,
    chosen,
    decide,
)
from nova.features.notifications.runs import Runs
from nova.features.notifications.still_valid import StillValid
from nova.features.notifications.store import CHANNEL, Made, Run, Unmade
from nova.features.notifications.templates import MOST_BODY, MOST_TITLE
from nova.features.notifications.types import Types
from nova.kernel.clock import Clock
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from nova.kernel.placeholders import Template
from nova.kernel.subjects import Stands
from nova.web.people import Person, shown

_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(dict[str, Any])
_NUMBER, _COUNTS = b'"number":', b',"unseen":0,"unread":0}'


class People(Protocol):
    """Who is who; both look-ups take many at once and remember their answers."""

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]:
        """Return the ids of those that exist, whichever id of theirs was given."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...

    def unremembered(self, references: Collection[str]) -> list[str]:
        """Return those that have to be looked up; almost always none."""

    async def erased(self, references: Collection[str]) -> Collection[str]:
        """Return those that named somebody who was erased lately, and name nobody now."""


class Reach(Protocol):
    """Who can be reached besides in the app."""

    async def reachable(self, users: Sequence[UUID]) -> set[UUID]: ...


def is_plain(fact: EventAccepted) -> bool:
    """Return whether deciding about an event asks only what is in memory.

    Others join a notification that is there, or depend on something that can be taken back.
    """
    return fact.burst is None and fact.origin is None


class Known(Struct, frozen=True):
    """Everything that a batch of decisions needs to know."""

    ids: Mapping[str, UUID]
    profiles: Mapping[UUID, Profile]
    types: Mapping[str, Ready]
    choices: Mapping[UUID, Choices | None]
    silenced: Mapping[tuple[UUID, UUID], str]
    """Why, by who silences and whom; almost always empty."""
    reachable: set[UUID]
    """Who has a device or a mailbox: of their notifications the log tells."""
    erased: Collection[str] = ()
    """Those named who were erased: nothing of them is told, or written down."""
    strangers: Collection[str] = ()
    """Those named who are nobody; almost always empty."""


class Pipeline:
    """Hears accepted events, a batch at a time, in the transaction that moves the cursor.

    A batch that runs again does nothing twice: what it did was rolled back, or is found decided.
    """

    def __init__(
        self,
        clock: Clock,
        people: People,
        types: Types,
        preferences: PreferenceBook,
        blocks: Blocks,
        *,
        runs: Runs,
        registry: CollectorRegistry,
        lifetime_s: float,
        bursts: Bursts,
        valid: StillValid,
        reach: Reach | None = None,
    ) -> None:
        self._clock = clock
        self._bursts = bursts
        self._valid = valid
        self._reach = reach
        self._people = people
        self._types = types
        self._preferences = preferences
        self._blocks = blocks
        self._runs = runs
        self._lifetime_s = lifetime_s
        self._outcomes = Counter(
            "nova_notifications",
            "Events decided, by outcome: stored, or the reason of suppression.",
            ["outcome"],
            registry=registry,
        )
        self._stored = self._outcomes.labels("stored")
        self._waited = Histogram(
            "nova_notifications_seconds",
            "Seconds from acceptance to publication of a batch's oldest event.",
            registry=registry,
            buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300),
        )

    async def hear(self, tx: Tx, heard: Sequence[Heard[EventAccepted]]) -> None:
        """Decide about a batch of accepted events."""
        heard_at = self._clock.now()
        facts = [each.fact for each in heard]
        known = await self._learn(facts)
        if known.erased:
            facts = await self._leave_out(tx, facts, known.erased)
        run = Run(new_id(), heard_at, self._clock.now())
        decided, unmade = self._decided(facts, known)
        made, stands, gone = await self._standing_ones(tx, decided)
        unmade += gone
        made, joining = await self._bursts.split(tx, made)
        last = tx.is_closing and not joining
        stored = await self._make(tx, run, made, known, stands, last=last) if made else 0
        joined, updates = await self._bursts.join(tx, run, joining, known.types, known.ids)
        for user, update in updates:
            tx.publish(CHANNEL + str(user), update)
        reasons = await store.suppress(tx, run, unmade) if unmade else []
        reasons += [JOINED] * joined
        stored_at = self._clock.now()  # unless it is concluded
        oldest = min(each.fact.accepted_at for each in heard)

        def published() -> None:
            now = self._clock.now()
            if tx.conclusion is None:
                self._runs.note(run.id, stored_at, now)
                self._stored.inc(stored)
            else:
                self._runs.note(run.id, now, now)
                self._stored.inc(len(tx.placed))
            for reason, count in Tally(reasons).items():
                self._outcomes.labels(reason).inc(count)
            self._waited.observe(max(0.0, (now - oldest).total_seconds()))

        tx.after_commit(published)

    async def _leave_out(
        self, tx: Tx, facts: Sequence[EventAccepted], erased: Collection[str]
    ) -> list[EventAccepted]:
        """Return those that are not from or for erased people; nothing is kept of the others."""
        left = [
            fact
            for fact in facts
            if fact.recipient_id not in erased and fact.actor_id not in erased
        ]
        kept = {fact.id for fact in left}
        await intake.free(tx, [fact.id for fact in facts if fact.id not in kept])
        self._outcomes.labels("erased").inc(len(facts) - len(left))
        return left

    async def foresee(self, facts: Sequence[EventAccepted]) -> None:
        """Look up, and so remember, what deciding about these will need: all of it side by side."""
        _, recipients, pairs = await self._who(facts)
        await asyncio.gather(
            self._preferences.of(recipients),
            self._blocks.blocked(pairs),
            self._reachable(recipients),
        )

    async def rehearse(
        self, fact: EventAccepted, at: datetime, locale: str | None = None
    ) -> tuple[Decision, NotificationStored | None]:
        """Decide about an event and put it into words; nothing is written."""
        known = await self._learn([fact])
        made, unmade = self._decided([fact], known)
        if unmade:
            return unmade[0].decision, None
        run = Run(new_id(), at, at)
        told = Writer(known, run, self._lifetime_s, locale).write(*made[0])
        return made[0][2], stored(told, 0, run, known, self._preferences.defaults)

    async def _learn(self, facts: Sequence[EventAccepted]) -> Known:
        """Look everything up, in turn: almost always all of it is remembered, and tasks cost."""
        ids, recipients, pairs = await self._who(facts)
        strangers = _strangers(facts, ids)
        return Known(
            ids,
            await self._people.profiles(list({*ids.values()})),
            await self._types.known(),
            await self._preferences.of(recipients),
            await self._blocks.blocked(pairs),
            await self._reachable(recipients),
            await self._people.erased(strangers) if strangers else (),
            strangers,
        )

    async def _who(
        self, facts: Sequence[EventAccepted]
    ) -> tuple[Mapping[str, UUID], list[UUID], list[tuple[UUID, UUID]]]:
        """Return the ids of all, the recipients, and each recipient with each actor and back."""
        ids = await self._people.resolve(list(_references(facts)))
        recipients = {ids[fact.recipient_id] for fact in facts if fact.recipient_id in ids}
        pairs = {
            (ids[fact.recipient_id], ids[fact.actor_id])
            for fact in facts
            if fact.recipient_id in ids and fact.actor_id is not None and fact.actor_id in ids
        }
        pairs.update([(actor, user) for user, actor in pairs])
        return ids, list(recipients), list(pairs)

    async def _reachable(self, users: Sequence[UUID]) -> set[UUID]:
        return set() if self._reach is None else await self._reach.reachable(users)

    def _decided(
        self, facts: Sequence[EventAccepted], known: Known
    ) -> tuple[list[Make], list[Unmade]]:
        """Decide about each: what becomes a notification (of whom), and what does not."""
        ids, types, choices = known.ids, known.types, known.choices
        defaults = self._preferences.defaults
        usual: dict[str, Decision] = {}  # of people who chose nothing, by type
        makes: list[Make] = []
        unmade: list[Unmade] = []
        for fact in facts:
            user = ids.get(fact.recipient_id)
            kind = types.get(fact.event_type)
            chose = choices[user] if user is not None else None
            actor = ids.get(fact.actor_id) if fact.actor_id is not None else None
            if user is None or user == actor or kind is None or chose is not None:
                decision = decide(user, actor, kind, chose, defaults, about=fact.related_entity_id)
            else:
                found = usual.get(kind.name)
                if found is None:
                    found = usual[kind.name] = allowed(kind, None, defaults)
                decision = found
            if user is not None and actor is not None:
                decision = _against(user, actor, known) or decision
            if user is not None and decision.reason is None:
                makes.append((fact, user, decision))
            else:
                unmade.append(Unmade(fact, user, decision))
        return makes, unmade

    async def _standing_ones(
        self, tx: Tx, decided: Sequence[Make]
    ) -> tuple[list[Make], Mapping[UUID, Stands], list[Unmade]]:
        """Leave out what was taken back since it was accepted; the rest says what it says now.

        Returns what is known of those that stand, by notification, too.
        """
        subjects = {
            fact.notification: fact.origin.subject(user)
            for fact, user, _ in decided
            if fact.origin is not None
        }
        if not subjects:
            return list(decided), {}, []
        # With its number before it asks, whoever looks for what this transaction stores, because
        # of a change that it does not see, waits for its end.
        await tx.value("select pg_current_xact_id()")
        standing = await self._valid.standing(list(subjects.values()))
        made: list[Make] = []
        unmade: list[Unmade] = []
        stands: dict[UUID, Stands] = {}
        for fact, user, decision in decided:
            subject = subjects.get(fact.notification)
            if subject is None:
                made.append((fact, user, decision))
            elif (found := standing.get(subject)) is None:
                unmade.append(Unmade(fact, user, GONE))
            else:
                stands[fact.notification] = found
                made.append((_saying(fact, found.words), user, decision))
        return made, stands, unmade

    async def _make(
        self,
        tx: Tx,
        run: Run,
        makes: Sequence[Make],
        known: Known,
        stands: Mapping[UUID, Stands],
        *,
        last: bool,
    ) -> int:
        """Render, number, store and publish; return how many had not been before.

        The `last` of a transaction conclude it, unless further facts need their numbers.
        """
        writer = Writer(known, run, self._lifetime_s, stands=stands)
        made = [writer.write(*each) for each in makes]
        nameless = _nameless(made) if known.strangers else ()
        if last and not nameless and known.reachable.isdisjoint(each.user for each in made):
            tx.conclude(store.delivery(run, made, new=tx.is_first))
            return 0
        placed = await store.add(tx, run, made)
        if nameless:
            await tx.run(store.NAMELESS, nameless)
        for each, number, told in placed:
            tx.publish(CHANNEL + str(each.user), told)
            if each.user in known.reachable:
                await tx.emit(stored(each, number, run, known, self._preferences.defaults))
        return len(placed)


def _references(facts: Sequence[EventAccepted]) -> set[str]:
    """Return all whom events name."""
    found = {fact.recipient_id for fact in facts}
    found.update(fact.actor_id for fact in facts if fact.actor_id is not None)
    return found


def _strangers(facts: Sequence[EventAccepted], ids: Mapping[str, UUID]) -> set[str]:
    return _references(facts) - ids.keys()


def _nameless(made: Sequence[Made]) -> list[UUID]:
    """Return the ids of those whose events name an actor whom nobody knows."""
    return [
        each.fact.notification
        for each in made
        if each.actor is None and each.fact.actor_id is not None
    ]


def _against(user: UUID, actor: UUID, known: Known) -> Decision | None:
    """Return what stands between two people: a block of either side, a mute, a suspension."""
    who = known.profiles.get(actor)
    if who is not None and who.suspended:
        return SUSPENDED
    if not known.silenced:
        return None
    if (why := known.silenced.get((user, actor))) is not None:
        return SILENCED[why]
    return GONE if known.silenced.get((actor, user)) == "blocked" else None


def stored(
    made: Made, number: int, run: Run, known: Known, defaults: Mapping[str, bool]
) -> NotificationStored:
    """Return the fact for those who carry a notification further than the inbox."""
    fact = made.fact
    kind, choices = known.types[fact.event_type], known.choices[made.user]
    wanted = {
        each: chosen(each, kind, choices, defaults, fact.related_entity_id)
        for each in CHANNELS
        if each != IN_APP
    }
    actor = known.profiles.get(made.actor) if made.actor is not None else None
    return NotificationStored(
        notification=fact.notification,
        user=made.user,
        number=number,
        type=fact.event_type,
        title=made.title,
        body=made.body,
        locale=made.locale,
        event_id=fact.id,
        actor_id=made.actor,
        actor_name=actor.name if actor else None,
        related_entity_id=fact.related_entity_id,
        metadata=fact.metadata,
        critical=kind.kind.critical,
        channels={channel: on for channel, (on, _) in wanted.items()},
        rules={channel: rule for channel, (_, rule) in wanted.items()},
        created_at=run.decided_at,
        expires_at=made.expires_at,
    )


def _saying(fact: EventAccepted, words: Mapping[str, str]) -> EventAccepted:
    """Return the event with what its subject says now: it may have been edited meanwhile."""
    if not words:
        return fact
    said = _metadata.decode(fact.metadata)
    if all(said.get(key) == text for key, text in words.items()):
        return fact
    return replace(fact, metadata=Raw(_encode(said | dict(words))))


def _around_numbers(notification: Notification) -> tuple[bytes, bytes]:
    """Return what the socket says up to the notification's number, and on to the counts."""
    said = _encode(Arrived(notification=notification, unseen=0, unread=0))
    at = said.index(_NUMBER) + len(_NUMBER)
    return said[:at], said[at + 1 : -len(_COUNTS)]


_Words = tuple[str, Template, Template, str]


class Writer:
    """Puts notifications into words, for one batch."""

    def __init__(
        self,
        known: Known,
        run: Run,
        lifetime_s: float,
        locale: str | None = None,
        stands: Mapping[UUID, Stands] = MappingProxyType({}),
    ) -> None:
        """`locale` is spoken in place of each reader's own."""
        self._stands = stands
        self._locale = locale
        self._known = known
        self._run = run
        self._lifetime_s = lifetime_s
        self._expiry: dict[float | None, datetime] = {}
        self._actors: dict[UUID | None, Person | None] = {None: None}
        self._words: dict[tuple[str, str | None], _Words] = {}

    def write(self, fact: EventAccepted, user: UUID, decision: Decision) -> Made:
        known = self._known
        reader = known.profiles.get(user)
        actor = known.ids.get(fact.actor_id) if fact.actor_id is not None else None
        actor_profile = known.profiles.get(actor) if actor is not None else None
        kind = known.types[fact.event_type]
        locale, title, body, somebody = self._worded(
            kind, self._locale or (reader.locale if reader else None)
        )
        metadata = (
            _metadata.decode(fact.metadata) if title.uses_metadata or body.uses_metadata else None
        )
        values = {
            "actor.name": actor_profile.name if actor_profile else None,
            "actor.id": fact.actor_id,
            "recipient.name": reader.name if reader else None,
            "event.type": fact.event_type,
            "event.id": fact.id,
            "related_entity_id": fact.related_entity_id,
            "count": "1",
            "someone": somebody,
        }
        notification = Notification(
            id=fact.notification,
            number=0,
            type=fact.event_type,
            title=title.fill(values, metadata, MOST_TITLE),
            body=body.fill(values, metadata, MOST_BODY),
            event_id=fact.id,
            actor_id=actor,
            actor=self._shown(actor),
            related_entity_id=fact.related_entity_id,
            metadata=fact.metadata,
            occurred_at=fact.timestamp,
            created_at=self._run.decided_at,
            expires_at=self._expires(kind),
        )
        return Made(
            fact,
            user,
            actor,
            notification.title,
            notification.body,
            locale,
            decision.rule,
            notification.expires_at,
            *_around_numbers(notification),
            self._stands.get(fact.notification) if self._stands else None,
        )

    def _shown(self, actor: UUID | None) -> Person | None:
        """Return what is shown of an actor; of each it is made once."""
        if actor in self._actors:
            return self._actors[actor]
        profile = self._known.profiles.get(actor) if actor is not None else None
        found = self._actors[actor] = shown(profile)
        return found

    def _worded(self, kind: Ready, locale: str | None) -> _Words:
        """Return the locale that serves a reader best, title, body, and what nobody is called."""
        found = self._words.get((kind.name, locale))
        if found is None:
            best, title, body = kind.worded(locale)
            found = self._words[kind.name, locale] = best, title, body, someone(best)
        return found

    def _expires(self, kind: Ready) -> datetime:
        lifetime = kind.lifetime_s
        at = self._expiry.get(lifetime)
        if at is None:
            seconds = self._lifetime_s if lifetime is None else lifetime
            at = self._expiry[lifetime] = self._run.decided_at + timedelta(seconds=seconds)
        return at
