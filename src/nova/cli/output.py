"""What verbs print: text for people or, with `--json`, exactly one JSON object.

A result is an object of its fields, a list is `{"data": […]}`, and a refusal is `{"error": …}`
with `code`, `detail` and `hint`, as in the HTTP API.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from nova.cli.options import say


class Listed(Struct, frozen=True):
    """A list, in the shape of the API's lists."""

    data: Sequence[Any]


def show(args: argparse.Namespace, result: object, text: Callable[[], str]) -> None:
    """Print a result as JSON if that is asked for, else as the text."""
    say(as_json(result) if args.json else _visible(text()))


def as_json(result: object) -> str:
    return _visible(msgspec.json.format(msgspec.json.encode(result, enc_hook=str)).decode())


def _visible(text: str) -> str:
    """Escape, as JSON does, what could move a terminal's cursor or turn text round."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text
    )


def refusal(code: str, detail: str, hint: str | None, **more: object) -> str:
    """Return a refusal as JSON."""
    error = {"code": code, "detail": detail, "hint": hint, **more}
    return as_json({"error": {name: value for name, value in error.items() if value is not None}})


def fields(result: object) -> str:
    """Return the fields of a result, one a line."""
    named = _named(result)
    width = max(map(len, named), default=0)
    return "\n".join(f"{name:<{width}}  {_cell(value)}".rstrip() for name, value in named.items())


def table(rows: Sequence[object], *, empty: str) -> str:
    """Return a list with a line of names above it; `empty` where it has no rows."""
    if not rows:
        return empty
    cells = [{name: _cell(value) for name, value in _named(row).items()} for row in rows]
    widths = {name: max(len(name), *(len(row[name]) for row in cells)) for name in cells[0]}
    lines = [{name: name for name in widths}, *cells]
    return "\n".join(
        "  ".join(f"{line[name]:<{width}}" for name, width in widths.items()).rstrip()
        for line in lines
    )


def _named(result: object) -> Mapping[str, Any]:
    if isinstance(result, Struct):
        return msgspec.structs.asdict(result)
    if isinstance(result, Mapping):
        return result
    raise TypeError(f"{result!r} has no fields")


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bool | dict | list):
        return msgspec.json.encode(value).decode()
    return str(value).replace("\n", "\\n")
