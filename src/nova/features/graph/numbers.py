"""Who is who among the numbers that stand for people in edges: remembered, asked for together."""

from collections.abc import Sequence
from uuid import UUID

from nova.features.graph import store_reads
from nova.features.graph.store_reads import Standing
from nova.kernel.batching import Batcher
from nova.kernel.recent import Recent
from nova.ports.database import Queries

STRANGER = Standing(0, ())
"""Of a person who has nothing to do with anybody yet; nobody's number is 0."""


class Numbers:
    """Answers many callers with one statement; a number is never given to anybody else."""

    def __init__(self, db: Queries, *, remembered: int = 200_000) -> None:
        self._db = db
        self._users: Recent[int, UUID] = Recent(remembered)
        # Both, when full: callers get 503 at once.
        self._standings: Batcher[UUID, Standing] = Batcher(
            self._stand, most=200, queue=5_000, lanes=2
        )
        self._look: Batcher[int, UUID | None] = Batcher(self._find, most=2_000, queue=50_000)

    def forget(self, payload: str | None) -> None:
        """Keep nothing of whom a number stood for; None means that some may have been missed."""
        if payload is None:
            self._users.clear()
        else:
            self._users.drop(int(payload))

    async def standing(self, user: UUID) -> Standing:
        """Return a person's number, and who must not be suggested to them, as of now."""
        return await self._standings(user)

    async def users(self, numbers: Sequence[int]) -> dict[int, UUID]:
        """Return who these are; of somebody who was erased, perhaps who that was."""
        known = self._users.get
        found: dict[int, UUID] = {}
        missing = []
        for number in numbers:
            user = known(number)
            if user is None:
                missing.append(number)
            else:
                found[number] = user
        if missing:
            for number, answer in zip(missing, await self._look.many(missing), strict=True):
                if isinstance(answer, Exception):
                    raise answer
                if answer is not None:
                    found[number] = answer
        return found

    async def _stand(self, users: list[UUID]) -> Sequence[Standing]:
        found = await store_reads.standings(self._db, users)
        return [found.get(user, STRANGER) for user in users]

    async def _find(self, numbers: list[int]) -> Sequence[UUID | None]:
        found = await store_reads.users(self._db, numbers)
        for number, user in found.items():
            self._users.put(number, user)
        return [found.get(number) for number in numbers]
