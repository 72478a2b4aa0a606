"""How far deliveries came, by channel: what operators look at before they look at one."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Meta, Struct

from nova.features.deliveries import store_funnel
from nova.features.deliveries.models import Status
from nova.kernel.clock import Clock
from nova.kernel.ids import least_id
from nova.ports.database import Queries

MOST_COUNTED = 100_000
"""Beyond that, the newest alone are counted: the ledger is read from its newest end."""


BOUNDS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0, 3_600.0, 28_800.0)
"""From a provider on this machine to a night."""


class Lately(Struct, frozen=True, kw_only=True):
    """The last so many hours."""

    hours: Annotated[int, Meta(ge=1, le=168)] = 24
    """How many hours to look back."""


class Bucket(Struct, frozen=True, kw_only=True):
    """How many took so long."""

    under_s: float | None
    """And at least as long as the bucket before says; absent in the last one."""
    count: int
    """How many deliveries."""


class Latency(Struct, frozen=True, kw_only=True):
    """How long it took from an event's acceptance until a provider had the delivery.

    What was held or gathered waited on purpose, and is counted. A webhook's call counts from when
    there was something to tell.
    """

    p50_ms: float
    """Half took no longer, in milliseconds."""
    p95_ms: float
    """95 of 100 took no longer, in milliseconds."""
    p99_ms: float
    """99 of 100 took no longer, in milliseconds."""
    histogram: list[Bucket]
    """How many took how long, the shortest first."""


class ChannelFunnel(Struct, frozen=True, kw_only=True):
    """How far the deliveries of a channel came; each is in one phase, and counts in every step."""

    channel: str
    """`push`, `web_push`, `email` or `webhook`."""
    planned: int
    """How many were planned."""
    tried: int
    """How many were tried at least once."""
    sent: int
    """The provider has it."""
    delivered: int
    """The device said so; mail never does."""
    opened: int
    """How many were opened, as devices said."""
    waiting: int
    """How many wait for their turn."""
    held: int
    """How many quiet hours hold."""
    standby: int
    """How many stand by, to go out if the notification is not seen."""
    dropped: int
    """How many were dropped, for a reason."""
    merged: int
    """How many went out as a part of another one."""
    failed: int
    """How many failed because the address is gone."""
    dead: int
    """How many are dead letters."""
    open_digests: int
    """Digests that gather right now."""
    latency: Latency | None
    """Absent if none was sent."""


class DeliveryFunnel(Struct, frozen=True, kw_only=True):
    """All channels; at most the newest 100,000 deliveries are counted."""

    since: datetime
    """From when on deliveries are counted."""
    data: list[ChannelFunnel]
    """One row for each channel."""


async def funnel(db: Queries, clock: Clock, hours: int) -> DeliveryFunnel:
    since = clock.now() - timedelta(hours=hours)
    steps = (Status.QUEUED, Status.DELIVERED, Status.OPENED)
    rows = await db.fetch(store_funnel.COUNT, least_id(since), MOST_COUNTED, *map(int, steps))
    digests = {
        row["channel"]: row["count"]
        for row in await db.fetch(store_funnel.OPEN_DIGESTS, MOST_COUNTED)
    }
    latency = await _latency(db, since)
    counted = {row["channel"]: dict(row) for row in rows}
    return DeliveryFunnel(
        since=since,
        data=[
            ChannelFunnel(
                **_NOTHING
                | counted.get(channel, {})
                | {
                    "channel": channel,
                    "open_digests": digests.get(channel, 0),
                    "latency": latency.get(channel),
                }
            )
            for channel in sorted({*counted, *digests})
        ],
    )


_NOTHING = dict.fromkeys(ChannelFunnel.__struct_fields__, 0)


async def _latency(db: Queries, since: datetime) -> dict[str, Latency]:
    rows = await db.fetch(store_funnel.LATENCY, least_id(since), MOST_COUNTED, BOUNDS_S)
    counts = {(row["channel"], row["bucket"]): row["count"] for row in rows}
    return {
        row["channel"]: _spread(row["channel"], row["percentiles"], counts)
        for row in rows
        if row["bucket"] is None
    }


def _spread(
    channel: str, percentiles: Sequence[float], counts: Mapping[tuple[str, int | None], int]
) -> Latency:
    p50, p95, p99 = (round(each, 1) for each in percentiles)
    return Latency(
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        histogram=[
            Bucket(under_s=bound, count=counts.get((channel, number), 0))
            for number, bound in enumerate((*BOUNDS_S, None))
        ],
    )
