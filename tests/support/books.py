"""The books of a database: what was accepted against what became of it."""

from collections.abc import Iterable
from typing import Any

from nova.ports.database import Queries
from support.waiting import until

LEDGER = """
select a.id,
    (select count(*) from notifications.inbox i where i.id = a.record) as delivered,
    (select count(*) from notifications.suppressed s where s.id = a.record) as suppressed,
    (select count(*) from backbone.dead_letters d where d.id = a.record) as dead,
    (select count(*) from backbone.event_log e where e.id = a.record) as facts
from backbone.intake a
"""

NUMBERS = """
select b.user_id, b.top, b.unseen, b.unread, array_agg(i.number order by i.number) as numbers
from notifications.boxes b join notifications.inbox i using (user_id) group by b.user_id
"""

OFFSETS = """
select c.channel, c.top, array_agg(p.number order by p.number) as numbers
from backbone.channels c join backbone.publications p on p.channel_id = c.id group by c.id
"""

TOTALS = """
select (select count(*) from backbone.intake) as accepted,
    (select count(*) from backbone.event_log) as facts,
    (select count(*) from notifications.inbox) as delivered,
    (select count(*) from backbone.publications) as publications
"""


async def settled(db: Queries) -> list[dict[str, Any]]:
    """Wait until everything accepted came to an end, and return what became of each."""

    async def nothing_pending() -> bool:
        rows = await db.fetch(LEDGER)
        return all(row["delivered"] + row["suppressed"] + row["dead"] for row in rows)

    await until(nothing_pending)
    return [dict(row) for row in await db.fetch(LEDGER)]


async def balance(
    db: Queries,
    *,
    delivered: Iterable[dict[str, Any]],
    suppressed: Iterable[dict[str, Any]] = (),
    dead: Iterable[dict[str, Any]] = (),
) -> None:
    """Every accepted event came to one end, once; numbers and offsets have no gaps."""
    expected = {
        event["id"]: end
        for end, events in (("delivered", delivered), ("suppressed", suppressed), ("dead", dead))
        for event in events
    }
    rows = await settled(db)
    for row in rows:
        ends = {end: row[end] for end in ("delivered", "suppressed", "dead") if row[end]}
        assert ends == {expected[row["id"]]: 1}, row
        assert row["facts"] == 1
    assert {row["id"] for row in rows} == {*expected}
    for box in await db.fetch(NUMBERS):
        assert box["numbers"] == list(range(1, box["top"] + 1))
        assert box["unseen"] == box["unread"] == box["top"]
    for channel in await db.fetch(OFFSETS):
        assert channel["numbers"] == list(range(1, channel["top"] + 1))
    assert await db.value("select count(*) from backbone.retries") == 0


async def totals(db: Queries) -> dict[str, int]:
    """Return how many rows there are of everything that an event leaves behind."""
    row = await db.row(TOTALS)
    assert row is not None
    return dict(row)
