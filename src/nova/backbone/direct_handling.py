"""Direct handling: a consumer handles facts in the transaction that appends them to the log."""

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import lru_cache
from time import monotonic
from typing import Any, Protocol

from structlog import get_logger

from nova.backbone.statistics import Counts
from nova.kernel.events import Fact, Heard
from nova.ports.database import Row, Transaction

_log = get_logger()

# As backbone.outbox.TAKE_IN, but it fails where an id is known (`on conflict` costs a third more),
# or where other processes may have appended what is not yet handled.
APPEND = """
appended_ids as (
    insert into backbone.intake (id, digest, record, at)
    select id, digest, record, $4 from unnest($1::text[], $2::bytea[], $3::uuid[])
        as w (id, digest, record)
    order by id collate "C"
), appended_facts as (
    insert into backbone.event_log (id, topic, key, partition, type, payload, trace, heard_by)
    select w.*, $10::text, (select backbone.heard_directly($11, $12))
    from unnest($3::uuid[], $5::text[], $6::text[], $7::smallint[], $8::text[], $9::bytea[]) w
)
"""
APPEND_ALONE = f"with {APPEND} select"

PAUSE_S = 1.0
"""For so long facts go through the log alone after their direct handling failed."""


@lru_cache(maxsize=64)
def appending(sql: str) -> str:
    """Return a statement that begins with `with`, and appends facts, too.

    The parameters of APPEND follow its own.
    """
    own = max(int(number) for number in re.findall(r"\$(\d+)", sql))
    append = re.sub(r"\$(\d+)", lambda found: f"${int(found[1]) + own}", APPEND)
    return f"with {append}, {sql.strip().removeprefix('with')}"


class AppendingFirst(Transaction):
    """A transaction that appends facts to the log before its first statement or within its last."""

    def __init__(self, queries: Transaction, facts: Sequence[object]) -> None:
        """`facts` are the parameters of APPEND."""
        self._queries = queries
        self._facts = facts
        self._appended = False

    async def append(self) -> None:
        """Append the facts, unless that is done."""
        if not self._appended:
            self._appended = True
            await self._queries.run(APPEND_ALONE, *self._facts)

    async def fetch(self, sql: str, /, *args: Any) -> Sequence[Row]:
        await self.append()
        return await self._queries.fetch(sql, *args)

    async def row(self, sql: str, /, *args: Any) -> Row | None:
        await self.append()
        return await self._queries.row(sql, *args)

    async def value(self, sql: str, /, *args: Any) -> Any:
        await self.append()
        return await self._queries.value(sql, *args)

    async def run(self, sql: str, /, *args: Any) -> int:
        await self.append()
        return await self._queries.run(sql, *args)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        await self.append()
        await self._queries.copy(table, columns, rows)

    async def last(self, sql: str, /, *args: Any) -> Sequence[Row]:
        if self._appended:
            return await self._queries.last(sql, *args)
        self._appended = True
        return await self._queries.last(appending(sql), *args, *self._facts)


class Reader(Protocol):
    """One of a consumer's readers of the log."""

    @property
    def has_heard_all(self) -> bool: ...


class DirectHandling:
    """Decides which facts one consumer handles directly, and counts them.

    It saves the consumer the reading of the log, and a commit. The order of each key stays: a fact
    is only handled directly when no earlier one is waiting in the log. What fails goes through the
    log, with its retries and dead letters.
    """

    def __init__(
        self,
        consumer: str,
        hear: Callable[[Any, Sequence[Heard[Any]]], Awaitable[None]],
        *,
        process: int,
        suits: Callable[[Any], bool],
        others: Callable[[], bool],
        readers: Sequence[Reader],
        counts: Counts,
    ) -> None:
        """`suits` tells whether a fact needs nothing that only one transaction at a time may do.

        `process` is this one among the members, `others` tells whether it knows of further ones.
        """
        self.consumer = consumer
        self.process = process
        self.hear = hear
        self._suits = suits
        self._others = others
        self._readers = readers
        self._counts = counts
        self._not_before = 0.0

    def allows(self, facts: Sequence[Fact]) -> bool:
        """Return whether these may be handled now, as far as this process knows."""
        return (
            not self._others()
            and all(reader.has_heard_all for reader in self._readers)
            and monotonic() >= self._not_before
            and all(map(self._suits, facts))
        )

    def handled(self, count: int) -> None:
        self._counts.handled(count)

    def pause(self) -> None:
        """Leave the facts of the next second to the readers of the log."""
        self._not_before = monotonic() + PAUSE_S

    def failed(self, wrong: Exception) -> None:
        """Count and log an error of the listener; the log's readers try each fact by itself."""
        self.pause()
        self._counts.failed()
        _log.warning("direct_handling_failed", consumer=self.consumer, error=type(wrong).__name__)
