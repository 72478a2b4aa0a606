"""What keeps the channels from growing for ever."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic

from msgspec import Struct
from structlog import get_logger

from nova.backbone import signals
from nova.backbone.maintenance_batches import MOST, in_portions, rest
from nova.ports.channels import Retention
from nova.ports.database import Pool, Row

_log = get_logger()
CHANNELS_AT_ONCE = 250
EMPTY, UNUSED = timedelta(hours=1), timedelta(days=1)
"""How long a channel without publications is remembered: one that had some, one that never had."""
SLACK, LEAST_SLACK = 24, timedelta(minutes=1)
"""Publications may stay for this share of their time longer; nobody is shown them then."""

# What may have to be done, the longest due first. Which publication is the oldest says whether.
DUE = """
select c.*, o.number as oldest, o.at, now() as now
from (
    select id, channel, top, emptied from backbone.channels
    where due <= now() order by due limit $1
) c left join lateral (
    select number, at from backbone.publications
    where channel_id = c.id order by number limit 1
) o on true
"""

# Looks at the oldest publications of each channel alone: what is past retention is among them.
PRUNE = """
delete from backbone.publications where ctid = any(array(
    select p.ctid from unnest($1::bigint[], $2::bigint[], $3::interval[]) as w (id, below, age)
    cross join lateral (
        select ctid, number, at from backbone.publications
        where channel_id = w.id order by number limit $4
    ) p
    where p.number <= w.below or p.at < now() - w.age
))
"""

# Publishers wait for who holds a channel's row; so this one waits for nobody, and passes over the
# channels that are being published to: they stay due.
POSTPONE = """
update backbone.channels c set due = w.due, emptied = w.emptied
from (
    select id from backbone.channels where id = any($1::bigint[]) for update skip locked
) free join unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) as w (id, due, emptied)
    using (id)
where c.id = free.id
"""

# Who publishes meanwhile raises the top: then the channel stays.
FORGET_CHANNELS = """
delete from backbone.channels c
using unnest($1::bigint[], $2::bigint[]) as w (id, top), (
    select id from backbone.channels where id = any($1::bigint[]) for update skip locked
) free
where c.id = w.id and c.id = free.id and c.top = w.top
    and not exists (select from backbone.publications p where p.channel_id = c.id)
"""

FORGET_KEYS = """
delete from backbone.publication_keys where ctid = any(array(
    select ctid from backbone.publication_keys
    where at < now() - interval '5 minutes' order by at limit $1))
"""


class Chore(Struct, frozen=True):
    """A Job of the backbone's own."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[None]]


class ChannelRetention:
    """History cut to its retention."""

    def __init__(self, pool: Pool, *, retention_of: Callable[[str], Retention | None]) -> None:
        """`retention_of` says how much history a channel keeps; None keeps nothing."""
        self._pool = pool
        self._retention_of = retention_of

    async def prune(self) -> None:
        """Delete publications that no retention holds, and forget channels that have none left."""
        await in_portions(partial(self._pool.run, FORGET_KEYS))
        await in_portions(partial(self._pool.run, signals.FORGET, signals.KEPT))
        most = CHANNELS_AT_ONCE
        while True:
            begun = monotonic()
            rows = await self._pool.fetch(DUE, most)
            if not rows:
                return
            if not await self._tidy(
                [_Due(row, self._retention_of(row["channel"])) for row in rows]
            ):
                return  # they are being published to; a later run finds them
            most = min(CHANNELS_AT_ONCE, await rest(monotonic() - begun, most))

    async def _tidy(self, due: Sequence["_Due"]) -> int:
        """Prune what is too long or too old, or else say when it is to be looked at again."""
        touched = 0
        if long := [each for each in due if each.is_long]:
            touched += await self._pool.run(
                PRUNE,
                [each.id for each in long],
                [each.below for each in long],
                [each.age for each in long],
                max(1, MOST // len(long)),
            )
        # What was pruned stays due, until a look finds that nothing more is to be done.
        if gone := [each for each in due if each.is_gone]:
            touched += await self._pool.run(
                FORGET_CHANNELS, [each.id for each in gone], [each.top for each in gone]
            )
        if later := [each for each in due if not each.is_long and not each.is_gone]:
            touched += await self._pool.run(
                POSTPONE,
                [each.id for each in later],
                [each.next for each in later],
                [each.top if each.is_empty else None for each in later],
            )
        return touched


class _Due:
    """A channel that is due, and what is to be done about it."""

    def __init__(self, row: Row, kept: Retention | None) -> None:
        kept = kept or Retention(0, 0)
        self.id: int = row["id"]
        self.top: int = row["top"]
        self.below = self.top - kept.size
        self.age = timedelta(seconds=kept.seconds)
        self.is_empty = row["oldest"] is None
        self.is_gone = self.is_empty and row["emptied"] == self.top
        """Empty for a while: whoever still knows its epoch has nothing to recover."""
        self.is_long = not self.is_empty and (
            row["oldest"] <= self.below or row["at"] < row["now"] - self.age
        )
        if self.is_empty:
            self.next = row["now"] + (EMPTY if self.top else UNUSED)
        else:
            # Not at once: else each look at a busy channel would find one that is too old.
            self.next = row["at"] + self.age + max(self.age / SLACK, LEAST_SLACK)
