"""Aggregation: events of one group join the recipient's unread notification of it."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nova.backbone.database import Tx
from nova.features.notifications import boxes, store, store_bursts, subject_store
from nova.features.notifications.catalogue import Ready
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.models import Counts, Notification, Profile, Updated
from nova.features.notifications.rerendering import rerendered
from nova.features.notifications.rules import Decision
from nova.features.notifications.store import Run, Unmade
from nova.features.notifications.subject_store import Joined
from nova.kernel.clock import Clock
from nova.ports.database import Queries, Row

JOINED = "joined"

BY_A_STRANGER = ", by an unknown actor"
"""In the story of an event that joined a group, and names an actor whom nobody knows."""

Make = tuple[EventAccepted, UUID, Decision]
"""An event, whom it is for, and what was decided."""

MOST_JOINED = 10_000
"""Events that join a notification; what comes then begins another one."""
APP = "app:"
"""What the groups of the app's events begin with, and none of Nova's own."""


class People(Protocol):
    """Who is who."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...


class Blocks(Protocol):
    """Who does not want to hear of whom."""

    async def blocked(self, pairs: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], str]:
        """Return `blocked` or `muted` for those pairs whose first won't hear of the second."""


class Joining(Struct, frozen=True):
    """An event that joins a notification."""

    fact: EventAccepted
    user: UUID
    into: UUID
    decision: Decision


def of_app(event_type: str, group_key: str) -> str:
    """Return the burst of an app's group: a digest, which bounds it, and holds nobody's name."""
    key = f"{event_type}\0{group_key}".encode()
    return APP + blake2b(key, digest_size=16).hexdigest()


class Bursts:
    """Keeps bursts together.

    The boxes of the recipients are locked first, so two processes never both begin one. Counts
    stay as they are: what is joined was unread and counted. Nothing joins what names somebody of
    whom the recipient won't hear, or who has blocked the recipient.
    """

    def __init__(self, clock: Clock, people: People, blocks: Blocks, lasts_s: float) -> None:
        self._clock = clock
        self._people = people
        self._blocks = blocks
        self._lasts_s = lasts_s

    async def split(self, tx: Tx, makes: Sequence[Make]) -> tuple[list[Make], list[Joining]]:
        """Return what makes notifications of its own, and what joins one."""
        wanted = {(user, fact.burst) for fact, user, _ in makes if fact.burst is not None}
        if not wanted:
            return list(makes), []
        await boxes.lock_many(tx, list({user for _, user, _ in makes}))
        since = self._clock.now() - timedelta(seconds=self._lasts_s)
        heads = await self._open(tx, wanted, since)
        alone: list[Make] = []
        joining: list[Joining] = []
        for make in makes:
            fact, user, decision = make
            head = heads.get((user, fact.burst)) if fact.burst is not None else None
            if head is not None:
                joining.append(Joining(fact, user, head, decision))
                continue
            alone.append(make)
            if fact.burst is not None:
                heads[user, fact.burst] = fact.notification
        return alone, joining

    async def join(
        self,
        tx: Tx,
        run: Run,
        joining: Sequence[Joining],
        types: Mapping[str, Ready],
        ids: Mapping[str, UUID],
    ) -> tuple[int, list[tuple[UUID, bytes]]]:
        """Let events join; return how many had not before, and what to publish to whom.

        Whoever is in a group already changes nothing that is told of it.
        """
        if not joining:
            return 0, []
        found = await store.joined(tx, run, [_joined(each, ids) for each in joining])
        new = [_member(each, ids) for each in joining if each.fact.notification in found]
        if not new:
            return 0, []
        rows = {
            row["id"]: row
            for row in await tx.fetch(store_bursts.HEADS, list({each.into for each in new}))
        }
        more = await _more(tx, new, {id_: row["actor_id"] for id_, row in rows.items()})
        await subject_store.gather(tx, [each for each in new if each.into in rows])
        events = Counter(each.into for each in new)
        who = {user for row in rows.values() for user in (row["actor_id"], row["user_id"])} - {None}
        profiles = await self._people.profiles(list(who))
        grown = [_grown(row, more[id_], types, profiles) for id_, row in rows.items()]
        await tx.run(
            store_bursts.JOIN,
            [each.id for each in grown],
            [each.others for each in grown],
            [each.title for each in grown],
            [events[each.id] for each in grown],
        )
        users = {each.id: rows[each.id]["user_id"] for each in grown if more[each.id]}
        counts = await _counts(tx, list(set(users.values()))) if users else {}
        told = [
            (users[each.id], _told(each, counts[users[each.id]]))
            for each in grown
            if each.id in users
        ]
        return len(new), told

    async def _open(
        self, db: Queries, wanted: Collection[tuple[UUID, str]], since: datetime
    ) -> dict[tuple[UUID, str], UUID]:
        users, bursts = zip(*wanted, strict=True)
        rows = await db.fetch(store_bursts.OPEN, list(users), list(bursts), since, MOST_JOINED)
        apart = await self._apart({(row["user_id"], row["actor_id"]) for row in rows})
        return {
            (row["user_id"], row["burst"]): row["id"]
            for row in rows
            if (row["user_id"], row["actor_id"]) not in apart
        }

    async def _apart(
        self, pairs: Collection[tuple[UUID, UUID | None]]
    ) -> set[tuple[UUID, UUID | None]]:
        """Return the pairs of recipient and actor between whom stands a block, or a mute."""
        asked = [(user, actor) for user, actor in pairs if actor is not None]
        if not asked:
            return set()
        backward = [(actor, user) for user, actor in asked]
        found = await self._blocks.blocked([*asked, *backward])
        return {
            (user, actor)
            for user, actor in asked
            if (user, actor) in found or found.get((actor, user)) == "blocked"
        }


async def _counts(db: Queries, users: Sequence[UUID]) -> dict[UUID, Counts]:
    return {row["user_id"]: store.counts(row) for row in await db.fetch(store_bursts.COUNTS, users)}


def _joined(each: Joining, ids: Mapping[str, UUID]) -> Unmade:
    actor = each.fact.actor_id
    unknown = BY_A_STRANGER if actor is not None and actor not in ids else ""
    decision = Decision(frozenset(), f"group of {each.into}{unknown}", JOINED)
    return Unmade(each.fact, each.user, decision)


def _member(each: Joining, ids: Mapping[str, UUID]) -> Joined:
    fact = each.fact
    actor = ids.get(fact.actor_id) if fact.actor_id is not None else None
    joined = Joined(fact.notification, each.into, actor, fact.id)
    if fact.origin is not None:
        return joined
    return joined._replace(
        occurred_at=fact.timestamp,
        related_entity_id=fact.related_entity_id,
        metadata=bytes(fact.metadata).decode(),
    )


async def _more(
    db: Queries, new: Sequence[Joined], heads: Mapping[UUID, UUID | None]
) -> Counter[UUID]:
    """Return how many people each group gains; whoever is not known counts with each event."""
    pairs = {(each.into, each.actor) for each in new if each.actor is not None}
    there = await subject_store.members(db, pairs)
    there.update((id_, actor) for id_, actor in heads.items() if actor is not None)
    nameless = Counter(each.into for each in new if each.actor is None)
    return nameless + Counter(into for into, _ in pairs - there)


def _grown(
    row: Row, more: int, types: Mapping[str, Ready], profiles: Mapping[UUID, Profile]
) -> Notification:
    """Return a notification that so many more people have joined, in its new words."""
    old = store.notification(row)
    new = replace(old, others=old.others + more)
    new = rerendered(new, types.get(old.type), row["user_id"], row["locale"], profiles)
    return replace(new, body=old.body)


def _told(notification: Notification, counts: Counts) -> bytes:
    return msgspec.json.encode(
        Updated(notification=notification, unseen=counts.unseen, unread=counts.unread)
    )
