"""Publications whose commit was not answered: handed over once it is known that they are there."""

import asyncio
from collections.abc import Callable, Sequence

from nova.ports.channels import Publication
from nova.ports.database import Pool

# A transaction that published holds its channels until it is over, whoever still listens to it.
SETTLED = "select from backbone.channels where channel = any($1::text[]) order by channel for share"

# A statement of its own, because a snapshot is older than what its statement waits for.
READ = """
select c.channel, p.number, p.data, p.info, (extract(epoch from p.at) * 1000)::bigint as at_ms
from unnest($1::text[], $2::bigint[]) as doubted (channel, number)
join backbone.channels c using (channel)
join backbone.publications p on p.channel_id = c.id and p.number = doubted.number
order by c.channel, p.number
"""


class Doubts:
    """Finds out what became of them.

    The tail does not: it passes over what this process published. An offset whose transaction
    was rolled back is another publication's by now, or nobody's; sockets drop what they had.
    """

    def __init__(self, pool: Pool, *, published: Callable[[Sequence[Publication]], None]) -> None:
        self._pool = pool
        self._published = published
        # Bounded by what the pool's connections were committing when they broke.
        self._open: set[tuple[str, int]] = set()
        self._any = asyncio.Event()

    def add(self, publications: Sequence[Publication]) -> None:
        self._open.update((each.channel, each.offset) for each in publications)
        self._any.set()

    async def turn(self) -> None:
        """Wait for doubts, and settle them."""
        await self._any.wait()
        doubted = sorted(self._open)
        channels = [channel for channel, _ in doubted]
        await self._pool.fetch(SETTLED, sorted(set(channels)))
        rows = await self._pool.fetch(READ, channels, [number for _, number in doubted])
        self._open.difference_update(doubted)
        if not self._open:
            self._any.clear()
        if rows:
            self._published(
                [
                    Publication(
                        row["channel"], row["number"], row["data"], row["info"], row["at_ms"]
                    )
                    for row in rows
                ]
            )
