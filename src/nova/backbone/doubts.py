"""Publications whose commit was not answered: handed over once it is known that they are there."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from time import monotonic

from nova.backbone.channels import publications_of
from nova.ports.channels import Publication
from nova.ports.database import Pool, Row

ANSWERED_S = 60.0  # a statement that was not answered began less than this before

# A transaction that published holds its channels until it is over, whoever still listens to it.
SETTLED = "select from backbone.channels where channel = any($1::text[]) order by channel for share"

# A statement of its own, because a snapshot is older than what its statement waits for.
READ = """
select c.channel, c.epoch, p.number, p.data, p.info,
    (extract(epoch from p.at) * 1000)::bigint as at_ms
from backbone.channels c
join backbone.publications p on p.channel_id = c.id
where c.channel = any($1::text[]) and p.writer = $2 and p.at > now() - $3::interval
order by c.channel, p.number
"""


class Doubts:
    """Finds out what became of them.

    With them comes what was handed over before; sockets drop what they had.
    """

    def __init__(
        self, pool: Pool, *, writer: int, published: Callable[[Sequence[Publication]], None]
    ) -> None:
        """`writer` is this process."""
        self._pool = pool
        self._writer = writer
        self._published = published
        # Channels, and since when. Bounded by what the pool's connections were publishing when
        # they broke.
        self._open: dict[str, float] = {}
        self._any = asyncio.Event()

    def add(self, channels: Collection[str]) -> None:
        now = monotonic()
        for channel in channels:
            self._open.setdefault(channel, now)
        self._any.set()

    async def turn(self) -> None:
        """Wait for doubts, and settle them."""
        await self._any.wait()
        self._any.clear()
        doubted, self._open = self._open, {}
        try:
            rows = await self._found(doubted)
        except BaseException:
            self._open |= doubted
            self._any.set()
            raise
        if rows:
            self._published(publications_of(rows))

    async def _found(self, doubted: Mapping[str, float]) -> Sequence[Row]:
        channels = list(doubted)
        since = timedelta(seconds=monotonic() - min(doubted.values()) + ANSWERED_S)
        await self._pool.fetch(SETTLED, channels)
        return await self._pool.fetch(READ, channels, self._writer, since)
