"""Keeps an index outside of this process in step with the truth."""

from collections.abc import Sequence
from typing import Any

from nova.features.graph.events import EdgesImported, PersonForgotten, RebuildAsked
from nova.features.graph.feed import Feed
from nova.kernel.events import Heard
from nova.ports.checkpoint import Checkpoint
from nova.ports.database import Queries
from nova.ports.graph import KeptGraphIndex


class Mirrored:
    """What the log feeds; whatever it hears of, it looks up in the truth."""

    def __init__(self, db: Queries, index: KeptGraphIndex) -> None:
        self._feed = Feed(db, index)
        self._index = index

    async def checkpoint(self) -> Checkpoint | None:
        return await self._index.checkpoint()

    async def fill(self, at: Checkpoint) -> None:
        await self.rebuild(at)

    async def rebuild(self, at: Checkpoint, *, empty: bool = True, force: bool = False) -> None:
        """Fill the index; `empty` forgets first what was in it, `force` displaces who does so."""
        await self._index.begin(empty=empty, force=force)
        await self._feed.fill()
        await self._index.finish(at)

    async def hear(self, heard: Sequence[Heard[Any]], *, after: Checkpoint, to: Checkpoint) -> None:
        facts = [each.fact for each in heard]
        gone = [fact.number for fact in facts if isinstance(fact, PersonForgotten)]
        # An import's edges are in no fact. What the index has of them already is only compared.
        imported = any(isinstance(fact, EdgesImported) for fact in facts)
        asked = any(isinstance(fact, RebuildAsked) for fact in facts)
        if imported or asked:
            for number in gone:
                await self._index.forget(number)
            await self.rebuild(to, empty=asked)
        else:
            await self._index.bring(await self._feed.now(facts), gone, after=after, to=to)
