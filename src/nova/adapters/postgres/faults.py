"""What asyncpg raises, in the words of the database port."""

import asyncpg

from nova.ports.database import (
    Dangling,
    DatabaseUnavailable,
    Duplicate,
    Locked,
    Objected,
    Violated,
)

RETRY_AFTER_S = 1.0
DISK_RETRY_AFTER_S = 5.0

CONNECTING = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What a failed attempt to connect raises; a TimeoutError is an OSError."""

_CUT = (*CONNECTING, AttributeError)
"""asyncpg has no protocol left where a connection is cut between preparing and executing."""

_UNAVAILABLE = (
    "08",  # connection exceptions
    "25006",  # read only: a standby answers
    "25P03",  # idle in a transaction for too long
    "25P04",  # a transaction for too long
    "40",  # deadlock: rolled back, and a retry may succeed
    "53",  # too little disk, memory or connections
    "57",  # cancelled, shutting down, starting up
    "58",  # errors of the disk
)
_TOLD = {
    "53100": (DatabaseUnavailable, "The database's disk is full.", DISK_RETRY_AFTER_S),
    "55P03": (Locked, "The database is waiting for a lock.", RETRY_AFTER_S),
    "57014": (
        DatabaseUnavailable,
        "The statement took too long and was cancelled.",
        RETRY_AFTER_S,
    ),
}
_ELSEWHERE = "25006"
_OBJECTION = "NV"  # begins the SQLSTATEs of Nova's own functions


def translated(wrong: Exception, *, closed: bool) -> Exception:
    """Return what a statement's caller should see; `closed` tells that its connection broke."""
    state = getattr(wrong, "sqlstate", None) or ""
    if isinstance(wrong, asyncpg.IntegrityConstraintViolationError):
        return _violation(wrong)
    if isinstance(wrong, asyncpg.InvalidCachedStatementError):
        return unavailable("The database's schema changed meanwhile.", 0.1)
    if state.startswith(_OBJECTION):
        return Objected(state)
    if state in _TOLD:
        kind, detail, retry_after = _TOLD[state]
        return kind(detail, retry_after=retry_after)
    if state.startswith(_UNAVAILABLE) or isinstance(wrong, OSError):
        return unavailable()
    return unavailable() if closed and isinstance(wrong, _CUT) else wrong


def unavailable(
    detail: str | None = None, retry_after: float = RETRY_AFTER_S
) -> DatabaseUnavailable:
    return DatabaseUnavailable(detail, retry_after=retry_after)


def is_elsewhere(wrong: Exception) -> bool:
    """Tell whether this connection leads to a server that no longer takes writes."""
    return getattr(wrong, "sqlstate", None) == _ELSEWHERE


def _violation(wrong: asyncpg.IntegrityConstraintViolationError) -> Violated:
    constraint, table = wrong.constraint_name or "", wrong.table_name or ""
    if isinstance(wrong, asyncpg.UniqueViolationError | asyncpg.ExclusionViolationError):
        return Duplicate(constraint, table)
    if isinstance(wrong, asyncpg.ForeignKeyViolationError):
        return Dangling(constraint, table)
    return Violated(constraint or wrong.column_name or "", table)
