"""A person's notifications: listed, counted, marked and removed, with every device told."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec
from msgspec.structs import replace

from nova.backbone.database import Database, Tx
from nova.features.notifications import boxes
from nova.features.notifications.actors import People, with_actors
from nova.features.notifications.events import NotificationsMarked, NotificationsRemoved
from nova.features.notifications.history_rewrite import retell
from nova.features.notifications.models import (
    Counts,
    Mark,
    Marked,
    Marking,
    MarksChanged,
    Notification,
    NotMarked,
    Removed,
    State,
)
from nova.features.notifications.store import CHANNEL
from nova.kernel.clock import Clock
from nova.kernel.errors import Conflict, Invalid, NotFound, problem_of
from nova.ports.database import Queries
from nova.web.cursors import Cursors
from nova.web.routes import Paged

NEWEST = 2**62
AT_ONCE = 1_000
"""Notifications of one look, when all are read."""
RETRACTED, WITHDRAWN = "retracted", "withdrawn"
TAKEN_BACK = frozenset({RETRACTED, WITHDRAWN})
"""Reasons for which nobody is to hear the words any more."""
LOOKED_AT = frozenset({Mark.SEEN, Mark.READ, Mark.ARCHIVE})
_encode = msgspec.json.Encoder().encode


class NoSuchNotification(NotFound):
    """There is no such notification, or it is not yours."""

    code = "no_such_notification"


class NoId(Invalid):
    """The id of a notification is a UUID; this is none."""

    code = "no_id"


class UnclearMark(Invalid):
    """Give exactly one of `ids`, `up_to` and `all`."""

    code = "unclear_mark"


class NoSuchEvent(NotFound):
    """No event with this id was accepted, or Nova no longer remembers it."""

    code = "no_such_event"
    hint = (
        "Ids of events are remembered for `notifications.dedupe_days`; later, the story of what "
        "is still in an inbox is told by the notification's id."
    )


class Undecided(Conflict):
    """The event was accepted a moment ago and has not been decided yet; nothing was changed."""

    code = "event_undecided"
    hint = "Try again after the number of seconds given."


class Inbox:
    """The inbox of everybody. Counts change in the transaction that changes what they count."""

    def __init__(self, db: Database, clock: Clock, people: People, cursors: Cursors[int]) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._cursors = cursors

    async def counts(self, user: UUID) -> Counts:
        return await boxes.read_counts(self._db, user)

    async def unread(self, users: Sequence[UUID]) -> Mapping[UUID, int]:
        """Return the unread counts of many, as the icons of their apps show them."""
        return await boxes.unread_of(self._db, users)

    async def one(self, user: UUID, id_: UUID) -> Notification:
        found = await boxes.one(self._db, user, id_)
        if found is None:
            raise NoSuchNotification
        [notification] = await with_actors(self._people, [found])
        return notification

    async def list(
        self,
        user: UUID,
        *,
        state: State = State.CURRENT,
        kind: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Paged[Notification]:
        """Return a page, newest first.

        It may be shorter than `limit`, or empty, while there is more: it looks through 10,000 only.
        """
        owner = f"{user} {state.value} {kind or ''}"
        before = self._cursors.open(owner, cursor) if cursor else NEWEST
        page = await boxes.page(self._db, user, state, kind, before=before, most=limit + 1)
        shown = await with_actors(self._people, page.found[:limit])
        if len(page.found) > limit:
            return Paged(shown, self._cursors.seal(owner, shown[-1].number))
        if page.floor <= 1 or (cursor is None and _is_all(page, state, kind)):
            return Paged(shown)
        return Paged(shown, self._cursors.seal(owner, page.floor))

    async def mark_one(self, user: UUID, id_: UUID, mark: Mark) -> Marked:
        """Mark one; it is fine if it is so marked already."""
        return await self.mark(user, Marking(mark=mark, ids=[id_]), strict=True)

    async def mark(self, user: UUID, marking: Marking, *, strict: bool = False) -> Marked:
        """Mark many. Unknown ids are refused when `strict`, else passed over."""
        if (marking.ids is not None) + (marking.up_to is not None) + marking.all != 1:
            raise UnclearMark
        marking, refused = _readable(marking)
        async with self._db.transaction() as tx:
            top = await boxes.lock(tx, user)
            if strict and (await boxes.present(tx, user, marking.ids or [])) == set():
                raise NoSuchNotification
            up_to = await self._reach(tx, user, marking, top)
            if up_to is None:  # never notified
                return Marked(changed=0, unseen=0, unread=0, refused=refused)
            return replace(await self._mark(tx, user, marking, up_to), refused=refused)

    async def _reach(self, tx: Tx, user: UUID, marking: Marking, top: int | None) -> int | None:
        """Return the number up to which is marked; what arrives later is not."""
        if marking.up_to is None:
            return top
        number = await boxes.number(tx, user, marking.up_to)
        if number is None:
            raise NoSuchNotification
        return number

    async def _mark(self, tx: Tx, user: UUID, marking: Marking, up_to: int) -> Marked:
        at = self._clock.now()
        changed = await boxes.mark(tx, user, marking.mark, marking.ids, up_to=up_to, at=at)
        if not changed:
            counts = await boxes.read_counts(tx, user)
        else:
            counts = await boxes.count(tx, user, changed)
            event = MarksChanged(
                mark=marking.mark,
                at=at,
                ids=None if marking.ids is None else [each.id for each in changed],
                up_to=up_to if marking.ids is None else None,
                unseen=counts.unseen,
                unread=counts.unread,
            )
            tx.publish(f"{CHANNEL}{user}", _encode(event))
            if marking.mark in LOOKED_AT:
                await tx.emit(
                    NotificationsMarked(
                        user=user, mark=marking.mark.value, ids=event.ids, up_to=event.up_to
                    )
                )
        return Marked(changed=len(changed), unseen=counts.unseen, unread=counts.unread)


class Removal:
    """Takes notifications away: at their owner's wish, and when their time is over."""

    def __init__(self, db: Database, clock: Clock, *, remembered_s: float) -> None:
        """The story of what is removed is kept while its event is younger than that."""
        self._db = db
        self._clock = clock
        self._remembered_s = remembered_s

    async def delete(self, user: UUID, id_: UUID) -> None:
        async with self._db.transaction() as tx:
            await boxes.lock(tx, user)
            gone = await self.remove(tx, [user], [id_], "deleted")
            if not gone:
                raise NoSuchNotification

    async def erase(self, tx: Tx, owners: Mapping[UUID, UUID]) -> None:
        """Take away what somebody did who was erased, by notification's id; no story is kept."""
        users = list({*owners.values()})
        await boxes.lock_many(tx, users)
        await self.remove(tx, users, list(owners), "erased")

    async def expire(self, most: int = 1_000) -> int:
        """Remove up to `most` whose time is over; return how many went."""
        due = await boxes.expired(self._db, self._clock.now(), most)
        if not due:
            return 0
        users = list({user for _, user in due})
        async with self._db.transaction() as tx:
            await boxes.lock_many(tx, users)
            gone = await self.remove(tx, users, [id_ for id_, _ in due], "expired")
        return sum(len(some) for some in gone.values())

    async def remove(
        self, tx: Tx, users: Sequence[UUID], ids: Sequence[UUID], reason: str
    ) -> Mapping[UUID, Sequence[boxes.Changed]]:
        """Remove some of these users, whose boxes are locked, and tell everybody."""
        now = self._clock.now()
        since = now if reason == "erased" else now - timedelta(seconds=self._remembered_s)
        gone = await boxes.remove(tx, users, ids, reason, since)
        if gone:
            counts = await boxes.count_many(tx, gone)
            for user, some in gone.items():
                event = Removed(
                    ids=[each.id for each in some],
                    unseen=counts[user].unseen,
                    unread=counts[user].unread,
                )
                if reason in TAKEN_BACK:
                    await retell(tx, user, dict.fromkeys(event.ids))
                tx.publish(f"{CHANNEL}{user}", _encode(event))
                await tx.emit(NotificationsRemoved(user=user, ids=event.ids, reason=reason))
        return gone


def _is_all(page: boxes.Page, state: State, kind: str | None) -> bool:
    """Tell whether a first page has all that there is, by the counts."""
    counts = {State.UNSEEN: page.unseen, State.UNREAD: page.unread}
    return kind is None and counts.get(state) == len(page.found)


def _readable(marking: Marking) -> tuple[Marking, list[NotMarked]]:
    """Return the marking with those of its ids that are some, and the others."""
    if marking.ids is None:
        return marking, []
    ids: list[UUID] = []
    refused: list[NotMarked] = []
    for index, each in enumerate(marking.ids):
        try:
            ids.append(msgspec.convert(each, UUID))
        except msgspec.ValidationError:
            refused.append(NotMarked(index=index, problem=problem_of(NoId())))
    return replace(marking, ids=ids), refused


async def everything(db: Queries, people: People, user: UUID) -> list[Notification]:
    """Return all of a user's notifications, oldest first, for the user's own copy."""
    found: list[Notification] = []
    before = NEWEST
    while before > 1:
        page = await boxes.page(db, user, State.ALL, None, before=before, most=AT_ONCE)
        found += await with_actors(people, page.found)
        before = page.found[-1].number if len(page.found) == AT_ONCE else page.floor
    return found[::-1]
