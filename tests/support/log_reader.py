"""A process of its own that reads the log, for tests that stop or kill one."""

import asyncio
import sys
from collections.abc import Sequence

from nova.adapters.postgres.pool import open_pool
from nova.backbone.database import Tx
from nova.kernel.events import Heard
from support.facts import Waved
from support.log import note, running


async def main(dsn: str, slow_s: float) -> None:
    """Note every wave; say so before the cursor moves, and dawdle there."""

    async def dawdle(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        await note(tx, heard)
        sys.stdout.write(f"noted {len(heard)}\n")
        sys.stdout.flush()
        await asyncio.sleep(slow_s)

    async with open_pool(dsn) as pool, running(pool, {Waved: dawdle}, lease_s=1.0):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
