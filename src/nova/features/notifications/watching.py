"""What operators watch: the newest events with what became of each, and how many came how far."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Protocol
from uuid import UUID

from msgspec import Meta, Struct

from nova.features.notifications import store_watching
from nova.features.notifications.models import Profile
from nova.features.notifications.traces import REMOVED
from nova.kernel.clock import Clock
from nova.kernel.ids import least_id
from nova.ports.database import Queries, Row
from nova.web.cursors import Cursors
from nova.web.routes import Paged

NEWEST = UUID(int=2**128 - 1)
MOST_COUNTED = 100_000
"""Of stored ones, and of others: beyond that, a funnel counts the newest alone."""

# Ids sort by birth, so both tables are read from their newest end.
NEWEST_OF_BOTH = """
(select id, event_id, type, accepted_at, user_id, user_id::text as recipient, title,
        null::text as reason
   from notifications.inbox where id < $1 order by id desc limit $2)
union all
(select id, event_id, type, accepted_at, user_id, recipient, null, reason
   from notifications.suppressed where id < $1 order by id desc limit $2)
order by id desc limit $2
"""


class People(Protocol):
    """Who is who."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...


class Tail(Struct, frozen=True, kw_only=True):
    """How much of the tail."""

    limit: Annotated[int, Meta(ge=1, le=200)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event, and what became of it."""

    event_id: str
    """The sender's id of the event."""
    notification: UUID
    """The id of its notification."""
    type: str
    """The type of the event."""
    recipient: str
    """Nova's id of the person, or what the event said when nobody has that id."""
    name: str | None = None
    """The recipient's."""
    at: datetime
    """When it was accepted."""
    outcome: str
    """What became of it: `stored`, `suppressed` or `removed`."""
    title: str | None = None
    """The title, where one was made."""
    reason: str | None = None
    """Why it was suppressed: a word that programs can rely on."""


class Stretch(Struct, frozen=True, kw_only=True):
    """The last so many hours."""

    hours: Annotated[int, Meta(ge=1, le=168)] = 24
    """How many hours to look back."""


class Funnel(Struct, frozen=True, kw_only=True):
    """How far events came in the app; at most the newest 100,000 of each end are counted."""

    since: datetime
    """From when on events are counted."""
    decided: int
    """How many were decided."""
    stored: int
    """How many came into an inbox."""
    seen: int
    """How many of these were seen."""
    read: int
    """How many of these were read."""
    suppressed: Mapping[str, int]
    """By reason."""
    removed: Mapping[str, int]
    """Stored, and then taken back, deleted or expired; by reason."""


class Watching:
    """Reads the newest; nothing is kept for it."""

    def __init__(self, db: Queries, clock: Clock, people: People, cursors: Cursors[UUID]) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._cursors = cursors

    async def tail(self, which: Tail) -> Paged[Told]:
        """Return decided events, the newest first; what still waits is not among them."""
        before = self._cursors.open("", which.cursor) if which.cursor else NEWEST
        rows = await self._db.fetch(NEWEST_OF_BOTH, before, which.limit + 1)
        users = {row["user_id"] for row in rows if row["user_id"] is not None}
        known = await self._people.profiles(list(users))
        page = [_told(row, known.get(row["user_id"])) for row in rows[: which.limit]]
        more = len(rows) > which.limit
        return Paged(page, self._cursors.seal("", page[-1].notification) if more else None)

    async def funnel(self, hours: int) -> Funnel:
        since = self._clock.now() - timedelta(hours=hours)
        first = least_id(since)
        [stored] = await self._db.fetch(store_watching.STORED, first, MOST_COUNTED)
        rows = await self._db.fetch(store_watching.SUPPRESSED, first, MOST_COUNTED)
        reasons = {row["reason"]: row["count"] for row in rows}
        removed = {name: count for name, count in reasons.items() if name in REMOVED}
        return Funnel(
            since=since,
            decided=stored["stored"] + sum(reasons.values()),
            stored=stored["stored"] + sum(removed.values()),
            seen=stored["seen"],
            read=stored["read"],
            suppressed={name: count for name, count in reasons.items() if name not in removed},
            removed=removed,
        )


def _told(row: Row, profile: Profile | None) -> Told:
    reason = row["reason"]
    outcome = "stored" if reason is None else "removed" if reason in REMOVED else "suppressed"
    return Told(
        event_id=row["event_id"],
        notification=row["id"],
        type=row["type"],
        recipient=row["recipient"],
        name=profile.name if profile is not None else None,
        at=row["accepted_at"],
        outcome=outcome,
        title=row["title"],
        reason=reason,
    )
