"""The truth: a relational database that speaks PostgreSQL's SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from nova.kernel.errors import Unavailable

Row = Mapping[str, Any]


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached at the moment."""

    code = "database_unavailable"
    hint = "Nova reconnects by itself; retry after the number of seconds given."


class Locked(DatabaseUnavailable):
    """Somebody else holds a lock in the database for longer than Nova waits."""


class Violated(Exception):
    """A row contradicts a constraint of its table; `constraint` and `table` are their names."""

    def __init__(self, constraint: str, table: str = "") -> None:
        self.constraint = constraint
        self.table = table
        super().__init__(f"{table}: {constraint}")


class Duplicate(Violated):
    """A unique or exclusion constraint: there is such a row already."""


class Dangling(Violated):
    """A foreign key: the row that this one points to is not there, or still pointed to."""


class NotCommitted(Exception):
    """A statement of the transaction failed and its block went on; nothing was stored."""


class Objected(Exception):
    """One of Nova's own functions in the database refused; `code` is its SQLSTATE, `NV…`."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


class Queries(Protocol):
    """Somewhere to run SQL: a pool (each call its own transaction) or a transaction.

    Parameters are `$1`, `$2`, …. A statement that never reached the database
    raises DatabaseUnavailable; so does one whose outcome is unknown. A broken
    constraint raises Violated or one of its subclasses.

    `json` and `jsonb` parameters are `str` or `bytes` holding JSON; columns come
    back as `bytes`.
    """

    async def fetch(self, sql: str, /, *args: Any) -> Sequence[Row]:
        """Run and return all rows."""

    async def row(self, sql: str, /, *args: Any) -> Row | None:
        """Run and return the first row, or None."""

    async def value(self, sql: str, /, *args: Any) -> Any:
        """Run and return the first column of the first row, or None."""

    async def run(self, sql: str, /, *args: Any) -> int:
        """Run and return the number of rows touched."""

    async def copy(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Append many rows to a table by COPY: several times faster than an insert."""


class Transaction(Queries, Protocol):
    """A transaction, which begins with its first statement."""

    async def last(self, sql: str, /, *args: Any) -> Sequence[Row]:
        """Run the last statement and return all rows.

        One that is also the first commits by itself: durable when this returns, and two round
        trips cheaper. Raises DatabaseUnavailable also where its outcome is unknown.
        """


class Pool(Queries, Protocol):
    """A bounded set of connections."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a read-committed transaction: commits at the end, rolls back on an exception.

        When the block ends without an exception, the commit is durable.
        """

    async def listen(self, channel: str, heard: Callable[[str, bool], None]) -> None:
        """Call `heard(payload, own)` for each NOTIFY on `channel`, over reconnects.

        `own` tells whether this pool sent it, by `notify` or in a transaction. After a
        reconnect, `heard("", False)` is called once, since notifications may have been missed.
        """

    async def notify(self, channel: str, payload: str = "") -> None:
        """Send a NOTIFY now; `listen` of this same process sees it as its own."""

    async def fetch_aside(self, sql: str, /, *args: Any) -> Sequence[Row]:
        """Run a query on the connection that listens: no busy pool holds it up.

        Within a second it returns or raises DatabaseUnavailable; then what `listen` should have
        told may be unheard.
        """

    async def ping(self) -> str:
        """Return the server's version, or raise DatabaseUnavailable."""
