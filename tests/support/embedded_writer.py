"""Runs an embedded server and writes rows to it, telling each that was acknowledged.

Arguments: the data folder, and the id of a user to become first.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

from nova.adapters.postgres.embedded import embedded
from nova.adapters.postgres.pool import open_pool


def tell(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def write(folder: Path) -> None:
    async with embedded(folder) as server, open_pool(server.dsn) as pool:
        tell(server.pid)
        await pool.run("create table if not exists written (id bigint primary key)")
        first = await pool.value("select coalesce(max(id), 0) + 1 from written")
        for number in itertools.count(first):
            await pool.run("insert into written values ($1)", number)
            tell(number)


def become(user: int) -> None:
    """Drop root after the imports: the interpreter may lie where that user cannot read."""
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


if len(sys.argv) > 2:
    become(int(sys.argv[2]))
asyncio.run(write(Path(sys.argv[1])))
