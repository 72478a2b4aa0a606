"""Take an event back that the host app sent: alone, or out of the group that it joined."""

import asyncio
from uuid import UUID

from nova.backbone import intake
from nova.backbone.database import Database, Tx
from nova.features.notifications import boxes, subject_store
from nova.features.notifications.inbox import RETRACTED, NoSuchEvent, Removal, Undecided
from nova.features.notifications.recheck import Reviews

AT_ONCE = 2
"""In one process: each holds a connection while it waits for a box, and asks by another one. More
wait for their turn, as many as there are requests."""


class Retraction:
    """Retracts events; what a group tells of without one is what it would tell had it not been."""

    def __init__(self, db: Database, reviews: Reviews, removal: Removal) -> None:
        self._db = db
        self._removal = removal
        self._reviews = reviews
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def retract(self, event: str) -> None:
        """Take back what an event caused, on every device; retracting twice is fine.

        Raises NoSuchEvent, and Undecided while the event waits for the pipeline.
        """
        accepted = await intake.entry(self._db, event)
        if accepted is None:
            raise NoSuchEvent
        async with self._turns, self._db.transaction() as tx:
            owner = await boxes.owner(tx, accepted.record)
            if owner is None:
                raise Undecided(retry_after=1.0)
            if owner.user is None or await boxes.lock(tx, owner.user) is None:
                return
            # Once more: meanwhile it may lead its group, or follow in it.
            now = await intake.entry(tx, event)
            if now is not None:
                await self._take_back(tx, owner.user, now.record)

    async def _take_back(self, tx: Tx, user: UUID, record: UUID) -> None:
        group = await subject_store.group(tx, record)
        if group is None:
            await self._removal.remove(tx, [user], [record], RETRACTED)
        else:
            looks: dict[UUID, set[UUID]] = {group: set()}
            await self._reviews.review(tx, looks, retracted={record}, reason=RETRACTED)
