"""Finds SQL statements in Python source, and those that are not named constants of a module."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

STATEMENT = re.compile(
    r"""\s*(--[^\n]*\n\s*)*(
        select\s+(\S+\s+)*?from\b | select\s+\S*\( | select\s+[$*\d] | select\s+(exists|not)\b
      | with\s+(recursive\s+)?\w+\s*(\([^)]*\)\s*)?as\b
      | insert\s+into\s | delete\s+from\s | update\s+(only\s+)?[\w.{}"]+(\s+(as\s+)?\w+)?\s+set\b
      | (create|alter|drop)\s+(or\s+replace\s+|unlogged\s+|temp\s+|unique\s+)*
        (table|index|schema|function|extension|view|role|database|type|sequence|trigger)\b
      | truncate\s+(table\s+)?[\w.]+ | (un)?listen\s+[\w"{*]+$ | notify\s+\w+ | copy\s+[\w.]+\s
      | lock\s+table\s | (vacuum|analyze|explain|reset)\b\s+[\w(.]
      | set\s+(local\s+|session\s+)?[\w.]+\s*(=|\bto\b)
    )""",
    re.VERBOSE | re.IGNORECASE,
)


class Statement(Struct, frozen=True):
    """A statement, and the constant of its module that it is; "" where it is none."""

    line: int
    constant: str


def statements(source: str) -> Iterator[Statement]:
    """Yield the SQL statements of a module, however they are written."""
    tree = ast.parse(source)
    named: dict[int, str] = {}
    for line in tree.body:
        target = line.targets[0] if isinstance(line, ast.Assign) else None
        if isinstance(line, ast.AnnAssign):
            target = line.target
        if isinstance(target, ast.Name) and target.id.isupper():
            named |= {id(each): target.id for each in ast.walk(line)}
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            texts |= {id(each) for each in node.values}
            if is_statement(_joined(node)):
                yield Statement(node.lineno, "")  # built, not named
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in texts
            and is_statement(node.value)
        ):
            yield Statement(node.lineno, named.get(id(node), ""))


def is_statement(text: str) -> bool:
    """Tell SQL from prose, which begins with one capital letter."""
    found = STATEMENT.match(text)
    return found is not None and (found[2][:6].islower() or found[2][:6].isupper())


def is_store(module: Path) -> bool:
    """Tell whether a module is one of those that hold SQL."""
    name = module.stem
    return name == "store" or name.startswith("store_") or name.endswith("_store")


def _joined(text: ast.JoinedStr) -> str:
    return "".join(
        str(each.value) if isinstance(each, ast.Constant) else "{}" for each in text.values
    )
