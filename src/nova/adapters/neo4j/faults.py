"""What the driver raises, in the words of the graph port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from neo4j.exceptions import AuthError, DriverError, Neo4jError, TransientError

from nova.ports.graph import GraphUnavailable

RETRY_AFTER_S = 1.0
_TIMED_OUT = "Neo.ClientError.Transaction."
_BROKEN = (
    "Neo.DatabaseError.",
    "Neo.ClientError.Database.",
    "Neo.ClientError.Cluster.",
    "Neo.ClientError.Security.",
)


@asynccontextmanager
async def translated(within_s: float) -> AsyncIterator[None]:
    """Run a block that calls the server, within so many seconds; raises GraphUnavailable."""
    try:
        async with asyncio.timeout(within_s):
            yield
    except TimeoutError:
        raise unavailable(f"It did not answer within {within_s:g} s.") from None
    except AuthError as wrong:
        raise unavailable(f"It refuses user and password ({wrong.code}).") from None
    except Neo4jError as wrong:
        code = wrong.code or ""
        if isinstance(wrong, TransientError) or code.startswith((_TIMED_OUT, *_BROKEN)):
            raise unavailable(f"It cannot do this now ({code}).") from wrong
        raise
    except (DriverError, OSError) as wrong:
        raise unavailable(f"It cannot be reached ({type(wrong).__name__}).") from wrong


def unavailable(why: str) -> GraphUnavailable:
    return GraphUnavailable(f"Neo4j: {why}", retry_after=RETRY_AFTER_S)
