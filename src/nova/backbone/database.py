"""Transactions in which rows, facts and publications commit together."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Protocol

from nova.backbone.conclusion import Conclusion
from nova.backbone.cursor_commit import CursorCommit
from nova.backbone.direct_handling import AppendingFirst, DirectHandling
from nova.backbone.intake import Offer
from nova.kernel.errors import Unavailable
from nova.kernel.events import Fact, Heard
from nova.ports.channels import Publication
from nova.ports.database import (
    Locked,
    Objected,
    Pool,
    Queries,
    Row,
    Transaction,
    Violated,
)

PART = "savepoint part"
UNDO = "rollback to savepoint part"
DONE = "release savepoint part"


class Outbox(Protocol):
    """Writes what a transaction collected, inside that transaction, just before it commits."""

    async def append(self, queries: Queries, facts: Sequence[Fact]) -> None: ...
    async def take_in(
        self, queries: Queries, offers: Sequence[Offer], at: datetime
    ) -> set[str]: ...
    def columns(self, offers: Sequence[Offer], at: datetime) -> Sequence[object]: ...
    async def publish(
        self,
        queries: Queries,
        publications: Sequence[tuple[str, bytes, bytes | None]],
        cursors: CursorCommit | None = None,
    ) -> Sequence[Publication]: ...
    async def conclude(
        self, queries: Transaction, conclusion: Conclusion, cursors: CursorCommit | None
    ) -> Sequence[Publication]: ...
    async def signal(self, queries: Queries, signals: Sequence[tuple[str, str]]) -> None: ...


class Tx:
    """An open transaction: SQL, facts and publications, one commit."""

    def __init__(self, queries: Transaction) -> None:
        self.queries = queries
        self.facts: list[Fact] = []
        self.offers: list[tuple[Sequence[Offer], datetime]] = []
        self.publications: list[tuple[str, bytes, bytes | None]] = []
        self.signals: list[tuple[str, str]] = []
        self.committed: list[Callable[[], None]] = []
        self.placed: list[Publication] = []
        """Publications that have their offsets, for open sockets after the commit."""
        self.conclusion: Conclusion | None = None
        self.is_closing = False
        """Whether nothing comes after what has the transaction now, so that it may conclude it."""
        self.is_first = False
        """Whether its consumer never heard these facts before."""
        self.cursors: CursorCommit | None = None
        """Where a consumer stands after this transaction; applied just before the commit."""
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

    def conclude(self, conclusion: Conclusion) -> None:
        """Run this as the last statement, which publishes what it makes.

        Only for who `is_closing` and publishes nothing else: locks are then taken in one order.
        """
        if not self.is_closing or self.publications:
            raise RuntimeError("a transaction is concluded once, by who publishes last")
        self.conclusion = conclusion

    def signal(self, name: str, payload: str) -> None:
        """Tell every process, this one included, once this commits: for caches and open sockets.

        Signals are few and small (all of a transaction's share 7,900 bytes); a process that
        may have missed some is told to forget everything it cached.
        """
        self.signals.append((name, payload))

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call this once the commit is durable; it must be quick and must not raise."""
        self.committed.append(call)


class _Together:
    """One transaction of the database whose parts look like transactions of their own.

    The first part opens it: who only reads, or waits before they write, holds no connection.
    """

    def __init__(self, pool: Pool, stack: AsyncExitStack) -> None:
        self.queries: Transaction | None = None
        self.parts: list[Tx] = []
        self._pool = pool
        self._stack = stack
        self._task = asyncio.current_task()

    @property
    def is_of_this_task(self) -> bool:
        """Tasks inherit the context of those that start them, and may work for others, too."""
        return asyncio.current_task() is self._task

    @asynccontextmanager
    async def part(self) -> AsyncIterator[Tx]:
        """Run a block in it; when the block fails, it alone is undone."""
        if self.queries is None:
            self.queries = await self._stack.enter_async_context(self._pool.begin())
        await self.queries.run(PART)
        before = len(self.parts)
        try:
            yield (tx := Tx(self.queries))
        except Exception:
            del self.parts[before:]
            with suppress(Unavailable):  # the connection broke, so all of it is undone
                await self.queries.run(UNDO)
            raise
        await self.queries.run(DONE)
        self.parts.append(tx)


_together: ContextVar[_Together | None] = ContextVar("together", default=None)


def _current() -> _Together | None:
    """Return what this task's transactions are parts of now, if anything."""
    together = _together.get()
    return together if together is not None and together.is_of_this_task else None


class Database:
    """The truth as features see it."""

    def __init__(
        self,
        pool: Pool,
        outbox: Outbox,
        *,
        wrote: Callable[[Sequence[Fact]], None],
        published: Callable[[Sequence[Publication]], None],
        doubted: Callable[[Collection[str]], None] = lambda _channels: None,
    ) -> None:
        """`wrote` wakes the log's readers; `published` hands publications to open sockets.

        `doubted` gets the channels of those whose commit was not answered.
        """
        self.pool = pool
        self._outbox = outbox
        self._wrote = wrote
        self._published = published
        self._doubted = doubted
        self.direct: dict[type[Fact], DirectHandling] = {}
        """Which facts may be handled in the transaction that takes them in."""
        self._handling: set[asyncio.Event] = set()

    async def fetch(self, sql: str, /, *args: Any) -> Sequence[Row]:
        return await self._here.fetch(sql, *args)

    async def row(self, sql: str, /, *args: Any) -> Row | None:
        return await self._here.row(sql, *args)

    async def value(self, sql: str, /, *args: Any) -> Any:
        return await self._here.value(sql, *args)

    async def run(self, sql: str, /, *args: Any) -> int:
        return await self._here.run(sql, *args)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        await self._here.copy(table, columns, rows)

    async def take_in(self, offers: Sequence[Offer], at: datetime) -> set[str]:
        """Append the facts whose senders' ids are new, and return these ids; durable then.

        Where the outcome is unknown, it raises DatabaseUnavailable; offering again is safe.
        """
        direct = self._direct(offers)
        if direct is not None and await self._handled(direct, offers, at):
            return {offer.id for offer in offers}
        facts = [offer.fact for offer in offers]
        try:
            new = await self._outbox.take_in(self.pool, offers, at)
        except BaseException:
            self._wrote(facts)  # perhaps they were
            raise
        self._wrote(facts)  # also those that are known: their sender may have got no answer
        await asyncio.sleep(0)  # its readers ask for it before its sender is answered
        return new

    def _direct(self, offers: Sequence[Offer]) -> DirectHandling | None:
        facts = [offer.fact for offer in offers]
        kind, *others = {type(fact) for fact in facts}
        direct = None if others else self.direct.get(kind)
        return direct if direct is not None and direct.allows(facts) else None

    async def settled(self) -> None:
        """Return once every direct handling that has begun is over."""
        for over in tuple(self._handling):
            await over.wait()

    async def _handled(self, direct: DirectHandling, offers: Sequence[Offer], at: datetime) -> bool:
        self._handling.add(over := asyncio.Event())
        try:
            return await self._handle(direct, offers, at)
        finally:
            self._handling.remove(over)
            over.set()

    async def _handle(self, direct: DirectHandling, offers: Sequence[Offer], at: datetime) -> bool:
        """Take facts in and have them handled, all in one transaction; False if nothing is done."""
        appended = (*self._outbox.columns(offers, at), direct.consumer, direct.process)
        heard = [Heard(offer.fact, offer.record, at, None, 1) for offer in offers]
        try:
            async with self._alone(appended) as tx:
                tx.is_closing = tx.is_first = True
                await direct.hear(tx, heard)
        except (Violated, Objected, Locked):
            # One is known, or others are at work, or somebody holds what it needs.
            direct.pause()
            return False
        except Unavailable:
            raise
        except Exception as wrong:  # noqa: BLE001  # the edge of a listener
            direct.failed(wrong)
            return False
        direct.handled(len(offers))
        return True

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        """Run a block in one transaction; what it emitted and published is durable at its end.

        Inside `together`, it is durable at the end of that.
        """
        together = _current()
        return self._alone() if together is None else self._part(together)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Have all transactions of this task commit as one at the end of the block, or not at all.

        Once the first has begun, the task's own reads and statements go through it, too.
        `take_in`, and whatever other tasks do, is not part of it.
        """
        stack = AsyncExitStack()
        together = _Together(self.pool, stack)
        try:
            async with stack:
                before = _together.set(together)
                try:
                    yield
                finally:
                    _together.reset(before)
        except BaseException as wrong:
            self._doubt(wrong, together.parts)
            raise
        self._tell(together.parts)

    @asynccontextmanager
    async def _alone(self, appended: Sequence[object] = ()) -> AsyncIterator[Tx]:
        """Run a block in a transaction, which also appends facts: these parameters of APPEND."""
        begun: list[Tx] = []
        try:
            async with self.pool.begin() as queries:
                first = AppendingFirst(queries, appended) if appended else None
                begun.append(tx := Tx(first or queries))
                yield tx
                if first and not tx.conclusion:  # else its statement appends, too
                    await first.append()
                await self._write(tx)
        except BaseException as wrong:
            self._doubt(wrong, begun)
            raise
        self._tell(begun)

    @asynccontextmanager
    async def _part(self, together: _Together) -> AsyncIterator[Tx]:
        async with together.part() as tx:
            yield tx
            await self._write(tx)

    @property
    def _here(self) -> Queries:
        together = _current()
        return together.queries or self.pool if together else self.pool

    def _tell(self, committed: Sequence[Tx]) -> None:
        """Tell readers of the log, open sockets and who asked for it."""
        for tx in committed:
            accepted = [offer.fact for offers, _ in tx.offers for offer in offers]
            if facts := [*tx.facts, *accepted]:
                self._wrote(facts)
            if tx.placed:
                self._published(tx.placed)
            # Calls hold what they tell of, which is mostly the transaction itself: kept in it, they
            # would keep each batch alive until the garbage collector comes by.
            calls, tx.committed = tx.committed, []
            for call in calls:
                call()

    def _doubt(self, wrong: BaseException, unanswered: Sequence[Tx]) -> None:
        if isinstance(wrong, Exception) and not isinstance(wrong, Unavailable):
            return  # an answer; without one, cancelled or not, a commit may have happened
        channels = {each.channel for tx in unanswered for each in tx.placed}
        channels.update(*(tx.conclusion.channels for tx in unanswered if tx.conclusion))
        if channels:
            self._doubted(channels)

    async def _write(self, tx: Tx) -> None:
        """Write what the transaction collected."""
        queries = tx.queries
        if tx.facts:
            await self._outbox.append(queries, tx.facts)
        for offers, at in tx.offers:
            await self._outbox.take_in(queries, offers, at)
        if tx.signals:
            await self._outbox.signal(queries, tx.signals)
        # Last, because offsets lock their channel until the commit.
        if tx.conclusion:
            tx.placed += await self._outbox.conclude(queries, tx.conclusion, tx.cursors)
        elif tx.publications:
            tx.placed += await self._outbox.publish(queries, tx.publications, tx.cursors)
        elif tx.cursors:
            await tx.cursors.apply(queries)
