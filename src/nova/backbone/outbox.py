"""What a transaction collected, written by PostgreSQL in that same transaction."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime
from secrets import randbits, token_urlsafe
from typing import Any
from zlib import crc32

import msgspec

from nova.backbone.conclusion import Conclusion
from nova.backbone.cursor_commit import FENCED, NONE, CursorCommit, Fenced
from nova.backbone.intake import Offer
from nova.kernel.events import Fact
from nova.kernel.ids import new_id
from nova.ports.channels import Publication
from nova.ports.database import Objected, Queries, Row, Transaction

PARTITIONS = 16
"""Of the keys; a consumer's unit of ownership."""

SIGNALS = "nova_signals"
"""The NOTIFY channel that carries signals."""

_NOTIFY_BYTES = 7900  # PostgreSQL refuses payloads of 8,000; a number precedes them

APPEND = """
insert into backbone.event_log (topic, key, partition, id, type, payload, trace)
select *, $7::text from unnest(
    $1::text[], $2::text[], $3::smallint[], $4::uuid[], $5::text[], $6::bytea[])
"""

# Accepts and appends in one statement, hence one round trip and one commit. In the order of ids, so
# that two of these with the same ids wait for each other in turn. `is true` keeps the look-up a
# hashed one: the planner takes an array for ten rows, and would else compare all with all.
TAKE_IN = """
with new as (
    insert into backbone.intake (id, digest, record, at)
    select id, digest, record, $4 from unnest($1::text[], $2::bytea[], $3::uuid[])
        as w (id, digest, record)
    order by id collate "C"
    on conflict (id) do nothing
    returning id
), appended as (
    insert into backbone.event_log (id, topic, key, partition, type, payload, trace)
    select w.record, w.topic, w.key, w.partition, w.type, w.payload, $10::text
    from unnest($1::text[], $3::uuid[],
        $5::text[], $6::text[], $7::smallint[], $8::text[], $9::bytea[]) with ordinality
        as w (id, record, topic, key, partition, type, payload, place)
    where (w.id in (select id from new)) is true
    order by w.place
)
select id from new
"""

PUBLISH = """
select channel, epoch, number, data, at_ms
from backbone.publish($4, $5, $6, $7, $8, $9, $10, $1, $2, $3)
"""

SIGNAL = """
with kept as (
    insert into backbone.signals (payload) select * from unnest($2::text[])
    returning number, payload
)
select pg_notify($1, number || ' ' || payload) from kept
"""


def partition_of(key: str) -> int:
    return crc32(key.encode()) % PARTITIONS


class PostgresOutbox:
    """The Outbox over the tables of the backbone; one statement per kind and transaction."""

    def __init__(self, *, trace: Callable[[], str | None] = lambda: None) -> None:
        """`trace` returns the W3C traceparent of what is being done now, if any."""
        self.writer = randbits(62)
        """Names this process among the writers of publications."""
        self._trace = trace
        self._encode = msgspec.json.Encoder().encode

    async def append(self, queries: Queries, facts: Sequence[Fact]) -> None:
        topics, keys, partitions, types, payloads = self._facts(facts)
        ids = [new_id() for _ in facts]
        await queries.run(APPEND, topics, keys, partitions, ids, types, payloads, self._trace())

    async def take_in(self, queries: Queries, offers: Sequence[Offer], at: datetime) -> set[str]:
        """Append the facts whose ids are new, in the order given; return those ids."""
        rows = await queries.fetch(TAKE_IN, *self.columns(offers, at))
        return {row["id"] for row in rows}

    def columns(self, offers: Sequence[Offer], at: datetime) -> Sequence[object]:
        """Return the parameters of TAKE_IN."""
        return (
            [offer.id for offer in offers],
            [offer.digest for offer in offers],
            [offer.record for offer in offers],
            at,
            *self._facts([offer.fact for offer in offers]),
            self._trace(),
        )

    def _facts(self, facts: Sequence[Fact]) -> Sequence[Sequence[Any]]:
        keys = [fact.key for fact in facts]
        return (
            [fact.topic for fact in facts],
            keys,
            [partition_of(key) for key in keys],
            [type(fact).__name__ for fact in facts],
            [self._encode(fact) for fact in facts],
        )

    async def publish(
        self,
        queries: Queries,
        publications: Sequence[tuple[str, bytes, bytes | None]],
        cursors: CursorCommit | None = None,
    ) -> Sequence[Publication]:
        """Give each (channel, data, info) the next offset of its channel, in the order given.

        A consumer's cursors are moved along. Raises Fenced.
        """
        rows = await self._publish(queries.fetch, PUBLISH, _columns(publications), cursors)
        return _placed(rows, [info for _, _, info in publications])

    async def conclude(
        self, queries: Transaction, conclusion: Conclusion, cursors: CursorCommit | None
    ) -> Sequence[Publication]:
        """Run a transaction's last statement, and return what it published. Raises Fenced."""
        rows = await self._publish(queries.last, conclusion.sql, conclusion.arguments, cursors)
        return conclusion.published(rows)

    async def _publish(
        self,
        fetch: Callable[..., Awaitable[Sequence[Row]]],
        sql: str,
        arguments: Sequence[object],
        cursors: CursorCommit | None,
    ) -> Sequence[Row]:
        moved = cursors.arguments if cursors else NONE
        try:
            return await fetch(sql, *arguments, token_urlsafe(6), self.writer, *moved)
        except Objected as objection:
            if objection.code == FENCED:
                raise Fenced from None
            raise

    async def signal(self, queries: Queries, signals: Sequence[tuple[str, str]]) -> None:
        await queries.fetch(SIGNAL, SIGNALS, list(_payloads(signals)))


def _columns(
    publications: Sequence[tuple[str, bytes, bytes | None]],
) -> Sequence[Sequence[object]]:
    return [list(column) for column in zip(*publications, strict=True)]


def _placed(rows: Sequence[Row], infos: Sequence[bytes | None]) -> list[Publication]:
    return [
        Publication(row["channel"], row["number"], row["data"], info, row["at_ms"], row["epoch"])
        for row, info in zip(rows, infos, strict=True)
    ]


def _payloads(signals: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Pack signals into as few payloads as fit; the same signal twice is sent once."""
    packed: list[bytes] = []
    size = 2
    for signal in dict.fromkeys(signals):
        one = msgspec.json.encode(signal)
        if len(one) + 2 > _NOTIFY_BYTES:
            raise ValueError(f"signal {signal[0]!r} is longer than {_NOTIFY_BYTES} bytes")
        if size + len(one) + 1 > _NOTIFY_BYTES:
            yield _joined(packed)
            packed, size = [], 2
        packed.append(one)
        size += len(one) + 1
    yield _joined(packed)


def _joined(packed: Sequence[bytes]) -> str:
    return (b"[" + b",".join(packed) + b"]").decode()
