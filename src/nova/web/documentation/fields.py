"""Tables of fields, made from JSON Schema: name, type, whether it is required, and its sentence."""

import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

Json = Mapping[str, Any]


def prose(text: str) -> str:
    """Return plain text as HTML; what stands between backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def table(schema: Json, components: Json, above: frozenset[str] = frozenset()) -> Iterator[str]:
    """Yield the table of an object, of a list's items, or of each of several shapes.

    Fields that are objects have their own table inside, but for those that are shown `above`.
    """
    names = set(above)
    shapes = list(_shapes(schema, components, names))
    for shape in shapes:
        if len(shapes) > 1:
            yield f"<p>{prose(shape.get('title', ''))}: {prose(shape.get('description', ''))}</p>"
        yield '<table class="fields"><thead><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>'
        yield "</thead><tbody>"
        required = shape.get("required", ())
        for name, member in shape["properties"].items():
            yield from _row(name, member, name in required)
            yield "".join(_inside(member, components, frozenset(names)))
            yield "</td></tr>"
        yield "</tbody></table>"


def _row(name: str, member: Json, is_required: bool) -> Iterator[str]:  # noqa: FBT001  # a word of the row
    need = ' <span class="need">required</span>' if is_required else ""
    yield f'<tr><th scope="row"><code>{escape(name)}</code>{need}</th>'
    yield f"<td>{escape(kind(member))}</td><td>{prose(member.get('description', ''))}"


def _inside(member: Json, components: Json, above: frozenset[str]) -> Iterator[str]:
    inner = list(table(member, components, above))
    if inner:
        yield f"<details><summary>Fields of {escape(kind(member))}</summary>"
        yield from inner
        yield "</details>"


def _shapes(schema: Json, components: Json, names: set[str]) -> Iterator[Json]:
    """Yield the objects that a schema describes; adds the names of components to `names`."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in names:
            names.add(name)
            yield from _shapes({"title": name, **components[name]}, components, names)
    for choice in schema.get("anyOf", schema.get("oneOf", ())):
        yield from _shapes(choice, components, names)
    if schema.get("properties"):
        yield schema
    items = schema.get("items")
    if isinstance(items, Mapping):
        yield from _shapes(items, components, names)
    values = schema.get("additionalProperties")
    if isinstance(values, Mapping):
        yield from _shapes(values, components, names)


def kind(schema: Json) -> str:
    """Say in words what a field or a parameter takes."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return " | ".join("null" if one is None else str(one) for one in schema["enum"])
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(dict.fromkeys(kind(one) for one in schema[choice]))
    return _plain(schema)


def _plain(schema: Json) -> str:
    found = schema.get("format") or schema.get("type") or "any JSON"
    if isinstance(found, list):
        return " or ".join(found)
    said = str(found)
    if said == "array":
        said = f"list of {kind(schema.get('items') or {})}"
    said += _bounds(schema)
    if schema.get("default") not in (None, [], {}, ""):
        said += f", default {schema['default']}"
    return said


def _bounds(schema: Json) -> str:
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ):
        if high in schema and schema[high] < 1 << 31:
            least = f"{schema[low]:,} to" if low in schema else "up to"
            return f" ({least} {schema[high]:,}{unit})"
    return ""
