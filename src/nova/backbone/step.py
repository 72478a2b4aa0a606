"""How far a consumer got in a batch: moved in the transaction of the batch's effects."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from nova.ports.database import Queries

MOVE = """
update backbone.cursors set xact = $3::text::xid8, position = $4
where consumer = $1 and fence = $2 and partition = any($5::smallint[])
"""


OVERTAKEN = "NV001"
"""What `backbone.publish` objects with then."""


class Overtaken(Exception):
    """Another process owns these partitions now; nothing of this transaction may stay."""


class Step(NamedTuple):
    """A consumer read these partitions up to there, under this fence."""

    consumer: str
    fence: int
    xact: int
    position: int
    partitions: Sequence[int]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The parameters of MOVE."""
        return self.consumer, self.fence, str(self.xact), self.position, self.partitions

    async def take(self, queries: Queries) -> None:
        """Move the cursors. Raises Overtaken."""
        if await queries.run(MOVE, *self.arguments) != len(self.partitions):
            raise Overtaken


NO_STEP = (None, None, None, None, None)
