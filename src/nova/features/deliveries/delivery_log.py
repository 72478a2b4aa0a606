"""The log of deliveries: lists and traces for operators, retries, and reports from devices."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from nova.backbone.database import Database, Tx
from nova.features.deliveries import store_log
from nova.features.deliveries.endings import ended
from nova.features.deliveries.funnel import DeliveryFunnel, funnel
from nova.features.deliveries.mail.templates import MailTemplates
from nova.features.deliveries.models import (
    Detail,
    Redrive,
    Redriven,
    Rendereds,
    Status,
    Which,
)
from nova.features.deliveries.quiet_hours import within_reason
from nova.features.deliveries.webhooks import Webhooks
from nova.kernel.clock import Clock
from nova.kernel.errors import NotFound
from nova.web.cursors import Cursors
from nova.web.routes import Paged

NEWEST = UUID(int=2**128 - 1)


class NoSuchDelivery(NotFound):
    """There is no such delivery, or it is not yours."""

    code = "no_such_delivery"


class NotRedrivable(NotFound):
    """There is no such dead letter, its notification was withdrawn, or its webhook removed."""

    code = "no_such_dead_delivery"
    hint = "GET /v1/deliveries?phase=dead lists them."


class DeliveryLog:
    """Answers about deliveries, and tries dead ones again."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        webhooks: Webhooks,
        mails: MailTemplates,
        *,
        cursors: Cursors[UUID],
        sender: str,
        rings: Callable[[str], None],
    ) -> None:
        """`sender` is from whom mail comes, as people read it."""
        self._db = db
        self._clock = clock
        self._webhooks = webhooks
        self._mails = mails
        self._cursors = cursors
        self._sender = sender
        self._rings = rings

    async def page(self, which: Which, user: UUID | None) -> Paged[Any]:
        """Return deliveries, newest first."""
        owner = ";".join(str(getattr(which, name)) for name in which.__struct_fields__[:-2])
        before = self._cursors.open(owner, which.cursor) if which.cursor else NEWEST
        found = await store_log.page(self._db, before, user, which, which.limit + 1)
        if len(found) <= which.limit:
            return Paged(found)
        return Paged(found[: which.limit], self._cursors.seal(owner, found[which.limit - 1].id))

    async def funnel(self, hours: int) -> DeliveryFunnel:
        """Count how far the deliveries of the last hours came, by channel."""
        return await funnel(self._db, self._clock, hours)

    async def outbox(self, user: UUID | None, limit: int, lane: str | None = None) -> Rendereds:
        """Return the newest that the sink took, of one person or of all."""
        found = await store_log.outbox(self._db, user, limit, sender=self._sender, lane=lane)
        return Rendereds(found, dict(await self._mails.images()))

    async def one(self, id_: UUID) -> Detail:
        found = await store_log.one(self._db, id_)
        if found is None:
            raise NoSuchDelivery
        return Detail(delivery=found[0], attempts=found[1])

    async def redrive_one(self, id_: UUID) -> Redriven:
        """Try a dead letter again, or one whose address was called dead."""
        async with self._db.transaction() as tx:
            lanes = await store_log.redrive(tx, self._clock.now(), Redrive(), ids=[id_])
            if not lanes:
                raise NotRedrivable
            return self._redriven(tx, lanes)

    async def redrive(self, which: Redrive, user: UUID | None) -> Redriven:
        """Try dead letters again, the oldest first."""
        for each in (which.since, which.until):
            within_reason(each or self._clock.now())
        async with self._db.transaction() as tx:
            lanes = await store_log.redrive(tx, self._clock.now(), which, user=user)
            return self._redriven(tx, lanes)

    async def receipt(self, id_: UUID, user: UUID | None, status: str) -> None:
        """Note what a device said; a status never goes back."""
        reached = Status[status.upper()]
        tells = await self._webhooks.wanted()
        async with self._db.transaction() as tx:
            row = await store_log.receipt(tx, id_, user, reached, self._clock.now())
            if row is None:
                raise NoSuchDelivery
            if tells and row["news"]:
                await tx.emit(ended(row))

    def _redriven(self, tx: Tx, lanes: list[str]) -> Redriven:
        for lane in set(lanes):
            tx.after_commit(partial(self._rings, lane))
        return Redriven(len(lanes))
