"""A consumer's cursors in a topic, and the fence under which this process may move them."""

from collections.abc import Sequence

from nova.backbone.cursor_commit import CursorCommit
from nova.backbone.neighbours import Neighbours
from nova.kernel.events import Partition, Position
from nova.ports.database import Pool
from nova.ports.event_log import Vector

# Cursors without a topic are of the time when a consumer had one for all topics together.
ENSURE = """
insert into backbone.cursors (consumer, topic, partition, position)
select $1, $2, n, coalesce(
    (select position from backbone.cursors where consumer = $1 and topic = '' and partition = n), ''
)
from unnest($3::smallint[]) as w (n)
on conflict (consumer, topic, partition) do nothing
"""

RELEASE = """
update backbone.cursors set owner = null
where consumer = $1 and topic = $2 and owner = $3 and partition = any($5::smallint[])
    and partition <> all($4::smallint[])
"""

# Waits for a transaction of the previous owner that is just moving these cursors, and then
# returns where it put them; one that comes later finds another fence.
CLAIM = """
with token as materialized (select nextval('backbone.fences') as fence)
update backbone.cursors c set owner = $3, fence = token.fence
from token
where consumer = $1 and topic = $2 and partition = any($4::smallint[]) and (
    owner is null or owner = $3
    or not exists (select from backbone.processes p where p.id = c.owner and p.expires > now())
)
returning partition, position, token.fence
"""

REWIND = """
update backbone.cursors set position = '', fence = nextval('backbone.fences') where consumer = $1
"""


class Ownership:
    """The partitions of a topic that this process owns for a consumer, and where it is in each."""

    def __init__(
        self,
        pool: Pool,
        neighbours: Neighbours,
        consumer: str,
        *,
        partitions: Sequence[Partition],
        among: Sequence[Partition],
    ) -> None:
        """`partitions` are all of the topic; those that are not `among` are another reader's."""
        self._pool = pool
        self._neighbours = neighbours
        self._consumer = consumer
        self._topic = partitions[0].topic
        self._partitions = partitions
        self._among = among
        self._view = -1
        self._fence = 0
        self._stored: dict[Partition, Position] = {}
        self.at: Vector = {}
        """Where this process is in the partitions that it owns."""

    @property
    def is_whole(self) -> bool:
        """Whether this process owns all that it ever could, as far as it knows."""
        return self.is_settled and len(self.at) == len(self._among)

    @property
    def is_settled(self) -> bool:
        """Whether nobody else still owns what this process should own, as far as it knows."""
        return self._view == self._neighbours.view

    def doubt(self) -> None:
        """Look again before the next step: a transaction's outcome is unknown, or was a refusal."""
        self._view = -1

    async def settle(self) -> None:
        """Own what this process should own now, as far as no living process still does."""
        if self.is_settled:
            return
        view = self._neighbours.view
        shared = self._neighbours.share(self._consumer, self._partitions)
        mine = _numbers([each for each in shared if each in self._among])
        about = (self._consumer, self._topic)
        await self._pool.run(ENSURE, *about, _numbers(self._partitions))
        await self._pool.run(RELEASE, *about, self._neighbours.id, mine, _numbers(self._among))
        rows = await self._pool.fetch(CLAIM, *about, self._neighbours.id, mine)
        self._stored = {
            Partition(self._topic, row["partition"]): Position(row["position"]) for row in rows
        }
        self.at = dict(self._stored)
        self._fence = rows[0]["fence"] if rows else 0
        if len(rows) == len(mine):
            self._view = view

    def commit(self, to: Vector) -> CursorCommit:
        """Return what moves the cursors, to be applied in the transaction of the effects."""
        return CursorCommit(self._consumer, self._topic, self._fence, to)

    def moved(self, to: Vector) -> None:
        """Note that the transaction which moved the cursors is committed."""
        self._stored.update(to)
        self.at = {**self.at, **to}

    def skipped(self, to: Vector) -> None:
        """Note that nothing up to there is for this consumer; stored only now and then."""
        self.at = {**self.at, **to}

    async def store(self) -> None:
        """Store what was skipped, so that retention need not keep it."""
        late = {each: at for each, at in self.at.items() if self._stored[each] != at}
        if late:
            await self.commit(late).apply(self._pool)
            self.moved(late)


def _numbers(partitions: Sequence[Partition]) -> list[int]:
    return [each.number for each in partitions]
