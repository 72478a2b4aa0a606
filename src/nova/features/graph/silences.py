"""Who does not want to hear of whom: what every other feature asks before it reaches somebody."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from nova.features.graph import store_silences
from nova.features.graph.models import Tie
from nova.kernel.clock import Clock
from nova.kernel.recent import Changes, Recent, hear
from nova.ports.database import Queries

SIGNAL = "silence"


class _Seen(Struct, frozen=True):
    mark: int


class Silences:
    """Answers for many pairs at once, and almost always without asking the database.

    Remembered is only who has nothing against anybody; a signal that is sent with the block or
    mute ends that in every process. Pairs of the others are looked up each time.
    """

    def __init__(self, db: Queries, clock: Clock, *, remembered: int = 200_000) -> None:
        self._db = db
        self._clock = clock
        self._content: Recent[UUID, _Seen] = Recent(remembered)
        self.changes: Changes[UUID] = Changes(remembered)

    def forget(self, payload: str | None) -> None:
        """Look at a person anew; None means that some signals may have been missed."""
        hear(self.changes, payload)

    async def blocked(self, pairs: Sequence[tuple[UUID, UUID]]) -> Mapping[tuple[UUID, UUID], str]:
        """Return `blocked` or `muted` for those (owner, other) of whom the owner won't hear."""
        asked = [pair for pair in pairs if not self._is_content(pair[0])]
        if not asked:
            return {}
        mark = self.changes.mark()
        rows = await self._db.fetch(
            store_silences.ASK,
            [owner for owner, _ in asked],
            [other for _, other in asked],
            self._clock.now(),
        )
        for owner in {owner for owner, _ in asked} - {r["owner"] for r in rows if r["silences"]}:
            self._content.put(owner, _Seen(mark))
        return {
            (row["owner"], row["other"]): "blocked" if Tie.BLOCK in row["kinds"] else "muted"
            for row in rows
            if row["kinds"]
        }

    def _is_content(self, owner: UUID) -> bool:
        seen = self._content.get(owner)
        return seen is not None and not self.changes.since(seen.mark, owner)
