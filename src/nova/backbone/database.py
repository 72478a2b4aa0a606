"""Transactions in which rows, facts and publications commit together."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Protocol

from nova.backbone.intake import Offer
from nova.backbone.step import Step
from nova.kernel.events import Fact
from nova.ports.channels import Publication
from nova.ports.database import Pool, Queries, Row


class Outbox(Protocol):
    """Writes what a transaction collected, inside that transaction, just before it commits."""

    async def append(self, queries: Queries, facts: Sequence[Fact]) -> None: ...
    async def take_in(
        self, queries: Queries, offers: Sequence[Offer], at: datetime
    ) -> set[str]: ...
    async def publish(
        self,
        queries: Queries,
        publications: Sequence[tuple[str, bytes, bytes | None]],
        step: Step | None = None,
    ) -> Sequence[Publication]: ...
    async def signal(self, queries: Queries, signals: Sequence[tuple[str, str]]) -> None: ...


class Tx:
    """An open transaction: SQL, facts and publications, one commit."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.facts: list[Fact] = []
        self.offers: list[tuple[Sequence[Offer], datetime]] = []
        self.publications: list[tuple[str, bytes, bytes | None]] = []
        self.signals: list[tuple[str, str]] = []
        self.committed: list[Callable[[], None]] = []
        self.step: Step | None = None
        """How far a consumer gets with this transaction; taken just before the commit."""
        self.fetch = queries.fetch
        self.row = queries.row
        self.value = queries.value
        self.run = queries.run
        self.copy = queries.copy

    async def emit(self, *facts: Fact) -> None:
        """Append facts to the event log with this transaction, in this order."""
        self.facts.extend(facts)

    def offer(self, offers: Sequence[Offer], at: datetime) -> None:
        """Append with this transaction those facts whose senders' ids are new."""
        self.offers.append((offers, at))

    def publish(self, channel: str, data: bytes, info: bytes | None = None) -> None:
        """Publish JSON to a durable channel; its offset is allocated just before the commit.

        `info` is the JSON of the publishing client, when a client published it.
        """
        self.publications.append((channel, data, info))

    def signal(self, name: str, payload: str) -> None:
        """Tell every process, this one included, once this commits: for caches and open sockets.

        Signals are few and small (all of a transaction's share 7,900 bytes); a process that
        may have missed some is told to forget everything it cached.
        """
        self.signals.append((name, payload))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the commit is durable; it must be quick and must not raise."""
        self.committed.append(call)


class Database:
    """The truth as features see it."""

    def __init__(
        self,
        pool: Pool,
        outbox: Outbox,
        *,
        wrote: Callable[[Sequence[Fact]], None],
        published: Callable[[Sequence[Publication]], None],
        doubted: Callable[[Sequence[Publication]], None] = lambda _publications: None,
    ) -> None:
        """`wrote` wakes the log's readers; `published` hands publications to open sockets.

        `doubted` gets those whose commit was not answered.
        """
        self.pool = pool
        self._outbox = outbox
        self._wrote = wrote
        self._published = published
        self._doubted = doubted

    async def fetch(self, sql: str, /, *args: Any) -> Sequence[Row]:
        return await self.pool.fetch(sql, *args)

    async def row(self, sql: str, /, *args: Any) -> Row | None:
        return await self.pool.row(sql, *args)

    async def value(self, sql: str, /, *args: Any) -> Any:
        return await self.pool.value(sql, *args)

    async def run(self, sql: str, /, *args: Any) -> int:
        return await self.pool.run(sql, *args)

    async def take_in(self, offers: Sequence[Offer], at: datetime) -> set[str]:
        """Append the facts whose senders' ids are new, and return these ids; durable then.

        Where the outcome is unknown, it raises DatabaseUnavailable; offering again is safe.
        """
        new = await self._outbox.take_in(self.pool, offers, at)
        if new:
            self._wrote([offer.fact for offer in offers if offer.id in new])
        return new

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        await self.pool.copy(table, columns, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """Run a block in one transaction; what it emitted and published is durable at its end."""
        publications: Sequence[Publication] = ()
        try:
            async with self.pool.begin() as queries:
                tx = Tx(queries)
                yield tx
                publications = await self._write(tx, queries)
        except BaseException:  # a cancelled commit may have happened, too
            if publications:
                self._doubted(publications)
            raise
        if facts := [*tx.facts, *(offer.fact for offers, _ in tx.offers for offer in offers)]:
            self._wrote(facts)
        if publications:
            self._published(publications)
        for call in tx.committed:
            call()

    async def _write(self, tx: Tx, queries: Queries) -> Sequence[Publication]:
        """Write what the transaction collected; return its publications with their offsets."""
        if tx.facts:
            await self._outbox.append(queries, tx.facts)
        for offers, at in tx.offers:
            await self._outbox.take_in(queries, offers, at)
        if tx.signals:
            await self._outbox.signal(queries, tx.signals)
        if tx.publications:
            # Last, because offsets lock their channel until the commit.
            return await self._outbox.publish(queries, tx.publications, tx.step)
        if tx.step:
            await tx.step.take(queries)
        return ()
