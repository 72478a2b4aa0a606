"""Processes that are killed in the middle of everything lose nothing and do nothing twice."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import support
from support.notified import world

EACH = 20


async def killed_after(dsn: str, name: str, turns: int) -> list[str]:
    """Run a process until it has accepted so much, kill it, and return what it had accepted."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "support.notified_process",
        dsn,
        name,
        stdout=PIPE,
        cwd=Path(support.__file__).parents[1],
    )
    assert process.stdout is not None
    said = b""
    while said.count(b"accepted ") < turns:
        said += await process.stdout.readline()
    process.kill()
    said += await process.stdout.read()
    await process.wait()
    whole = [line.decode() for line in said.splitlines(keepends=True) if line.endswith(b"\n")]
    batches = [line.split()[1] for line in whole if line.startswith("accepted ")]
    return [f"{batch}-{n}" for batch in batches for n in range(EACH)]


async def test_a_killed_process_leaves_nothing_half_and_nothing_twice(dsn: str) -> None:
    accepted = []
    for round_, turns in enumerate((3, 7, 12)):
        accepted += await killed_after(dsn, f"p{round_}", turns)
    async with world(dsn) as here:
        await here.settled()
        ben = here.ids["ben"]
        rows = await here.pool.fetch(
            "select event_id, number from notifications.inbox where user_id = $1 order by number",
            ben,
        )
        assert [row["number"] for row in rows] == list(range(1, len(rows) + 1))
        names = [row["event_id"] for row in rows]
        assert len(set(names)) == len(names)
        assert len(accepted) >= (3 + 7 + 12) * EACH
        assert set(accepted) <= set(names)
        counts = await here.all.inbox.counts(ben)
        assert (counts.unseen, counts.unread) == (len(rows), len(rows))
        position = await here.backbone.channels.position(f"user:{ben}")
        assert position.offset == len(rows)
