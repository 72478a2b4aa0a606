"""How much of a database a statement touches: what does not depend on how fast the machine is."""

from typing import Any

import msgspec

from nova.adapters.postgres.pool import PostgresPool
from nova.ports.database import Row


class Watching:
    """A database that runs each statement under EXPLAIN, and notes how many blocks it touched."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool
        self.blocks = 0

    async def fetch(self, statement: str, *arguments: Any) -> list[Row]:
        explained = "explain (analyze, buffers, format json) " + statement
        plan = await self._pool.value(explained, *arguments)
        (seen,) = msgspec.json.decode(plan)
        self.blocks = seen["Plan"]["Shared Hit Blocks"] + seen["Plan"]["Shared Read Blocks"]
        return list(await self._pool.fetch(statement, *arguments))
