"""Daily partitions of the log: made ahead, and dropped once they are past retention."""

from datetime import timedelta
from functools import partial

from structlog import get_logger

from nova.backbone.maintenance_batches import in_portions
from nova.ports.database import Pool

_log = get_logger()
_PARTITIONS_AHEAD = 2  # days

MAKE = "select backbone.make_partitions($1)"

REBASE = "select backbone.rebase()"

DROP = "select dropped, kept from backbone.drop_partitions($1::interval)"

# The last parameter of what deletes a portion is how many rows.
DROP_DEFAULT = """
delete from backbone.event_log_default where ctid = any(array(
    select ctid from backbone.event_log_default where at < now() - $1::interval limit $2))
"""


class LogRetention:
    """Keeps the log from growing for ever, and from having no partition for today."""

    def __init__(self, pool: Pool, *, keep: timedelta) -> None:
        self._pool = pool
        self._keep = keep

    async def prepare(self) -> None:
        """Make the log readable where it was restored from a dump, and today's partition."""
        if await self._pool.value(REBASE):  # its transaction ids are another cluster's
            _log.warning("log_rebased_after_restore")
        await self._make()

    async def maintain(self) -> None:
        """Make the partitions of the next days, and drop those past retention."""
        await self._make()
        row = await self._pool.row(DROP, self._keep)
        await in_portions(partial(self._pool.run, DROP_DEFAULT, self._keep))
        if row and row["dropped"]:
            _log.info("log_partitions_dropped", partitions=row["dropped"])
        if row and row["kept"]:
            _log.warning("log_partitions_kept_for_laggards", partitions=row["kept"])

    async def _make(self) -> None:
        await self._pool.value(MAKE, _PARTITIONS_AHEAD)
