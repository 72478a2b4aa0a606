"""The serving index of the graph: a projection of who follows whom, made for walking."""

from collections.abc import Collection, Sequence
from typing import Protocol

from msgspec import Struct

from nova.kernel.errors import Unavailable
from nova.ports.checkpoint import Checkpoint


class GraphUnavailable(Unavailable):
    """The graph index does not answer at the moment, or is being filled."""

    code = "graph_unavailable"


class GraphFull(GraphUnavailable):
    """The graph index needs more memory than it may take, and was emptied."""

    code = "graph_full"


class Displaced(GraphUnavailable):
    """Another process writes to the graph index at the moment; nothing was written."""

    code = "graph_displaced"


class Edge(Struct, frozen=True, gc=False):
    """Whether one person follows another now; people are numbers, as in the truth."""

    follower: int
    followee: int
    follows: bool


class Candidate(Struct, frozen=True):
    """Somebody whom a person may know."""

    number: int
    score: float
    by: Sequence[int]
    """Some of those whom the person follows and who follow the candidate."""
    more: int
    """How many more there are."""


class GraphWalks(Protocol):
    """Walks along follows. Raises GraphUnavailable when it cannot."""

    async def suggest(
        self, number: int, *, hidden: Collection[int], most: int
    ) -> Sequence[Candidate]:
        """Return people two steps away, best first; popular ones when there are too few.

        Never the person, whom the person follows, or who is `hidden`.
        """

    async def mutuals(self, number: int, *, most: int) -> Sequence[int]:
        """Return whom a person follows and who follows back, the newest of these follows first."""

    async def common(self, one: int, other: int, *, most: int) -> Sequence[int]:
        """Return whom both follow, whom the first one followed last first."""

    async def path(
        self, start: int, end: int, *, around: Collection[int], hops: int
    ) -> Sequence[int] | None:
        """Return a shortest way along follows, both ends included, of at most so many hops.

        It leads through nobody of `around`. None when there is no such way.
        """


class GraphIndex(GraphWalks, Protocol):
    """Answers within microseconds; may be dropped and filled again at any time."""

    async def fill(self, number: int, followees: bytes, followers: int) -> None:
        """Say whom a person follows, the newest last, and how many follow the person.

        `followees` are 32-bit numbers in the machine's own order.
        """

    async def apply(self, edges: Sequence[Edge]) -> None:
        """Bring edges up to date; the same one twice does no harm."""

    async def forget(self, number: int) -> None:
        """Leave a person out of every answer from now on."""

    async def clear(self) -> None: ...


class KeptGraphIndex(GraphIndex, Protocol):
    """An index outside of this process, which keeps its checkpoint beside its content.

    What `bring` and `fill` write and how far they got is durable together, or not at all; who
    goes on from a checkpoint where the index no longer stands is refused with Displaced. So facts
    may come twice, late, or from two processes at once.
    """

    async def checkpoint(self) -> Checkpoint | None:
        """Return how far it has been brought; None when it has to be filled."""

    async def begin(self, *, empty: bool, force: bool = False) -> None:
        """Begin to fill; it answers nobody until `finish`. `empty` forgets what was in it.

        Raises Displaced while another process fills it, unless by `force`.
        """

    async def finish(self, at: Checkpoint) -> None:
        """Say that everything up to a checkpoint has been filled in."""

    async def bring(
        self, edges: Sequence[Edge], gone: Sequence[int], *, after: Checkpoint, to: Checkpoint
    ) -> None:
        """Bring edges up to date and leave people out for ever, and go on to another checkpoint.

        Raises Displaced, and writes nothing of the edges, unless it stands at `after`.
        """

    async def ping(self) -> str:
        """Return what is there, and how current it is."""
