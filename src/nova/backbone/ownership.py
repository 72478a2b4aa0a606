"""A consumer's cursors, and the fence under which this process may move them."""

from collections.abc import Sequence

from nova.backbone.log import BEGINNING, END, Cursor
from nova.backbone.neighbours import Neighbours
from nova.backbone.outbox import PARTITIONS
from nova.backbone.step import Step
from nova.ports.database import Pool

ENSURE = """
insert into backbone.cursors (consumer, partition)
select $1, generate_series(0, $2 - 1) on conflict (consumer, partition) do nothing
"""

RELEASE = """
update backbone.cursors set owner = null
where consumer = $1 and owner = $2 and partition = any($4::smallint[])
    and partition <> all($3::smallint[])
"""

# Waits for a transaction of the previous owner that is just moving these cursors, and then
# returns where it put them; one that comes later finds another fence.
CLAIM = """
with token as materialized (select nextval('backbone.fences') as fence)
update backbone.cursors c set owner = $2, fence = token.fence
from token
where consumer = $1 and partition = any($3::smallint[]) and (
    owner is null or owner = $2
    or not exists (select from backbone.processes p where p.id = c.owner and p.expires > now())
)
returning partition, xact::text::bigint as xact, position, token.fence
"""

REWIND = """
update backbone.cursors set xact = '0', position = 0, fence = nextval('backbone.fences')
where consumer = $1
"""


class Ownership:
    """The partitions of one consumer that this process owns, and where it is in each."""

    def __init__(
        self,
        pool: Pool,
        neighbours: Neighbours,
        consumer: str,
        *,
        among: Sequence[int] = range(PARTITIONS),
    ) -> None:
        """Others than those `among` are another reader's affair."""
        self._pool = pool
        self._neighbours = neighbours
        self._consumer = consumer
        self._among = list(among)
        self._view = -1
        self._fence = 0
        self._at: dict[int, Cursor] = {}
        self._stored: dict[int, Cursor] = {}

    @property
    def is_whole(self) -> bool:
        """Whether this process owns all that it ever could, as far as it knows."""
        return self._view == self._neighbours.view and len(self._at) == len(self._among)

    def doubt(self) -> None:
        """Look again before the next step: a transaction's outcome is unknown, or was a refusal."""
        self._view = -1

    async def settle(self) -> None:
        """Own what this process should own now, as far as no living process still does."""
        if self._view == self._neighbours.view:
            return
        view = self._neighbours.view
        mine = [each for each in self._neighbours.share(self._consumer) if each in self._among]
        await self._pool.run(ENSURE, self._consumer, PARTITIONS)
        await self._pool.run(RELEASE, self._consumer, self._neighbours.id, mine, self._among)
        rows = await self._pool.fetch(CLAIM, self._consumer, self._neighbours.id, mine)
        self._at = {row["partition"]: Cursor(row["xact"], row["position"]) for row in rows}
        self._stored = dict(self._at)
        self._fence = rows[0]["fence"] if rows else 0
        if len(rows) == len(mine):
            self._view = view

    def next(self) -> tuple[Sequence[int], Cursor, Cursor]:
        """Return the partitions furthest behind, where they are, and where the others are.

        After a takeover partitions may stand in different places; the laggards catch up first.
        """
        if not self._at:
            return (), BEGINNING, BEGINNING
        behind = min(self._at.values())
        partitions = [each for each, cursor in self._at.items() if cursor == behind]
        ahead = min((cursor for cursor in self._at.values() if cursor > behind), default=END)
        return partitions, behind, ahead

    def step(self, partitions: Sequence[int], to: Cursor) -> Step:
        """Return the step to take inside the transaction of the effects."""
        return Step(self._consumer, self._fence, to.xact, to.position, partitions)

    def moved(self, partitions: Sequence[int], to: Cursor) -> None:
        """Note that the transaction which moved them is committed."""
        self._at.update(dict.fromkeys(partitions, to))
        self._stored.update(dict.fromkeys(partitions, to))

    def skipped(self, partitions: Sequence[int], to: Cursor) -> None:
        """Note that nothing up to there is for this consumer; stored only now and then."""
        self._at.update(dict.fromkeys(partitions, to))

    async def store(self) -> None:
        """Store what was skipped, so that retention need not keep it."""
        for cursor in set(self._at.values()):
            late = [
                each
                for each, at in self._at.items()
                if at == cursor and self._stored[each] != cursor
            ]
            if late:
                await self.step(late, cursor).take(self._pool)
                self.moved(late, cursor)
