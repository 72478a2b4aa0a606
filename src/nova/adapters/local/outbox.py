"""The sink: takes push and mail where no provider is configured, for people to look at."""

from collections.abc import Sequence

import msgspec
from msgspec import structs

from nova.kernel.batching import Batcher
from nova.kernel.clock import Clock
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.ports.database import Pool

MOST = 2_000
"""Parcels kept, over all lanes; the oldest go."""

TAKE = """
insert into deliveries.outbox (id, at, lane, collapse_id, parcel)
select id, $1, lane, collapse_id, parcel
  from unnest($2::uuid[], $3::text[], $4::text[], $5::text[]) as new (id, lane, collapse_id, parcel)
"""

TRIM = """
delete from deliveries.outbox
 where number <= (select max(number) from deliveries.outbox) - $1
"""


class OutboxSink:
    """A carrier whose provider is a bounded table. What it took is durable when it says so."""

    def __init__(self, pool: Pool, clock: Clock, *, most: int = MOST) -> None:
        self._pool = pool
        self._clock = clock
        self._most = most
        # Full: the lane hears that it was not taken, and tries again.
        self._take: Batcher[Parcel, Outcome] = Batcher(self._together, most=500, queue=5_000)

    @property
    def name(self) -> str:
        return "outbox"

    async def send(self, parcel: Parcel) -> Outcome:
        """Keep the parcel."""
        return await self._take(parcel)

    async def ping(self) -> str:
        return "the mail catcher: nothing leaves this machine, and the console shows it"

    async def _together(self, parcels: list[Parcel]) -> Sequence[Outcome]:
        await self._pool.run(
            TAKE,
            self._clock.now(),
            [parcel.id for parcel in parcels],
            [parcel.target.platform for parcel in parcels],
            [parcel.collapse_id for parcel in parcels],
            [_kept(parcel) for parcel in parcels],
        )
        await self._pool.run(TRIM, self._most)
        return [
            Outcome(
                Verdict.SENT, "kept", "The mail catcher has it.", None, None, f"outbox:{parcel.id}"
            )
            for parcel in parcels
        ]


def _kept(parcel: Parcel) -> str:
    """Return what is kept of a parcel: all but an image, which is the same in many."""
    if parcel.image is not None:
        parcel = structs.replace(parcel, image=None)
    return msgspec.json.encode(parcel).decode()
