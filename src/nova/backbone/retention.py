"""What keeps the log and the channels from growing for ever."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from msgspec import Struct
from structlog import get_logger

from nova.ports.channels import Retention
from nova.ports.database import Pool

_log = get_logger()
_PARTITIONS_AHEAD = 2  # days
_CHANNELS_AT_ONCE = 500

MAKE = "select backbone.make_partitions($1)"

REBASE = "select backbone.rebase()"

DROP = "select dropped, kept from backbone.drop_partitions($1::interval)"

DROP_DEFAULT = "delete from backbone.event_log_default where at < now() - $1::interval"

CHANNELS = """
select id, channel, top from backbone.channels
where id > $1 and top > 0 order by id limit $2
"""

PRUNE = """
delete from backbone.publications p
using unnest($1::bigint[], $2::bigint[], $3::interval[]) as w (channel_id, below, age)
where p.channel_id = w.channel_id and (p.number <= w.below or p.at < now() - w.age)
"""

# Looked at, never published to: whoever still knows its epoch has nothing to recover.
FORGET_CHANNELS = "delete from backbone.channels where top = 0 and made < now() - interval '1 day'"

FORGET_KEYS = "delete from backbone.publication_keys where at < now() - interval '5 minutes'"


class Chore(Struct, frozen=True):
    """A Job of the backbone's own."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


class Housekeeping:
    """Partitions made ahead and dropped in time, and history cut to its retention."""

    def __init__(
        self,
        pool: Pool,
        *,
        keep: timedelta,
        retention_of: Callable[[str], Retention | None],
    ) -> None:
        """`retention_of` says how much history a channel keeps; None keeps nothing."""
        self._pool = pool
        self._keep = keep
        self._retention_of = retention_of

    def chores(self) -> list[Chore]:
        return [
            Chore("log.partitions", 3600.0, self.partitions),
            Chore("channels.prune", 60.0, self.channels),
        ]

    async def rebase(self) -> None:
        """Make a log restored from a dump readable: its transaction ids are another cluster's."""
        if await self._pool.value(REBASE):
            _log.warning("log_rebased_after_restore")

    async def ahead(self) -> None:
        """Make the partitions of today and the next days."""
        await self._pool.value(MAKE, _PARTITIONS_AHEAD)

    async def partitions(self) -> None:
        """Make the partitions of the next days, and drop those past retention."""
        await self.ahead()
        row = await self._pool.row(DROP, self._keep)
        await self._pool.run(DROP_DEFAULT, self._keep)
        if row and row["dropped"]:
            _log.info("log_partitions_dropped", partitions=row["dropped"])
        if row and row["kept"]:
            _log.warning("log_partitions_kept_for_laggards", partitions=row["kept"])

    async def channels(self) -> None:
        """Delete publications that no retention holds, some channels at a time."""
        await self._pool.run(FORGET_KEYS)
        await self._pool.run(FORGET_CHANNELS)
        after = 0
        while rows := await self._pool.fetch(CHANNELS, after, _CHANNELS_AT_ONCE):
            after = rows[-1]["id"]
            kept = [self._retention_of(row["channel"]) or Retention(0, 0) for row in rows]
            await self._pool.run(
                PRUNE,
                [row["id"] for row in rows],
                [row["top"] - each.size for row, each in zip(rows, kept, strict=True)],
                [timedelta(seconds=each.seconds) for each in kept],
            )
