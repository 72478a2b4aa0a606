"""Who does not want to hear of whom: what every other feature asks before it reaches somebody."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from msgspec import Struct

from nova.features.graph.models import Tie
from nova.kernel.clock import Clock
from nova.kernel.recent import Changes, Recent, hear
from nova.ports.database import Queries

SIGNAL = "silence"

# Of each pair, what the first has against the second; and whether the first has anything
# against anybody at all, which is what can be remembered. In subqueries, the lists are no reason
# for PostgreSQL to plan anew each time.
ASK = """
select w.owner, w.other,
       array(select t.kind from graph.ties t join graph.people o on o.number = t.other
              where t.person = p.number and o.user_id = w.other and t.kind in ('block', 'mute')
                and (t.until is null or t.until > $3)) as kinds,
       exists (select from graph.ties t
                where t.person = p.number and t.kind in ('block', 'mute')) as silences
  from unnest((select $1::uuid[]), (select $2::uuid[])) as w (owner, other)
  join graph.people p on p.user_id = w.owner
"""


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
            ASK, [owner for owner, _ in asked], [other for _, other in asked], self._clock.now()
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
