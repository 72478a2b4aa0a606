"""Validation messages that name the values, fields and forms that are allowed."""

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import inspect

from nova.kernel.suggestions import did_you_mean
from nova.kernel.text import SPELLED

_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[[^\]]*\]")
_KEY = "key` in `"
_UNKNOWN_FIELD = "Object contains unknown field `"

_Lists = (inspect.CollectionType, inspect.VarTupleType)


class Choices:
    """The values of the enums and literals inside a type, and the words for its patterns."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._root: inspect.Type | None = None

    def named(self, error: msgspec.ValidationError) -> str:
        """Return the error's text, with what may stand there instead of how that is checked."""
        says, at, where = str(error).partition(" - at `")
        path = where.removesuffix("`") or "$"
        if says.startswith("Invalid enum value") and (values := self.at(path)):
            says += f"; expected one of: {', '.join(values)}"
        elif says.startswith("Expected `str` matching regex") and (words := self._words(path)):
            says = f"Expected {words}"
        elif says.startswith(_UNKNOWN_FIELD):
            near = did_you_mean(says.removeprefix(_UNKNOWN_FIELD).rstrip("`"), self._fields(path))
            says += f"; {near}" if near else ""
        return f"{says}{at}{where}"

    def at(self, where: str) -> list[str]:
        """Return the values that may stand at a path, as msgspec writes it: `$.items[0].state`."""
        return [str(value) for node in self._nodes(where) for value in _values(node)]

    def _words(self, where: str) -> str:
        """Return what is said in place of the pattern at a path."""
        return " or ".join(dict.fromkeys(w for node in self._nodes(where) for w in _spelled(node)))

    def _fields(self, where: str) -> list[str]:
        """Return the names of the fields that an object at a path may have."""
        return [
            field.encode_name
            for node in self._nodes(where)
            for each in _members(node)
            for field in getattr(each, "fields", ())
        ]

    def _nodes(self, where: str) -> Sequence[inspect.Type]:
        if self._root is None:  # only errors need it
            self._root = inspect.type_info(self._kind)
        path = where.removeprefix(_KEY)
        nodes: Sequence[inspect.Type] = [self._root]
        for step in _STEP.finditer(path):
            nodes = [inner for node in nodes for inner in _inside(node, step["field"])]
        if path != where:
            nodes = [n.key_type for node in nodes for n in _members(node) if _is_dict(n)]
        return nodes


def choices(kind: Any) -> Choices:
    """Return those of a type; what is worked out for one error serves the next."""
    return _choices(kind)


_choices = lru_cache(256)(Choices)


def _members(node: inspect.Type) -> Iterator[Any]:
    if isinstance(node, inspect.Metadata):
        node = node.type
    yield from node.types if isinstance(node, inspect.UnionType) else (node,)


def _is_dict(node: inspect.Type) -> bool:
    return isinstance(node, inspect.DictType)


def _inside(node: inspect.Type, field: str | None) -> Iterator[inspect.Type]:
    """Yield the types of a field, or of the items when it is None."""
    for each in _members(node):
        if field is not None:
            fields = getattr(each, "fields", ())
            yield from (one.type for one in fields if one.encode_name == field)
        elif isinstance(each, _Lists):
            yield each.item_type
        elif isinstance(each, inspect.DictType):
            yield each.value_type


def _spelled(node: inspect.Type) -> Iterator[str]:
    if isinstance(node, inspect.UnionType):
        for each in node.types:
            yield from _spelled(each)
    elif isinstance(node, inspect.Metadata):
        if words := (node.extra or {}).get(SPELLED):
            yield words
        yield from _spelled(node.type)


def _values(node: inspect.Type) -> Iterator[object]:
    for each in _members(node):
        if isinstance(each, inspect.LiteralType):
            yield from each.values
        elif isinstance(each, inspect.EnumType):
            yield from (value.value for value in each.cls if isinstance(value, Enum))
