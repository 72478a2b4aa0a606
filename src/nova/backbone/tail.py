"""Publications of other processes, read behind them."""

from collections.abc import Callable, Sequence

from nova.backbone.doorbell import Bell
from nova.ports.channels import Publication
from nova.ports.database import Pool, Row

_MOST = 1000

START = "select pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"

# `with ties`: whole transactions, so that xact alone says how far the tail got.
READ = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax, p.*
from (values (1)) as always (one) left join lateral (
    select p.xact::text::bigint as xact, p.writer, c.channel, c.epoch, p.number, p.data, p.info,
        (extract(epoch from p.at) * 1000)::bigint as at_ms
    from (
        select * from backbone.publications
        where xact > $1::text::xid8 and xact < pg_snapshot_xmin(pg_current_snapshot())
            and writer <> $2
        order by xact fetch first 1000 rows with ties
    ) p join backbone.channels c on c.id = p.channel_id
) p on true
order by p.channel, p.number
"""


class Tail:
    """Hands over what other processes published, once it is surely committed."""

    def __init__(
        self,
        pool: Pool,
        *,
        writer: int,
        wait_s: float,
        published: Callable[[Sequence[Publication]], None],
    ) -> None:
        """`writer` is this process, whose own publications were handed over at their commit."""
        self.bell = Bell(wait_s, ())  # only others write what it reads
        self._pool = pool
        self._writer = writer
        self._published = published
        self._at: int | None = None

    async def start(self) -> None:
        """Begin here: what is published from now on will be handed over."""
        self._at = await self._pool.value(START)

    async def turn(self) -> None:
        if self._at is None:
            await self.start()
        self.bell.answer()
        rows = await self._pool.fetch(READ, str(self._at), self._writer)
        found = [row for row in rows if row["number"] is not None]
        if found:
            self._published([publication(row) for row in found])
        if len(found) >= _MOST:
            self._at = max(row["xact"] for row in found)
            return
        self._at = rows[0]["xmin"] - 1
        await self.bell.wait(rows[0]["xmin"], rows[0]["xmax"])


def publication(row: Row) -> Publication:
    return Publication(
        row["channel"], row["number"], row["data"], row["info"], row["at_ms"], row["epoch"]
    )
