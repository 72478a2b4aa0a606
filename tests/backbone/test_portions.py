"""Maintenance is bounded in rows and time, whatever has to be done."""

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import nova
from nova.backbone.maintenance_batches import LEAST, LONG_S, MOST, in_portions

SOURCE = Path(nova.__file__).parent
WRITES = re.compile(r"(?<!do )\b(?:delete\s+from|update)\s+[a-z_]+\.[a-z_]+")
LIMITED = re.compile(r"\blimit\s+[$tw]|ctid\s*<\s*format")
LOCKS_ALL = re.compile(r"from\s+[a-z_.]+(\s+order by [a-z_., ]+)?\s+for\s+(no key )?update")
KEYED = re.compile(r"=\s*\$\d|\w\.\w+\s*=\s*\w+\.\w|\bin\b")
BOUNDED_OTHERWISE = {
    "adapters/local/outbox.py TRIM": "as many as were just added",
    "backbone/erasure.py PRESENCE": "the sockets that are open now",
    "backbone/erasure.py SIGNALS": "those of five minutes",
    "features/deliveries/store_erasure.py LANES": "there are five",
    "features/deliveries/store_erasure.py OUTBOX": "it keeps the newest 2,000",
    "features/deliveries/store.py PART": "deliveries that are given, and what they speak for",
    "features/notifications/boxes.py REMOVE": "notifications that are given, and what they gather",
    "features/posts/store_feeds.py RESET": "the table's only row",
    "features/posts/store_feeds.py WIDEN": "authors that are given, and one row of a version",
}
"""Statements whose text does not say it, and what bounds them."""


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


def test_every_statement_that_changes_rows_bounds_how_many() -> None:
    found = dict(_statements())
    assert len(found) > 100
    unbounded = {name for name, sql in found.items() if not _bounded(sql)}
    assert unbounded == set(BOUNDED_OTHERWISE)


@pytest.mark.parametrize(
    ("sql", "bounded"),
    [
        ("delete from a.b where at < $1", False),
        ("delete from a.b where at < $1 and id = any($2::uuid[])", True),
        ("delete from a.b where id = $1 or at < now()", False),
        ("delete from a.b where exists (select from unnest($1) as w (x) where x = b.y)", False),
        ("delete from a.b where id = any(array(select id from a.b where c < $1 limit $2))", True),
        ("update a.b set c = $1", False),
        ("update a.b set c = $1 where d < $2", False),
        ("update a.b x set c = w.c from unnest($1, $2) as w (id, c) where x.id = w.id", True),
        ("with all as (select id from a.b for update) update a.b set c = 1 where id = $1", False),
        ("with gone as (delete from a.b where at < $1 returning *) select * from gone", False),
        ("insert into a.b select * from a.c on conflict (id) do update set c = 1", True),
    ],
)
def test_the_guard_tells_what_is_bounded(sql: str, bounded: bool) -> None:
    assert bool(WRITES.search(sql)) == ("insert" not in sql)
    assert _bounded(sql) is bounded


def _statements() -> Iterator[tuple[str, str]]:
    """Yield every constant with SQL that changes or deletes rows, by its module and name."""
    for path in SOURCE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                texts = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
                sql = "\n".join(re.sub("--.*", "", each) for each in texts if isinstance(each, str))
                if WRITES.search(sql) and "bench" not in path.parts:
                    yield f"{path.relative_to(SOURCE)} {node.targets[0].id}", sql


def _bounded(sql: str) -> bool:
    """Return whether a limit, blocks or keys that are given bound what each part touches."""
    if LIMITED.search(sql):
        return True
    parts = [_where(sql[match.start() :]) for match in WRITES.finditer(sql)]
    alternatives = [each for part in parts for each in re.split(r"\bor\b", part)]
    return not LOCKS_ALL.search(sql) and all(KEYED.search(each) for each in alternatives)


def _where(sql: str) -> str:
    """Return a statement's own conditions, without what they hold in parentheses."""
    sql = re.sub(r"any\s*\(\s*(\$\d+)[^()]*\)", r"\1", sql)
    depth, own = 0, ""
    for sign in sql:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            break
        own += sign if depth == 0 else ""
    return own.partition("where")[2]
