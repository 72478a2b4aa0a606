"""Whether what was done still stands, and is for the eyes of whom it would be told."""

from collections.abc import Sequence
from uuid import UUID

from nova.features.posts import store
from nova.features.posts.rules import open_to
from nova.features.posts.views import Sights
from nova.ports.database import Queries

Deed = tuple[str, UUID, UUID, UUID]
"""`like`, `comment` or `mention`; the post or comment; who did it; whom it would be told."""


class Standing:
    """Answers for many deeds at once, from the truth."""

    def __init__(self, db: Queries, sights: Sights) -> None:
        self._db = db
        self._sights = sights

    async def gone(self, deeds: Sequence[Deed]) -> set[Deed]:
        """Return those that were taken back, or that the recipient may not see."""
        if not deeds:
            return set()
        holds = await store.standing(self._db, deeds)
        pairs = {(deeds[at][3], author) for at, (author, _) in holds.items()}
        seen = await self._sights.seen([pair for pair in pairs if pair[0] != pair[1]])
        open_ = {
            deeds[at]
            for at, (author, visibility) in holds.items()
            if deeds[at][3] == author or visibility in open_to(seen[deeds[at][3], author])
        }
        return set(deeds) - open_
