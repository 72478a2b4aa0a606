"""The event log in PostgreSQL: a table that is only appended to, read by committed transactions."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from nova.adapters.postgres import log_erasure
from nova.adapters.postgres.log_retention import LogRetention
from nova.adapters.postgres.wakeup import Wakeup, Wakeups
from nova.backbone.outbox import PARTITIONS
from nova.kernel.events import Fact, Partition, Position, Record
from nova.ports.database import Pool, Queries
from nova.ports.event_log import Batch, Forgotten, Vector

# Everything below the snapshot's xmin is decided: committed and visible, or rolled back. Above it,
# a transaction that is still open may yet commit rows that sort before ones already visible.
# Each topic is read by itself, along its part of the index: a flood on another one costs nothing.
# The limit is a subquery so that the planner cannot compare it with its poor guess of how many
# rows the filters leave: it would sort a whole backlog for each batch instead of using the index.
READ = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax, e.*
from unnest($7::text[]) as read (topic) left join lateral (
    select position, xact::text::bigint as xact, topic, key, partition, id, type, payload, trace, at
    from backbone.event_log
    where topic = read.topic and xact < pg_snapshot_xmin(pg_current_snapshot())
        and (event_log.xact, position) > ($1::text::xid8, $2::bigint)
        and (event_log.xact, position) <= ($3::text::xid8, $4::bigint)
        and partition = any($5::smallint[]) and type = any($6::text[])
        and heard_by is distinct from $9::text
    order by event_log.xact, position
    limit (select $8::bigint)
) e on true
order by e.xact, e.position
limit (select $8::bigint)
"""

END = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"

# A restored copy, an upgraded cluster and a standby that took over may lack what a reader has seen,
# so each is another log.
IDENTITY = """
select (select system_identifier from pg_control_system())::text
    || '/' || (select oid from pg_database where datname = current_database())
    || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
"""

NOW = "select now()"


class Place(NamedTuple):
    """A position, in the order in which records are read."""

    xact: int
    number: int

    @property
    def position(self) -> Position:
        return Position(f"{self.xact}/{self.number}")


FIRST = Place(0, 0)
LAST = Place(2**64 - 1, 2**63 - 1)


def place(position: Position) -> Place:
    """Read a position of this log."""
    xact, _, number = position.partition("/")
    return Place(int(xact), int(number)) if number else FIRST


class PostgresEventLog:
    """Reads what was committed. Facts are appended by the transactions that they belong to."""

    def __init__(self, pool: Pool, *, keep: timedelta, wait_s: float) -> None:
        """`keep` is how long records are kept, `wait_s` the time between looks for more of them."""
        self.wakeups = Wakeups(pool, wait_s=wait_s)
        self._pool = pool
        self._retention = LogRetention(pool, keep=keep)
        self.maintain = self._retention.maintain

    async def start(self, others: Callable[[], bool]) -> None:
        await self._retention.prepare()
        await self.wakeups.start(others)

    async def run_once(self) -> None:
        await self.wakeups.run_once()

    def partitions(self, topic: str) -> Sequence[Partition]:
        return [Partition(topic, number) for number in range(PARTITIONS)]

    def reader(
        self,
        kinds: Sequence[type[Fact]],
        *,
        numbers: Collection[int] | None = None,
        consumer: str = "",
    ) -> "PostgresLogReader":
        return PostgresLogReader(self._pool, kinds, self.wakeups.reader(kinds, numbers), consumer)

    def committed(self, facts: Sequence[Fact]) -> None:
        self.wakeups.committed(facts)

    async def end(self, topics: Collection[str]) -> Vector:
        position = Place(await self._pool.value(END), LAST.number).position
        return {each: position for topic in topics for each in self.partitions(topic)}

    async def identity(self) -> str:
        found: str = await self._pool.value(IDENTITY)
        return found

    async def now(self) -> datetime:
        found: datetime = await self._pool.value(NOW)
        return found

    async def moment(self) -> str:
        return await log_erasure.moment(self._pool)

    async def is_heard(self, consumer: str, types: Sequence[str], before: str) -> bool:
        return await log_erasure.is_heard(self._pool, consumer, types, before)

    async def erase(
        self, db: Queries, words: Sequence[str], keys: Sequence[str], *, before: str, place: int
    ) -> Forgotten:
        return await log_erasure.erase(db, words, keys, before=before, block=place)


class PostgresLogReader:
    """Reads in the order of (transaction, number): those partitions first that are behind."""

    def __init__(
        self, pool: Pool, kinds: Sequence[type[Fact]], wakeup: Wakeup, consumer: str
    ) -> None:
        self.wake = wakeup.wake
        self._consumer = consumer
        self._pool = pool
        self._types = [kind.__name__ for kind in kinds]
        self._wakeup = wakeup
        self._xmin = self._xmax = 0

    async def read(self, after: Vector, most: int) -> Batch:
        self._wakeup.answer()
        self._xmin = self._xmax = 0
        if not after:
            return Batch((), {}, True)
        partitions, behind, ahead = _laggards(after)
        rows = await self._pool.fetch(
            READ,
            str(behind.xact),
            behind.number,
            str(ahead.xact),
            ahead.number,
            sorted({each.number for each in partitions}),
            self._types,
            sorted({each.topic for each in partitions}),
            most,
            self._consumer,
        )
        first = rows[0]
        records = [
            Record(Place(xact, number).position, *rest)
            for _, _, number, xact, *rest in (row.values() for row in rows)
            if number is not None  # as in a topic where nothing was found
        ]
        if len(records) == most:
            to = place(records[-1].position)
        else:
            to = min(ahead, max(behind, Place(first["xmin"] - 1, LAST.number)))
        is_last = len(records) < most and ahead == LAST
        if is_last:
            self._xmin, self._xmax = first["xmin"], first["xmax"]
        return Batch(records, dict.fromkeys(partitions, to.position), is_last)

    @property
    def is_quiet(self) -> bool:
        return self._wakeup.is_quiet

    async def wait(self) -> None:
        await self._wakeup.wait(self._xmin, self._xmax)


def _laggards(after: Vector) -> tuple[Sequence[Partition], Place, Place]:
    """Return the partitions furthest behind, where they are, and where the next ones are.

    After a takeover partitions may stand in different places.
    """
    if len(set(after.values())) == 1:
        return list(after), place(next(iter(after.values()))), LAST
    places = {each: place(position) for each, position in after.items()}
    behind = min(places.values())
    topic = next(each.topic for each, at in places.items() if at == behind)
    partitions = [each for each, at in places.items() if at == behind and each.topic == topic]
    return partitions, behind, min((at for at in places.values() if at > behind), default=LAST)
