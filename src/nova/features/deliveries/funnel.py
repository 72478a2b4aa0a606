"""How far deliveries came, by channel: what operators look at before they look at one."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from nova.features.deliveries.models import Status
from nova.kernel.clock import Clock
from nova.kernel.ids import least_id
from nova.ports.database import Queries

MOST_COUNTED = 100_000
"""Beyond that, the newest alone are counted: the ledger is read from its newest end."""

COUNT = """
select channel, count(*) as planned,
       count(*) filter (where phase = 'waiting') as waiting,
       count(*) filter (where phase = 'held') as held,
       count(*) filter (where phase = 'standby') as standby,
       count(*) filter (where phase = 'dropped') as dropped,
       count(*) filter (where phase = 'merged') as merged,
       count(*) filter (where phase = 'failed') as failed,
       count(*) filter (where phase = 'dead') as dead,
       count(*) filter (where attempts > 0) as tried,
       count(*) filter (where status >= $3) as sent,
       count(*) filter (where status >= $4) as delivered,
       count(*) filter (where status >= $5) as opened
  from (select channel, phase, attempts, status from deliveries.deliveries
         where id >= $1 and kind <> 'recall' order by id desc limit $2) newest
 group by channel order by channel
"""

OPEN_DIGESTS = """
select channel, count(*) as count
  from (select channel from deliveries.digests where closed_at is null limit $1) open
 group by channel
"""


class Lately(Struct, frozen=True, kw_only=True):
    """The last so many hours."""

    hours: Annotated[int, Meta(ge=1, le=168)] = 24


class ChannelFunnel(Struct, frozen=True, kw_only=True):
    """How far the deliveries of a channel came; each is in one phase, and counts in every step."""

    channel: str
    planned: int
    tried: int
    sent: int
    """The provider has it."""
    delivered: int
    """The device said so; mail never does."""
    opened: int
    waiting: int
    held: int
    standby: int
    dropped: int
    merged: int
    failed: int
    dead: int
    open_digests: int
    """Digests that gather right now."""


class DeliveryFunnel(Struct, frozen=True, kw_only=True):
    """All channels; at most the newest 100,000 deliveries are counted."""

    since: datetime
    data: list[ChannelFunnel]


async def funnel(db: Queries, clock: Clock, hours: int) -> DeliveryFunnel:
    since = clock.now() - timedelta(hours=hours)
    steps = (Status.QUEUED, Status.DELIVERED, Status.OPENED)
    rows = await db.fetch(COUNT, least_id(since), MOST_COUNTED, *map(int, steps))
    digests = {row["channel"]: row["count"] for row in await db.fetch(OPEN_DIGESTS, MOST_COUNTED)}
    counted = {row["channel"]: dict(row) for row in rows}
    return DeliveryFunnel(
        since=since,
        data=[
            ChannelFunnel(
                **_NOTHING
                | counted.get(channel, {})
                | {"channel": channel, "open_digests": digests.get(channel, 0)}
            )
            for channel in sorted({*counted, *digests})
        ],
    )


_NOTHING = dict.fromkeys(ChannelFunnel.__struct_fields__, 0)
