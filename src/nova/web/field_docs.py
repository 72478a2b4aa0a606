"""Copy the docstrings of Struct fields into JSON Schemas as descriptions."""

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from msgspec.inspect import StructType, Type, multi_type_info


class EqualNames(TypeError):
    """Two Structs of the API have the same name, which generated clients could not tell apart."""


def describe(components: Mapping[str, dict[str, Any]], kinds: Iterable[Any]) -> None:
    """Put docstrings into the components that msgspec made of these types.

    Raises EqualNames where msgspec had to name a component by its module.
    """
    for struct in _structs(multi_type_info(kinds), set()):
        component = components.get(_name(struct.cls))
        if component is None:
            raise EqualNames(f"rename {struct.cls!r}: another one has its name")
        docs = field_docs(struct.cls)
        for field in struct.fields:
            if field.name in docs:
                component["properties"][field.encode_name]["description"] = docs[field.name]


def _structs(node: Any, seen: set[Any]) -> Iterator[StructType]:
    """Yield every Struct below a description of types, once."""
    if isinstance(node, StructType):
        if node.cls not in seen:
            seen.add(node.cls)
            yield node
            for field in node.fields:
                yield from _structs(field.type, seen)
    elif isinstance(node, list | tuple):
        for each in node:
            yield from _structs(each, seen)
    elif isinstance(node, Type):
        for name in node.__struct_fields__:
            yield from _structs(getattr(node, name), seen)


def _name(kind: Any) -> str:
    """Return the name that msgspec gives a component."""
    name = kind.__name__
    if hasattr(kind, "__origin__"):
        given = ", ".join(getattr(each, "__name__", repr(each)) for each in kind.__args__)
        name = f"{kind.__origin__.__name__}[{given}]"
    return re.sub(r"[^a-zA-Z0-9.\-_]", "_", name)


def field_docs(kind: Any) -> Mapping[str, str]:
    """Return the docstrings by the names of fields, also of inherited ones.

    A docstring is the string literal below a field; Python drops it, so the source is read. Where
    there is no source, there are no docstrings.
    """
    found: dict[str, str] = {}
    for each in reversed(getattr(kind, "__origin__", kind).__mro__):
        found |= _classes(each.__module__).get(each.__name__, {})
    return found


@cache
def _classes(module: str) -> Mapping[str, Mapping[str, str]]:
    """Return the docstrings of fields by class, of the classes at the top of a module."""
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError, KeyError):
        return {}
    return {each.name: dict(_pairs(each)) for each in tree.body if isinstance(each, ast.ClassDef)}


def _pairs(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str() as text)),
            ):
                yield name, " ".join(text.split())
