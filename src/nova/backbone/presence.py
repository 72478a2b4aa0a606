"""Who follows which channel in which process, while there are several."""

import asyncio
from collections.abc import Mapping
from functools import partial

from nova.backbone.maintenance_batches import in_portions
from nova.backbone.neighbours import EMPTY, Neighbours
from nova.kernel.errors import Unavailable
from nova.ports.database import Dangling, Pool

THROTTLE_S = 0.05
MOST_AT_ONCE = 1_000

WRITE = """
with w as (
    select channel, client, info from unnest($2::text[], $3::text[], $4::bytea[])
        as w (channel, client, info)
), gone as (
    delete from backbone.presence p using w
    where p.channel = w.channel and p.client = w.client and w.info is null
)
insert into backbone.presence (channel, client, process, info)
select channel, client, $1, info from w where info is not null
on conflict (channel, client) do update set info = excluded.info
"""

ELSEWHERE = "select client, info from backbone.presence where channel = $1 and process <> $2"

Place = tuple[str, str]
"""A channel and a client."""


class SharedPresence:
    """The Presence port over a table: nothing is written while this process is alone.

    What a process wrote goes when it leaves, or is taken for dead.
    """

    def __init__(self, pool: Pool, neighbours: Neighbours) -> None:
        self._pool = pool
        self._neighbours = neighbours
        self._here: dict[Place, bytes] = {}
        self._unsaid: dict[Place, None] = {}
        """Where something changed since it was written; bounded by the clients of this process."""
        self._any = asyncio.Event()
        self._written_by = 0
        """The life of this process whose rows are there; 0: none."""
        neighbours.on_change(self._any.set)

    def enter(self, channel: str, client: str, info: bytes) -> None:
        self._here[channel, client] = info
        self._changed((channel, client))

    def leave(self, channel: str, client: str) -> None:
        if self._here.pop((channel, client), None) is not None:
            self._changed((channel, client))

    async def elsewhere(self, channel: str) -> Mapping[str, bytes]:
        if not self._neighbours.others:
            return {}
        rows = await self._pool.fetch(ELSEWHERE, channel, self._neighbours.id)
        return {row["client"]: row["info"] for row in rows}

    async def turn(self) -> None:
        """Write what changed, once for everything that changed meanwhile."""
        await self._any.wait()
        self._any.clear()
        if not self._neighbours.others:
            self._written_by = 0
            self._unsaid.clear()
            return
        if self._written_by != self._neighbours.lives:
            await in_portions(partial(self._pool.run, EMPTY, [self._neighbours.id]))
            self._unsaid = dict.fromkeys(self._here)
            self._written_by = self._neighbours.lives
        await self._write()
        await asyncio.sleep(THROTTLE_S)

    def _changed(self, place: Place) -> None:
        if self._neighbours.others:
            self._unsaid[place] = None
            self._any.set()

    async def _write(self) -> None:
        places = [place for place, _ in zip(self._unsaid, range(MOST_AT_ONCE), strict=False)]
        for place in places:
            del self._unsaid[place]
        if self._unsaid:
            self._any.set()
        try:
            await self._pool.run(
                WRITE,
                self._neighbours.id,
                [channel for channel, _ in places],
                [client for _, client in places],
                [self._here.get(place) for place in places],
            )
        except (Unavailable, Dangling) as wrong:
            self._unsaid |= dict.fromkeys(places)
            self._any.set()
            if isinstance(wrong, Dangling):  # taken for dead; the next beat begins a new life
                self._written_by = 0
                raise Unavailable from wrong
            raise
