"""Recheck stored notifications after a change: remove invalid ones, edit changed texts."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, Struct
from msgspec.structs import replace

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.features.notifications import boxes, subject_store
from nova.features.notifications.actors import People
from nova.features.notifications.catalogue import Ready
from nova.features.notifications.events import NotificationEdited, SubjectsTouched
from nova.features.notifications.history_rewrite import retell
from nova.features.notifications.inbox import RETRACTED, WITHDRAWN, Removal
from nova.features.notifications.models import Notification, Profile, Updated
from nova.features.notifications.rerendering import rerendered
from nova.features.notifications.still_valid import StillValid, subject_of
from nova.features.notifications.store import CHANNEL, notification
from nova.features.notifications.subject_store import Joined
from nova.features.notifications.types import Types
from nova.kernel.events import Heard
from nova.kernel.subjects import ACTOR, Stands, Subject
from nova.ports.database import Row

AT_ONCE = 500
"""Notifications in one transaction, about; what is left comes in the next one."""
SUCCESSORS = 100
_FIRST = UUID(int=0)
_encode = msgspec.json.Encoder().encode
_metadata = msgspec.json.Decoder(dict[str, Any])

Looks = dict[UUID, set[UUID]]
"""Notifications to look at, and by whom events that joined each."""


class Said(Struct, frozen=True):
    """What a notification says now."""

    title: str
    body: str
    actor: UUID | None
    actor_name: str | None
    metadata: str
    """JSON."""


class _Group(Struct):
    """A notification, with what is to become of it."""

    row: Row
    head: Joined
    """The event that it names."""
    others: int
    gone: dict[UUID, Joined]
    """Events that joined it and no longer stand."""
    words: Mapping[str, str] | None
    """None: nothing that it told of is left."""

    @property
    def is_other(self) -> bool:
        return bool(self.head.id != self.row["id"])


class Standing(Struct, frozen=True):
    """Which events stand."""

    found: Mapping[Subject, Stands]
    retracted: Collection[UUID]

    def of(self, row: Row, event: Joined) -> Mapping[str, str] | None:
        """Return what an event of a notification has to say now; None if it does not stand."""
        if event.id in self.retracted:
            return None
        subject = _subject(row, event)
        if subject is None:
            return {}
        return self.found[subject].words if subject in self.found else None


class Reviews:
    """Looks at notifications again. Boxes are locked first, as by everybody who changes them."""

    def __init__(
        self, db: Database, valid: StillValid, types: Types, people: People, removal: Removal
    ) -> None:
        self._db = db
        self._valid = valid
        self._types = types
        self._people = people
        self._removal = removal

    async def hear(self, tx: Tx, heard: Sequence[Heard[SubjectsTouched]]) -> None:
        """Look at what was touched; what is too much for one transaction is touched once more."""
        looks: Looks = {}
        for fact in dict.fromkeys(each.fact for each in heard):
            room = AT_ONCE - len(looks)
            found = await _touched(tx, fact, room) if room > 0 else []
            for id_ in found:
                looks.setdefault(id_, set()).update([fact.actor] if fact.actor else ())
            if len(found) >= room:
                await tx.emit(replace(fact, after=found[-1] if found else fact.after))
        await self.review(tx, looks)

    async def current(self, ids: Collection[UUID]) -> Mapping[UUID, Said]:
        """Return what those say that are still in an inbox and still stand; asked anew.

        What is found gone, or says something else by now, is taken back or edited on the way.
        """
        rows = await subject_store.rows(self._db, list(ids))
        standing = await self._valid.standing(_subjects(rows))
        late = [row["id"] for row in rows if not _is_up_to_date(row, standing)]
        if late:
            async with self._db.transaction() as tx:
                await self.review(tx, {id_: set() for id_ in late})
            rows = await subject_store.rows(self._db, list(ids))
        actors = {row["actor_id"] for row in rows} - {None}
        profiles = await self._people.profiles(list(actors))
        return {row["id"]: _said(row, profiles) for row in rows}

    async def review(
        self,
        tx: Tx,
        looks: Looks,
        *,
        retracted: Collection[UUID] = (),
        reason: str = WITHDRAWN,
    ) -> None:
        """Take back what does not stand any more, let what was gathered shrink, edit words.

        Events that were `retracted` stand no more, whatever else they stand on.
        """
        if not looks:
            return
        users = {row["user_id"] for row in await subject_store.rows(tx, list(looks))}
        await boxes.lock_many(tx, list(users))
        rows = await subject_store.rows(tx, list(looks))
        joined = await self._joined(tx, rows, looks, retracted)
        standing = Standing(await self._valid.standing(_all_subjects(rows, joined)), retracted)
        groups = [await self._group(tx, row, joined[row["id"]], standing) for row in rows]
        gone = [each for group in groups for each in group.gone.values()]
        if gone:
            await subject_store.leave(tx, [each.id for each in gone], _left(reason))
        left = [each for each in groups if each.words is not None]
        await _count(tx, left)
        await self._edit(tx, left, _left(reason))
        out = [each.row["id"] for each in groups if each.words is None]
        if out:
            await self._removal.remove(tx, list(users), out, reason)

    async def _joined(
        self, tx: Tx, rows: Sequence[Row], looks: Looks, retracted: Collection[UUID]
    ) -> Mapping[UUID, list[Joined]]:
        """Return by notification the events that joined it and are to be looked at."""
        found: dict[UUID, list[Joined]] = {row["id"]: [] for row in rows}
        groups = [row["id"] for row in rows if row["burst"] is not None]
        actors = {actor for id_ in groups for actor in looks[id_]}
        if actors or (groups and retracted):
            for each in await subject_store.gathered(tx, groups, list(actors), list(retracted)):
                found[each.into].append(each)
        return found

    async def _group(
        self, tx: Tx, row: Row, joined: Sequence[Joined], standing: Standing
    ) -> _Group:
        """Find out what is left of a notification, and whom it names then."""
        head = Joined(row["id"], row["id"], row["actor_id"], row["event_id"])
        gone = {each.id: each for each in joined if standing.of(row, each) is None}
        words = standing.of(row, head)
        after = _FIRST
        while (
            words is None
            and row["burst"] is not None
            and (some := await subject_store.following(tx, row["id"], after, SUCCESSORS))
        ):
            found = Standing(
                await self._valid.standing(_subjects_of(row, some)), standing.retracted
            )
            for each in some:
                if (words := found.of(row, each)) is not None:
                    head = each
                    break
                gone[each.id] = each
            after = some[-1].id
        return _Group(row, head, row["others"], gone, words)

    async def _edit(self, tx: Tx, groups: Sequence[_Group], reason: str) -> None:
        """Put those into new words that are to say something else, and tell everybody."""
        changing = [each for each in groups if _changes(each)]
        if not changing:
            return
        types = await self._types.known()
        who = {user for each in changing for user in (each.head.actor, each.row["user_id"])}
        profiles = await self._people.profiles([user for user in who if user is not None])
        new = [_reworded(each, types.get(each.row["type"]), profiles) for each in changing]
        await subject_store.change(tx, new)
        for each, one in zip(changing, new, strict=True):
            if each.is_other:
                await _take_over(tx, each, reason)
            await self._tell(tx, each, one, profiles)

    async def _tell(
        self, tx: Tx, group: _Group, new: Notification, profiles: Mapping[UUID, Profile]
    ) -> None:
        user = group.row["user_id"]
        counts = await boxes.read_counts(tx, user)
        told = Updated(notification=new, unseen=counts.unseen, unread=counts.unread)
        await retell(tx, user, {new.id: new})
        tx.publish(f"{CHANNEL}{user}", _encode(told))
        actor = profiles.get(new.actor_id) if new.actor_id is not None else None
        await tx.emit(
            NotificationEdited(
                user=user,
                notification=new.id,
                title=new.title,
                body=new.body,
                actor_id=new.actor_id,
                actor_name=actor.name if actor else None,
                is_other=group.is_other,
                related_entity_id=new.related_entity_id if group.is_other else None,
                metadata=new.metadata if group.is_other else UNSET,
            )
        )


async def _touched(tx: Tx, fact: SubjectsTouched, most: int) -> list[UUID]:
    """Return which notifications a change touches, in the order of their ids."""
    if fact.recipient is not None:
        which = (fact.recipient, fact.actor, fact.after, most)
        rows = await tx.fetch(subject_store.OF_RECIPIENT, *which)
    elif fact.owner is not None:
        items = None if fact.items is None else list(fact.items)
        about = (fact.owner, fact.within, items, fact.actor, fact.after, most)
        rows = await tx.fetch(subject_store.OF_OWNER, *about)
    else:
        rows = await tx.fetch(subject_store.OF_ACTOR, fact.actor, fact.after, most)
    return [row["id"] for row in rows]


async def _count(tx: Tx, groups: Sequence[_Group]) -> None:
    """Count who is left: a person of whom another event stands in the group is not lost."""
    lost = {each.row["id"]: _removed(each) for each in groups}
    pairs = {
        (id_, event.actor)
        for id_, some in lost.items()
        for event in some
        if event.actor is not None
    }
    there = await subject_store.members(tx, pairs)
    there.update((each.row["id"], each.head.actor) for each in groups if each.head.actor)
    for each in groups:
        id_ = each.row["id"]
        nameless = sum(event.actor is None for event in lost[id_])
        named = {event.actor for event in lost[id_] if event.actor is not None}
        gone = sum((id_, actor) not in there for actor in named)
        each.others = max(0, each.others - nameless - gone)


def _removed(group: _Group) -> list[Joined]:
    """Return the events that are in a group no more, the one included that led it."""
    row = group.row
    first = Joined(row["id"], row["id"], row["actor_id"], row["event_id"])
    return [*group.gone.values(), *([first] if group.is_other else [])]


async def _take_over(tx: Tx, group: _Group, reason: str) -> None:
    """Have the notification belong to the event that it names now.

    The one that it named before has left, and may come again: its story is that it did.
    """
    old, new = group.row, group.head
    await tx.run(subject_store.LEAVE, [new.id])
    await tx.run(subject_store.SWAP_STORY, new.id, old["event_id"], reason)
    await intake.rename(tx, {old["event_id"]: new.id, new.event_id: old["id"]})


def _left(reason: str) -> str:
    """Return why an event is out of its group, which goes on."""
    return RETRACTED if reason == RETRACTED else subject_store.LEFT


def _subject(row: Row, event: Joined) -> Subject | None:
    """Return what an event of a notification stands on; None for nothing anybody answers for."""
    if event.actor is None:
        return None
    item = row["subject_item"] or event.actor
    return Subject(row["subject_kind"] or ACTOR, item, event.actor, row["user_id"])


def _subjects_of(row: Row, events: Sequence[Joined]) -> list[Subject]:
    found = (_subject(row, each) for each in events)
    return [subject for subject in found if subject is not None]


def _all_subjects(rows: Sequence[Row], joined: Mapping[UUID, Sequence[Joined]]) -> list[Subject]:
    found = [each for row in rows for each in _subjects_of(row, joined[row["id"]])]
    return [*_subjects(rows), *found]


def _subjects(rows: Sequence[Row]) -> list[Subject]:
    return [subject for row in rows if (subject := subject_of(row)) is not None]


def _is_up_to_date(row: Row, standing: Mapping[Subject, Stands]) -> bool:
    subject = subject_of(row)
    if subject is None:
        return True
    return subject in standing and not _other_words(row, standing[subject].words)


def _other_words(row: Row, words: Mapping[str, str]) -> bool:
    if not words:
        return False
    said = _metadata.decode(row["metadata"])
    return any(said.get(key) != text for key, text in words.items())


def _changes(group: _Group) -> bool:
    return (
        group.is_other
        or group.others != group.row["others"]
        or _other_words(group.row, group.words or {})
    )


def _reworded(group: _Group, kind: Ready | None, profiles: Mapping[UUID, Profile]) -> Notification:
    row, head = group.row, group.head
    one = replace(
        notification(row), others=group.others, actor_id=head.actor, event_id=head.event_id
    )
    if head.metadata is not None:
        one = replace(
            one,
            metadata=Raw(head.metadata.encode()),
            related_entity_id=head.related_entity_id,
            occurred_at=head.occurred_at or one.occurred_at,
        )
    if group.words:
        said = _metadata.decode(one.metadata) | dict(group.words)
        one = replace(one, metadata=Raw(_encode(said)))
    return rerendered(one, kind, row["user_id"], row["locale"], profiles)


def _said(row: Row, profiles: Mapping[UUID, Profile]) -> Said:
    actor = profiles.get(row["actor_id"]) if row["actor_id"] is not None else None
    name = actor.name if actor else None
    return Said(row["title"], row["body"], row["actor_id"], name, row["metadata"])
