"""The composition root's part about what carries messages between the sockets of processes."""

import importlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from structlog import get_logger

from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.app.starting import EMBEDDED, CannotStart
from nova.ports.broadcast import Broadcast, BroadcastUnavailable
from nova.ports.database import Pool
from nova.settings import Settings

AT_RISK = "the death of one stops the cluster"
"""What an engine says of itself that has nothing in reserve."""


@asynccontextmanager
async def engine(settings: Settings, pool: Pool) -> AsyncIterator[Broadcast]:
    """Open the engine that the settings name; no call yet."""
    async with outside(settings) as found:
        yield found or PostgresBroadcast(pool)


@asynccontextmanager
async def outside(settings: Settings) -> AsyncIterator[Broadcast | None]:
    """Open the engine that the settings name, if it is not the database; no call yet."""
    if settings.sockets == EMBEDDED:
        yield None
        return
    try:
        opened = importlib.import_module("nova.adapters.redis.broadcast").open_broadcast(
            settings.sockets
        )
    except ModuleNotFoundError as missing:
        raise CannotStart(
            f"The setting 'sockets' names Redis, and the package {missing.name!r} is not "
            "installed. Install nova-social[redis]."
        ) from missing
    async with AsyncExitStack() as stack:
        try:
            found: Broadcast = await stack.enter_async_context(opened)
        except ValueError as wrong:
            raise CannotStart(
                f"The setting 'sockets' is no address of a Redis Cluster: {wrong}."
            ) from wrong
        yield found


async def reached(engine: Broadcast) -> str:
    """Never begin without an engine that was asked for; return how it is."""
    try:
        await engine.check()
        state = await engine.ping()
    except BroadcastUnavailable as reason:
        raise CannotStart(
            f"{reason.detail} Check the setting 'sockets', and that all nodes run."
        ) from reason
    if AT_RISK in state:
        get_logger().warning("sockets_at_risk", engine=state)
    return state
