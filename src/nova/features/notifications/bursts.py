"""Ten likes in a burst ring once: what comes later joins the notification of the first."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from nova.backbone.database import Tx
from nova.features.notifications import boxes, store, subject_store
from nova.features.notifications.catalogue import Ready, others_in, someone
from nova.features.notifications.events import EventAccepted
from nova.features.notifications.models import Counts, Notification, Profile, Updated
from nova.features.notifications.rules import Decision
from nova.features.notifications.store import Run, Unmade
from nova.features.notifications.subject_store import Joined
from nova.features.notifications.templates import MOST_TITLE
from nova.kernel.clock import Clock
from nova.ports.database import Queries, Row
from nova.web.people import shown

JOINED = "joined"

Make = tuple[EventAccepted, UUID, Decision]
"""An event, whom it is for, and what was decided."""

# The newest notification of each burst that others may still join.
OPEN = """
select distinct on (i.user_id, i.burst) i.user_id, i.burst, i.id, i.actor_id
  from unnest($1::uuid[], $2::text[]) as w (user_id, burst)
  join notifications.inbox i using (user_id, burst)
 where i.read_at is null and i.archived_at is null and i.created_at > $3
 order by i.user_id, i.burst, i.number desc
"""

HEADS = "select * from notifications.inbox where id = any($1::uuid[])"

JOIN = """
update notifications.inbox i set others = w.others, title = w.title
  from unnest($1::uuid[], $2::int[], $3::text[]) as w (id, others, title) where i.id = w.id
"""

COUNTS = "select user_id, unseen, unread from notifications.boxes where user_id = any($1::uuid[])"


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
        self, tx: Tx, run: Run, joining: Sequence[Joining], types: Mapping[str, Ready]
    ) -> tuple[int, list[tuple[UUID, bytes]]]:
        """Let events join; return how many had not before, and what to publish to whom."""
        if not joining:
            return 0, []
        new = await store.joined(tx, run, [_joined(each) for each in joining])
        await subject_store.gather(
            tx,
            [
                Joined(fact.notification, each.into, fact.origin.actor, fact.id)
                for each in joining
                if (fact := each.fact).notification in new and fact.origin is not None
            ],
        )
        by_head: dict[UUID, int] = {}
        for each in joining:
            if each.fact.notification in new:
                by_head[each.into] = by_head.get(each.into, 0) + 1
        if not by_head:
            return 0, []
        rows = await tx.fetch(HEADS, list(by_head))
        who = {user for row in rows for user in (row["actor_id"], row["user_id"])} - {None}
        profiles = await self._people.profiles(list(who))
        changed = [_grown(row, by_head[row["id"]], types, profiles) for row in rows]
        await tx.run(
            JOIN,
            [each.id for each in changed],
            [each.others for each in changed],
            [each.title for each in changed],
        )
        users = {row["id"]: row["user_id"] for row in rows}
        counts = await _counts(tx, list(set(users.values())))
        told = [(users[each.id], _told(each, counts[users[each.id]])) for each in changed]
        return len(new), told

    async def _open(
        self, db: Queries, wanted: Collection[tuple[UUID, str]], since: datetime
    ) -> dict[tuple[UUID, str], UUID]:
        users, bursts = zip(*wanted, strict=True)
        rows = await db.fetch(OPEN, list(users), list(bursts), since)
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
    return {row["user_id"]: store.counts(row) for row in await db.fetch(COUNTS, users)}


def _joined(each: Joining) -> Unmade:
    return Unmade(each.fact, each.user, Decision(frozenset(), f"burst of {each.into}", JOINED))


def _grown(
    row: Row, count: int, types: Mapping[str, Ready], profiles: Mapping[UUID, Profile]
) -> Notification:
    """Return a notification that so many more have joined, in its new words."""
    others = row["others"] + count
    locale, kind = row["locale"], types.get(row["type"])
    actor, reader = profiles.get(row["actor_id"]), profiles.get(row["user_id"])
    old = replace(store.notification(row), actor=shown(actor))
    if kind is None:  # no longer registered: its words stay
        return replace(old, others=others)
    metadata = msgspec.json.decode(old.metadata)
    values = {
        "actor.name": actor.name if actor else None,
        "actor.id": str(row["actor_id"]),
        "recipient.name": reader.name if reader else None,
        "event.type": row["type"],
        "event.id": row["event_id"],
        "related_entity_id": row["related_entity_id"],
        "others": others_in(locale, others),
        "someone": someone(locale),
    }
    title = kind.titled_for_many(locale).fill(values, metadata, MOST_TITLE)
    return replace(old, others=others, title=title)


def _told(notification: Notification, counts: Counts) -> bytes:
    return msgspec.json.encode(
        Updated(notification=notification, unseen=counts.unseen, unread=counts.unread)
    )
