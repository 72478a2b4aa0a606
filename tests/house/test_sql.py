"""SQL stands in stores, as named constants."""

from pathlib import Path

import pytest

from support.sql import is_store, statements

SRC = Path(__file__).parents[2] / "src" / "nova"
ENGINES = {
    "adapters/local/outbox",
    "adapters/neo4j/statements",
    "adapters/postgres/broadcast",
    "adapters/postgres/event_log",
    "adapters/postgres/idempotency",
    "adapters/postgres/log_erasure",
    "adapters/postgres/log_retention",
    "adapters/postgres/pool",
    "adapters/postgres/wakeup",
}
"""Adapters, whose modules each hold the statements of one port."""
LOG = {
    "channel_history", "channels", "cursor_commit", "dead_letters", "doubts",
    "erasure", "fanout", "intake", "jobs", "migrations", "neighbours", "outbox", "ownership",
    "presence", "retention", "signals",
}  # fmt: skip
"""Of the backbone: they become parts of the PostgreSQL adapter, with their statements."""
OTHERS = {
    "app/truth": "one statement asks the database for its time",
    "cli/doctor": "one statement looks at what the server has",
    "features/notifications/boxes": "the store of inboxes; it is renamed with the other modules",
    "features/notifications/pipeline": "one asks for the number of the transaction; the store next",
}
"""What is left elsewhere, with the reason. It only shrinks."""
LEFT = ENGINES | {f"backbone/{name}" for name in LOG} | set(OTHERS)


def modules() -> list[Path]:
    """Return every module but those of benchmarks, which look at a deployment from outside."""
    return [each for each in sorted(SRC.rglob("*.py")) if "bench" not in each.parts]


def test_statements_stand_in_stores() -> None:
    holding = {
        str(each.relative_to(SRC).with_suffix(""))
        for each in modules()
        if not is_store(each) and any(statements(each.read_text("utf-8")))
    }
    assert holding == LEFT, "move new statements into a store, and take from the lists what is gone"


def test_statements_are_named_constants() -> None:
    loose = {
        str(each.relative_to(SRC).with_suffix(""))
        for each in modules()
        if any(not one.constant for one in statements(each.read_text("utf-8")))
    }
    assert loose == {"features/notifications/pipeline"}


@pytest.mark.parametrize(
    ("source", "constants"),
    [
        ('X = "select a from b"', ["X"]),
        ('X: str = """\n-- why\nwith a as (select 1) select * from a\n"""', ["X"]),
        ('X = ("delete from a where b = $1", "update a set b = 1")', ["X", "X"]),
        ('def f(db): return db.fetch("select a from b")', [""]),
        ('def f(db): return db.run(f"update {t} set a = 1")', [""]),
        ('def f(db): return db.run("insert into a " + "values ($1)")', [""]),
        ('class A:\n    SQL = "lock table a in share mode"', [""]),
        ('def f(db): return db.value("SELECT pg_current_xact_id()")', [""]),
        ('def f(db): return db.run("truncate a.b")', [""]),
        ('def f(db): return db.run("create table a (b int)")', [""]),
        ('small = "select 1"', [""]),
        ('def f():\n    """select a from b"""', []),
        ('HINT = "Select another address."', []),
        ('HINT = "update it with nova migrate"', []),
    ],
)
def test_a_statement_is_found_however_it_is_written(source: str, constants: list[str]) -> None:
    assert [each.constant for each in statements(source)] == constants
