"""Complete erasures in the background; their state is durable and survives a crash."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from structlog import get_logger

from nova.backbone.database import Database
from nova.backbone.maintenance_batches import rest
from nova.feature import Scrub
from nova.features.accounts import erasure_store as store
from nova.features.accounts.models import Erasure
from nova.features.accounts.service import TOKENS_END, Accounts
from nova.kernel.clock import Clock
from nova.kernel.erased_people import Erased
from nova.kernel.errors import NotFound
from nova.web.auth import erased

TOGETHER = 16
"""People whose traces one pass over the tables removes."""
SETTLES_S = 5.0
"""From an erasure to the search for traces: by then every process has heard of it."""
ABANDONED_S = 60.0
"""A request that erases somebody and takes longer is joined by the job."""
STORED_EVERY = 20
"""Places of a step after which it is written down how far it got."""

_log = get_logger()


class NoSuchErasure(NotFound):
    """No user with this id was erased, or Nova no longer remembers it."""

    code = "no_such_erasure"
    hint = "Ids of erased people are remembered, as digests, for 30 days."


class Erasures:
    """Carries erasures to their end, one pass for those that wait together."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        accounts: Accounts,
        *,
        steps: Callable[[], Sequence[Scrub]],
        settles_s: float = SETTLES_S,
    ) -> None:
        self._db = db
        self._clock = clock
        self._accounts = accounts
        self._steps = steps
        self._settles_s = settles_s

    async def state(self, reference: str) -> Erasure:
        """Tell how far the erasure of a person is; `reference` is either id they had."""
        found = await store.state(self._db, erased(reference))
        if found is None:
            raise NoSuchErasure
        return found

    async def go_on(self) -> None:
        """Erase those whose request was cut off, and remove the traces of those who are gone."""
        before = self._clock.now() - timedelta(seconds=ABANDONED_S)
        for user in await store.abandoned(self._db, before, TOGETHER):
            await self._accounts.erase(user)
        while some := await store.open_ones(self._db, TOGETHER):
            await self._step(some)
        await store.forget(self._db, self._clock.now() - TOKENS_END)

    async def _step(self, some: Sequence[store.Open]) -> None:
        """Take one step to its end, for all who are as far."""
        steps, ids = self._steps(), [each.id for each in some]
        number, place = some[0].step, some[0].place
        if number == 0 and not place:
            await self._settle(some)
        people = Erased(
            [each.user for each in some],
            [each.external_id for each in some if each.external_id is not None],
            [address for each in some for address in each.addresses],
        )
        looked, following = 0, await self._some(steps[number], people, place)
        while following is not None:
            looked += 1
            if looked % STORED_EVERY == 0:
                await store.move(self._db, ids, number, following)
            following = await self._some(steps[number], people, following)
        if number + 1 < len(steps):
            await store.move(self._db, ids, number + 1, "")
            return
        await store.complete(self._db, ids, self._clock.now())
        _log.info("erasures_complete", people=len(ids))

    async def _some(self, step: Scrub, people: Erased, place: str) -> str | None:
        """Remove what some rows hold, and leave the database to others for a while."""
        begun = self._clock.monotonic()
        following = await step(people, place)
        if following is not None:
            await rest(self._clock.monotonic() - begun)
        return following

    async def _settle(self, some: Sequence[store.Open]) -> None:
        newest = max(each.erased_at for each in some)
        since = (self._clock.now() - newest).total_seconds()
        if since < self._settles_s:
            await asyncio.sleep(min(self._settles_s, self._settles_s - since))
