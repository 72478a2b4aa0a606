"""How deliveries ended, as facts: told where a webhook wants to know."""

from collections.abc import Awaitable, Callable, Iterable

from nova.backbone.database import Tx
from nova.features.deliveries.events import DeliveryEnded
from nova.features.deliveries.models import LANES, Status
from nova.ports.database import Row

ENDED = frozenset({"done", "failed", "dead", "dropped"})
"""What was merged has not ended by itself: the delivery that speaks for it is told."""


class Endings:
    """Tells of ends with the transaction that makes them."""

    def __init__(self, wanted: Callable[[], Awaitable[bool]]) -> None:
        """`wanted` tells whether anybody wants to know."""
        self._wanted = wanted

    async def tell(self, tx: Tx, rows: Iterable[Row]) -> None:
        """Tell of those rows whose delivery needs nothing more.

        One that was never planned, as nobody wanted it, has no end; that of a webhook's call is
        no news.
        """
        facts = [ended(row) for row in rows if row["phase"] in ENDED and row["lane"] in LANES]
        if facts and await self._wanted():
            await tx.emit(*facts)


def ended(row: Row) -> DeliveryEnded:
    return DeliveryEnded(
        delivery=row["id"],
        notification=row["notification"],
        user=row["user_id"],
        actor_id=row["actor_id"],
        type=row["type"],
        channel=row["channel"],
        kind=row["kind"],
        phase=row["phase"],
        status=Status(row["status"]).name.lower(),
        reason=row["reason"],
        code=row["code"],
        text=row["says"],
    )
