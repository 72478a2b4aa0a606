"""What may stand where, for messages that name the way out."""

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import msgspec
from msgspec import inspect

_STEP = re.compile(r"\.(?P<field>[^.\[\]]+)|\[[^\]]*\]")
_KEY = "key` in `"

_Lists = (inspect.CollectionType, inspect.VarTupleType)


class Choices:
    """The values of the enums and literals inside a type."""

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._root: inspect.Type | None = None

    def named(self, error: msgspec.ValidationError) -> str:
        """Return the error's text, with what may stand there if that is a choice of a few."""
        says, at, where = str(error).partition(" - at `")
        if not says.startswith("Invalid enum value"):
            return str(error)
        values = self.at(where.removesuffix("`") or "$")
        return f"{says}; expected one of: {', '.join(values)}{at}{where}" if values else str(error)

    def at(self, where: str) -> list[str]:
        """Return the values that may stand at a path, as msgspec writes it: `$.items[0].state`."""
        if self._root is None:  # only errors need it
            self._root = inspect.type_info(self._kind)
        path = where.removeprefix(_KEY)
        nodes: Sequence[inspect.Type] = [self._root]
        for step in _STEP.finditer(path):
            nodes = [inner for node in nodes for inner in _inside(node, step["field"])]
        if path != where:
            nodes = [n.key_type for node in nodes for n in _members(node) if _is_dict(n)]
        return [str(value) for node in nodes for value in _values(node)]


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


def _values(node: inspect.Type) -> Iterator[object]:
    for each in _members(node):
        if isinstance(each, inspect.LiteralType):
            yield from each.values
        elif isinstance(each, inspect.EnumType):
            yield from (value.value for value in each.cls if isinstance(value, Enum))
