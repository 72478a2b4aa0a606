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
    """Note every wave; say so before the cursor moves, dawdle there, and say if it was kept."""

    def say(what: str) -> None:
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()

    async def dawdle(tx: Tx, heard: Sequence[Heard[Waved]]) -> None:
        await note(tx, heard)
        say(f"noted {len(heard)}")
        tx.after_commit(lambda: say("kept"))
        await asyncio.sleep(slow_s)

    async with open_pool(dsn) as pool, running(pool, {Waved: dawdle}, lease_s=1.0):
        say("ready")
        await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], float(sys.argv[2])))
