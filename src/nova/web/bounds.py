"""A check at start: every number and text that a route takes has a bound."""

from collections.abc import Iterator
from typing import Any

from msgspec import inspect


def unbounded(kind: Any) -> list[str]:
    """Return where in a type an int or str without bounds could come in.

    An int wider than 64 bits or a text without end would be refused only by the
    database, as a fault of Nova. Values of unknown type (`Any`) are bounded by the body.
    """
    return sorted(set(_open(inspect.type_info(kind), "$", ())))


def _open(node: inspect.Type, at: str, above: tuple[object, ...]) -> Iterator[str]:
    if isinstance(node, inspect.IntType) and not _closed(node):
        yield f"{at}: int"
    elif isinstance(node, inspect.StrType) and node.max_length is None:
        yield f"{at}: str"
    elif isinstance(node, _RECORDS):
        if node.cls not in above:
            for field in node.fields:
                yield from _open(field.type, f"{at}.{field.encode_name}", (*above, node.cls))
    else:
        for one, step in _parts(node):
            yield from _open(one, at + step, above)


_RECORDS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)


def _closed(node: inspect.IntType) -> bool:
    low = node.ge if node.ge is not None else node.gt
    high = node.le if node.le is not None else node.lt
    return low is not None and high is not None


def _parts(node: inspect.Type) -> Iterator[tuple[inspect.Type, str]]:
    match node:
        case inspect.UnionType():
            yield from ((one, "") for one in node.types)
        case inspect.DictType():
            yield node.value_type, "{}"
        case inspect.ListType() | inspect.SetType() | inspect.VarTupleType():
            yield node.item_type, "[]"
        case inspect.TupleType():
            yield from ((one, "[]") for one in node.item_types)
