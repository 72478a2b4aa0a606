"""Recheck stored notifications after a change: remove invalid ones, edit changed texts."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.features.notifications import boxes, subject_store
from nova.features.notifications.actors import People
from nova.features.notifications.catalogue import others_in, someone
from nova.features.notifications.events import NotificationEdited, SubjectsTouched
from nova.features.notifications.history_rewrite import retell
from nova.features.notifications.inbox import WITHDRAWN, Removal
from nova.features.notifications.models import Notification, Profile, Updated
from nova.features.notifications.still_valid import StillValid, subject_of
from nova.features.notifications.store import CHANNEL, notification
from nova.features.notifications.subject_store import Joined
from nova.features.notifications.templates import MOST_BODY, MOST_TITLE
from nova.features.notifications.types import Types
from nova.kernel.events import Heard
from nova.kernel.subjects import Stands, Subject
from nova.ports.database import Row
from nova.web.people import shown

AT_ONCE = 500
"""Notifications in one transaction, about; what is left comes in the next one."""
SUCCESSORS = 100
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
    gone: list[Joined]
    """Events that joined it and no longer stand."""
    words: Mapping[str, str] | None
    """None: nothing that it told of is left."""

    @property
    def is_other(self) -> bool:
        return bool(self.head.id != self.row["id"])


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

    async def review(self, tx: Tx, looks: Looks) -> None:
        """Take back what does not stand any more, let what was gathered shrink, edit words."""
        if not looks:
            return
        users = {row["user_id"] for row in await subject_store.rows(tx, list(looks))}
        await boxes.lock_many(tx, list(users))
        rows = await subject_store.rows(tx, list(looks))
        joined = await self._joined(tx, rows, looks)
        standing = await self._valid.standing(
            [*_subjects(rows), *(each for some in joined.values() for each in some)]
        )
        groups = [await self._group(tx, row, joined[row["id"]], standing) for row in rows]
        gone = [each for group in groups for each in group.gone]
        if gone:
            await subject_store.leave(tx, [each.id for each in gone])
        await self._edit(tx, [each for each in groups if each.words is not None])
        out = [each.row["id"] for each in groups if each.words is None]
        if out:
            await self._removal.remove(tx, list(users), out, WITHDRAWN)

    async def _joined(
        self, tx: Tx, rows: Sequence[Row], looks: Looks
    ) -> Mapping[UUID, dict[Subject, Joined]]:
        """Return by notification those who joined it and are to be looked at."""
        found: dict[UUID, dict[Subject, Joined]] = {row["id"]: {} for row in rows}
        by_id = {row["id"]: row for row in rows if row["others"] and looks[row["id"]]}
        if by_id:
            actors = {actor for id_ in by_id for actor in looks[id_]}
            for each in await subject_store.gathered(tx, list(by_id), list(actors)):
                found[each.into][_like(by_id[each.into], each)] = each
        return found

    async def _group(
        self,
        tx: Tx,
        row: Row,
        joined: Mapping[Subject, Joined],
        standing: Mapping[Subject, Stands],
    ) -> _Group:
        """Find out what is left of a notification, and whom it names then."""
        own = subject_of(row)
        gone = [each for subject, each in joined.items() if subject not in standing]
        head = Joined(row["id"], row["id"], row["actor_id"], row["event_id"])
        if own is None or own in standing:
            words = {} if own is None else standing[own].words
            return _Group(row, head, max(0, row["others"] - len(gone)), gone, words)
        after = UUID(int=0)
        while row["others"] and (
            some := await subject_store.following(tx, row["id"], after, SUCCESSORS)
        ):
            subjects = [_like(row, each) for each in some]
            found = await self._valid.standing(subjects)
            for subject, each in zip(subjects, some, strict=True):
                if subject in found:
                    others = max(0, row["others"] - 1 - len(gone))
                    return _Group(row, each, others, gone, found[subject].words)
                if each not in gone:
                    gone.append(each)
            after = some[-1].id
        return _Group(row, head, 0, gone, None)

    async def _edit(self, tx: Tx, groups: Sequence[_Group]) -> None:
        """Put those into new words that are to say something else, and tell everybody."""
        changing = [each for each in groups if _changes(each)]
        if not changing:
            return
        types = await self._types.known()
        who = {user for each in changing for user in (each.head.actor, each.row["user_id"])}
        profiles = await self._people.profiles([user for user in who if user is not None])
        new = [_reworded(each, types[each.row["type"]], profiles) for each in changing]
        await subject_store.change(tx, new)
        for each, one in zip(changing, new, strict=True):
            if each.is_other:
                await _take_over(tx, each)
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


async def _take_over(tx: Tx, group: _Group) -> None:
    """Have the notification belong to the event that it names now.

    The one that it named before has left, and may come again: its story is that it did.
    """
    old, new = group.row, group.head
    await tx.run(subject_store.LEAVE, [new.id])
    await tx.run(subject_store.SWAP_STORY, new.id, old["event_id"])
    await intake.rename(tx, {old["event_id"]: new.id, new.event_id: old["id"]})


def _like(row: Row, joined: Joined) -> Subject:
    """Return what an event stands on that joined a notification."""
    return Subject(row["subject_kind"], row["subject_item"], joined.actor, row["user_id"])


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


def _reworded(group: _Group, kind: Any, profiles: Mapping[UUID, Profile]) -> Notification:
    row, locale = group.row, group.row["locale"]
    metadata = _metadata.decode(row["metadata"]) | dict(group.words or {})
    actor = profiles.get(group.head.actor) if group.head.actor is not None else None
    reader = profiles.get(row["user_id"])
    values = {
        "actor.name": actor.name if actor else None,
        "actor.id": str(group.head.actor),
        "recipient.name": reader.name if reader else None,
        "event.type": row["type"],
        "event.id": group.head.event_id,
        "related_entity_id": row["related_entity_id"],
        "others": others_in(locale, group.others),
        "someone": someone(locale),
    }
    _, title, body = kind.worded(locale)
    if group.others:
        title = kind.titled_for_many(locale)
    return replace(
        notification(row),
        title=title.fill(values, metadata, MOST_TITLE),
        body=body.fill(values, metadata, MOST_BODY),
        metadata=Raw(_encode(metadata)),
        others=group.others,
        actor_id=group.head.actor,
        actor=shown(actor),
        event_id=group.head.event_id,
    )


def _said(row: Row, profiles: Mapping[UUID, Profile]) -> Said:
    actor = profiles.get(row["actor_id"]) if row["actor_id"] is not None else None
    name = actor.name if actor else None
    return Said(row["title"], row["body"], row["actor_id"], name, row["metadata"])
