"""Maintenance is bounded in rows and time, whatever has to be done."""

import asyncio
import re
from pathlib import Path

import nova
from nova.backbone.maintenance_batches import LEAST, LONG_S, MOST, in_portions

SOURCE = Path(nova.__file__).parent
NAMED = re.compile(
    r"^((?:[A-Z_]*_)?(?:FORGET|EXPIRE|EXPIRED|OLD|OVERDUE|DROP_DEFAULT|EMPTY|PRUNE)[A-Z_]*)"
    r' = (?:"""(.*?)"""|"(.*?)")$',
    re.MULTILINE | re.DOTALL,
)


async def test_portions_go_on_until_one_finds_less_than_it_may_touch() -> None:
    left = [2 * MOST + 7]
    asked: list[int] = []

    async def portion(most: int) -> int:
        asked.append(most)
        gone = min(most, left[0])
        left[0] -= gone
        return gone

    assert await in_portions(portion) == 2 * MOST + 7
    assert asked == [MOST] * 3


async def test_portions_that_take_long_become_smaller() -> None:
    asked: list[int] = []

    async def slow(most: int) -> int:
        asked.append(most)
        await asyncio.sleep(LONG_S * 1.1)
        return most if len(asked) < 8 else 0

    await in_portions(slow)
    assert asked == [max(LEAST, MOST >> n) for n in range(8)]


def test_every_statement_that_forgets_says_how_many_rows_at_most() -> None:
    deleting = [
        (path.name, name, one or other)
        for path in SOURCE.rglob("*.py")
        for name, one, other in NAMED.findall(path.read_text())
        if "delete from" in one + other
    ]
    assert len(deleting) > 12
    unbounded = {(path, name) for path, name, sql in deleting if "limit $" not in sql}
    assert unbounded == {
        ("retention.py", "FORGET_CHANNELS"),  # a round of channels is a portion already
        ("hashtag_backfill.py", "FORGET"),  # the posts that were just read
        ("erasure.py", "FORGET"),  # as many as a portion of the log named
        ("store_devices.py", "FORGET"),  # one device
        ("store_devices.py", "FORGET_OLDEST"),  # one person's, who has a few
    }
