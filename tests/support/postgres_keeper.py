"""Runs the tests' PostgreSQL until nobody has the pipe open any more."""

import asyncio
import sys
import tempfile
from pathlib import Path

from nova.adapters.postgres.embedded import embedded
from support.postgres import CARELESS


async def keep(shared: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="nova-tests-") as data:
        async with embedded(Path(data), settings=CARELESS) as server:
            (shared / "postgres.dsn").write_text(server.dsn)
            await asyncio.to_thread((shared / "postgres.fifo").read_bytes)


asyncio.run(keep(Path(sys.argv[1])))
