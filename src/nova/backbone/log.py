"""The event log as its readers see it: what is surely committed, in one order for everybody."""

from collections.abc import Sequence
from typing import NamedTuple

from nova.kernel.events import Record
from nova.ports.database import Queries, Row

# Everything below the snapshot's xmin is decided: committed and visible, or rolled back. Above it,
# a transaction that is still open may yet commit rows that sort before ones already visible.
# The limit is a subquery so that the planner cannot compare it with its poor guess of how many
# rows the filters leave: it would sort a whole backlog for each batch instead of using the index.
READ = """
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin,
    pg_snapshot_xmax(pg_current_snapshot())::text::bigint as xmax, e.*
from (values (1)) as always (one) left join lateral (
    select position, xact::text::bigint as xact, topic, key, partition, id, type, payload, trace, at
    from backbone.event_log
    where xact < pg_snapshot_xmin(pg_current_snapshot())
        and (event_log.xact, position) > ($1::text::xid8, $2::bigint)
        and (event_log.xact, position) <= ($3::text::xid8, $4::bigint)
        and partition = any($5::smallint[]) and type = any($6::text[])
        and heard_by is distinct from $8::text
    order by event_log.xact, position
    limit (select $7::bigint)
) e on true
order by e.xact, e.position
"""


class Cursor(NamedTuple):
    """How far a reader got: everything up to and including this, in (xact, position) order."""

    xact: int
    position: int


BEGINNING = Cursor(0, 0)
END = Cursor(2**64 - 1, 2**63 - 1)


class Stretch(NamedTuple):
    """What one look at the log found, and the snapshot it was taken with."""

    records: Sequence[Record]
    xmin: int
    """Every transaction below is decided."""
    xmax: int
    """No transaction from here on had begun to write."""


async def read(
    queries: Queries,
    after: Cursor,
    *,
    upto: Cursor = END,
    partitions: Sequence[int],
    types: Sequence[str],
    most: int,
    consumer: str = "",
) -> Stretch:
    """Return the next decided records, at most `most`, of these partitions and types.

    What the consumer handled directly is left out.
    """
    rows = await queries.fetch(
        READ,
        str(after.xact),
        after.position,
        str(upto.xact),
        upto.position,
        partitions,
        types,
        most,
        consumer,
    )
    first = rows[0]
    found = rows if first["position"] is not None else ()
    records = [Record(*list(row.values())[2:]) for row in found]
    return Stretch(records, first["xmin"], first["xmax"])


def record(row: Row, attempt: int = 1) -> Record:
    return Record(
        row["position"],
        row["xact"],
        row["topic"],
        row["key"],
        row["partition"],
        row["id"],
        row["type"],
        row["payload"],
        row["trace"],
        row["at"],
        attempt,
    )
