"""List the steps that remove the remaining data of erased people, for all features."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from nova.adapters.postgres import idempotency
from nova.backbone import erasure
from nova.backbone.backbone import Backbone
from nova.backbone.database import Database
from nova.feature import Feature, Scrub
from nova.features.notifications import Notifications
from nova.kernel.erased_people import Erased
from nova.ports.database import Queries
from nova.ports.event_log import EventLog

CHAIN = 4
"""Facts that follow from one another: a like, its event, its notification, its delivery."""
LOOK_S = 0.1

Blocks = Callable[[Queries, Erased, int], Awaitable[int | None]]


def steps(
    backbone: Backbone, features: Sequence[Feature], notifications: Notifications
) -> Sequence[Scrub]:
    """Return what is done after an erasure.

    First everything that was written before it is heard, then features take back what the person
    caused, and that is heard, too; only then is the log searched.
    """
    heard = _heard(backbone.barrier())
    found: list[Scrub] = [heard] * CHAIN
    for feature in features:
        found += [*feature.scrubs, heard, heard] if feature.scrubs else ()
    db = backbone.db
    return [
        *found,
        _Log(db, backbone.log, backbone.barrier(), notifications),
        _in_blocks(db, lambda db, who, at: erasure.channels(db, _references(who), at)),
        _in_blocks(db, lambda db, who, at: erasure.publications(db, who.words, at)),
        _in_blocks(db, lambda db, who, at: erasure.intake(db, who.telling, who.patterns, at)),
        _in_blocks(db, lambda db, who, at: idempotency.scrub(db, who.words, at)),
        _in_blocks(db, lambda db, who, at: erasure.retries(db, _texts(who), _references(who), at)),
        _in_blocks(
            db, lambda db, who, at: erasure.dead_letters(db, _texts(who), _references(who), at)
        ),
        _connections(db),
        _statistics(db),
    ]


class _Log:
    """Removes records; places are `<before which moment> <part of the log>`."""

    def __init__(
        self,
        db: Database,
        log: EventLog,
        barrier: erasure.Barrier,
        notifications: Notifications,
    ) -> None:
        self._db = db
        self._log = log
        self._barrier = barrier
        self._notifications = notifications

    async def __call__(self, erased: Erased, place: str) -> str | None:
        before, _, block = place.partition(" ")
        if not before:
            return await self._barrier.now()
        if not block and not await self._barrier.passed(before):
            await asyncio.sleep(LOOK_S)
            return before
        async with self._db.transaction() as tx:
            gone = await self._log.erase(
                tx.queries, erased.words, _references(erased), before=before, place=int(block or 0)
            )
            await self._notifications.erasing.forget(tx, gone.records)
        return None if gone.following is None else f"{before} {gone.following}"


def _heard(barrier: erasure.Barrier) -> Scrub:
    async def wait(_erased: Erased, place: str) -> str | None:
        moment = place or await barrier.now()
        if await barrier.passed(moment):
            return None
        await asyncio.sleep(LOOK_S)
        return moment

    return wait


def _in_blocks(db: Queries, remove: Blocks) -> Scrub:
    async def some(erased: Erased, place: str) -> str | None:
        following = await remove(db, erased, int(place or 0))
        return None if following is None else str(following)

    return some


def _connections(db: Queries) -> Scrub:
    async def all_of_it(erased: Erased, _place: str) -> None:
        await erasure.connections(db, _texts(erased), _references(erased))

    return all_of_it


def _statistics(db: Queries) -> Scrub:
    """Sample tables anew whose samples, which the planner keeps, may hold what is gone."""

    async def one(_erased: Erased, place: str) -> str | None:
        return await erasure.sample(db, place)

    return one


def _texts(erased: Erased) -> list[str]:
    return [*erased.words, *erased.addresses]


def _references(erased: Erased) -> list[str]:
    return [*map(str, erased.ids), *erased.names]
