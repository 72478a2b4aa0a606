"""The event log: facts in topics, each read by partition, from a position on."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from nova.kernel.events import Fact, Partition, Position, Record
from nova.ports.database import Queries

Vector = Mapping[Partition, Position]
"""Where a reader stands: a position for each partition."""


class Batch(NamedTuple):
    """What one read of the log returned."""

    records: Sequence[Record]
    to: Vector
    """Where the partitions that were read stand after these records."""
    is_last: bool
    """Whether there was nothing more to read, in any of the partitions."""


class Forgotten(NamedTuple):
    """What an erasure removed from a part of the log."""

    records: Sequence[UUID]
    events: Sequence[str]
    """Ids of the app's events among the records."""
    following: int | None
    """Where to go on; None when nothing is left to look at."""


class LogReader(Protocol):
    """Reads the facts of some types. Used by one task."""

    async def read(self, after: Vector, most: int) -> Batch:
        """Return the next committed records of these partitions, at most `most`.

        Records of one key come in the order of their commits. Partitions that are behind the
        others may be read alone. Raises Unavailable.
        """

    async def wait(self) -> None:
        """Wait until another read is worth it: at most some minutes."""

    @property
    def is_quiet(self) -> bool:
        """Whether all was read and handled that this process is known to have to read."""

    def wake(self) -> None:
        """End the present wait, or else the next one."""


class EventLog(Protocol):
    """What was committed, in an order that all readers share for each key."""

    async def start(self, others: Callable[[], bool]) -> None:
        """Begin to hear of commits. `others` tells whether there are other processes."""

    async def run_once(self) -> None:
        """Tell other processes what this one committed, and look for what they did, or wait."""

    def partitions(self, topic: str) -> Sequence[Partition]:
        """Return all partitions of a topic."""

    def reader(
        self,
        kinds: Sequence[type[Fact]],
        *,
        numbers: Collection[int] | None = None,
        consumer: str = "",
    ) -> LogReader:
        """Return a reader of facts of these types, in the topics that they belong to.

        What its `consumer` handled in the transaction that appended it is left out.

        `numbers` are those of the partitions that it will read, if not all: facts in others need
        not wake it.
        """

    def committed(self, facts: Sequence[Fact]) -> None:
        """Wake the readers of these facts, which this process has just committed."""

    async def end(self, topics: Collection[str]) -> Vector:
        """Return a position in each partition before everything that is not committed yet.

        What was committed before the call may still come after it.
        """

    async def identity(self) -> str:
        """Return which log this is: positions mean nothing in another, such as a restored copy."""

    async def now(self) -> datetime:
        """Return the time by the log's clock, which also sets its records' times."""

    async def maintain(self) -> None:
        """Drop what is older than is kept, and make room for what comes. Once an hour will do."""

    async def moment(self) -> str:
        """Return a mark that comes after everything that was committed so far."""

    async def is_heard(self, consumer: str, types: Sequence[str], before: str) -> bool:
        """Tell whether a consumer has handled all facts of these types before a `moment`."""

    async def erase(
        self, db: Queries, words: Sequence[str], keys: Sequence[str], *, before: str, place: int
    ) -> Forgotten:
        """Remove records with such a word or key, of one part of the log.

        Readers go by what they find after their position, so a record less is no gap to them.
        """
