"""Run PostgreSQL behind a proxy, for benchmarks that kill Nova or break its connections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nova.adapters.postgres.embedded import embedded
from nova.bench.proxy import Proxy, proxied


@asynccontextmanager
async def proxied_postgres() -> AsyncIterator[tuple[Path, Proxy, str]]:
    """Yield a new folder, the proxy, and the DSN that goes around it; delete all at the end."""
    with (
        TemporaryDirectory(prefix="nova-bench-") as text,
        TemporaryDirectory(prefix="nova-bench-") as sockets,
    ):
        folder = Path(text)
        async with (
            embedded(folder / "postgres") as postgres,
            proxied(postgres.dsn, Path(sockets)) as proxy,
        ):
            yield folder, proxy, postgres.dsn
