"""The database: the one that is given, or the one in the data folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from nova.adapters.postgres.embedded import attach, embedded, holds_data
from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.adapters.postgres.refusals import CannotEmbed
from nova.app.starting import EMBEDDED, CannotStart, NoData
from nova.backbone.migrations import Room, migrate, rooms, show
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.ports.database import Pool
from nova.settings import Settings
from nova.web.probes import Ping

PACKAGE = Path(__file__).parents[1]
THERE = "select clock_timestamp()"
APART_S = 5.0
"""Clocks that are so far apart make leases end early, or late."""
COMMAND_WAIT_S = 10.0
"""A command waits for a connection for longer than a server, whose callers come again."""
MIGRATING_S = 3600.0
"""Statements of a migration may run for this long; locks are never waited for that long."""


class ClocksApart(Unavailable):
    """The database's clock and this machine's are apart."""

    hint = "Let NTP set both clocks."


@asynccontextmanager
async def truth(
    settings: Settings,
    *,
    statement_s: float | None = None,
    wait_s: float = COMMAND_WAIT_S,
    alone: bool = False,
    creates: bool = False,
) -> AsyncIterator[PostgresPool]:
    """Open the database: the server given, the one that runs in the data folder, or one there.

    Callers wait for a connection for up to `wait_s`.

    `alone` refuses the one that runs already, since it ends with the process that started it.
    Only `creates` makes a database where there is none: a question asked in the wrong folder
    would otherwise be answered by a new and empty one.
    """
    async with AsyncExitStack() as stack:
        address = settings.database
        try:
            if address == EMBEDDED:
                folder = settings.data / "postgres"
                running = None if alone else await attach(folder)
                if running is None and not creates and not holds_data(folder):
                    raise NoData(
                        f"There is no database in {settings.data.absolute()}. Name the folder of "
                        "your Nova with --data or NOVA_DATA, or begin there with 'nova serve'."
                    )
                address = running or (await stack.enter_async_context(embedded(folder))).dsn
            yield await stack.enter_async_context(
                open_pool(
                    address,
                    size=settings.postgres.connections,
                    wait_s=wait_s,
                    statement_timeout_s=statement_s or settings.postgres.statement_timeout_s,
                    lock_timeout_s=settings.postgres.lock_timeout_s,
                )
            )
        except CannotEmbed as reason:
            raise CannotStart(str(reason)) from reason


def database_named(settings: Settings, pool: Pool) -> Ping:
    """Return a ping of the database that says what it is, and whose."""
    whose = "embedded" if settings.database == EMBEDDED else "external"

    async def ping() -> str:
        return f"PostgreSQL {await pool.ping()}, {whose}"

    return ping


def clocks(pool: Pool, clock: Clock) -> Ping:
    """Return a ping that compares the database's clock with this machine's."""

    async def ping() -> str:
        asked = clock.now()
        there = await pool.value(THERE)
        between = asked + (clock.now() - asked) / 2
        apart = (there - between).total_seconds()
        if abs(apart) >= APART_S:
            side = "ahead of" if apart > 0 else "behind"
            raise ClocksApart(f"The database's clock is {abs(apart):,.0f} s {side} this machine's.")
        return f"The database's clock and this machine's are {abs(apart):.1f} s apart."

    return ping


async def answers(settings: Settings) -> bool:
    """Tell whether a question needs no server of its own: one is named, or runs in the folder."""
    return settings.database != EMBEDDED or await attach(settings.data / "postgres") is not None


def all_rooms() -> list[Room]:
    return rooms(PACKAGE)


async def prepare(settings: Settings) -> int:
    """Apply pending migrations and return how many there were."""
    async with truth(settings, statement_s=MIGRATING_S) as pool:
        return len(await migrate(pool, all_rooms()))


async def check_prepared(pool: PostgresPool) -> None:
    """Refuse a database that lacks migrations: an errand does not change whom it visits."""
    if pending := sum(each.applied_at is None for each in await show(pool, all_rooms())):
        raise CannotStart(
            f"The database lacks {pending} of Nova's migrations. Run 'nova migrate', or start "
            "'nova serve', which applies them."
        )
