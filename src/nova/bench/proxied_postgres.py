"""Run PostgreSQL behind a proxy; both survive a restart of the server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nova.adapters.postgres.embedded import embedded
from nova.bench.proxy import Proxy, proxied


@asynccontextmanager
async def behind_proxy() -> AsyncIterator[tuple[Path, Proxy, str]]:
    """Run a PostgreSQL and a proxy before it; also return a folder, and the way past the proxy."""
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
