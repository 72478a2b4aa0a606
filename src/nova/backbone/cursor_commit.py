"""Where a consumer stands after a batch: committed in the transaction of the batch's effects."""

from typing import Any, NamedTuple

from nova.ports.database import Queries
from nova.ports.event_log import Vector

MOVE = """
update backbone.cursors c set position = w.position
from unnest($4::smallint[], $5::text[]) as w (partition, position)
where c.consumer = $1 and c.topic = $2 and c.fence = $3 and c.partition = w.partition
"""

FENCED = "NV001"
"""The error that `backbone.publish` raises then."""


class Fenced(Exception):
    """Another process owns these partitions now; nothing of this transaction may stay."""


class CursorCommit(NamedTuple):
    """A consumer read partitions of a topic up to there, under this fence."""

    consumer: str
    topic: str
    fence: int
    to: Vector

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The parameters of MOVE."""
        numbers = [each.number for each in self.to]
        return self.consumer, self.topic, self.fence, numbers, list(self.to.values())

    async def apply(self, queries: Queries) -> None:
        """Move the cursors. Raises Fenced."""
        if await queries.run(MOVE, *self.arguments) != len(self.to):
            raise Fenced


NONE = (None, None, None, None, None)
"""In place of the parameters, where no cursor moves."""
