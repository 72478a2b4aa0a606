"""Example values, made from JSON Schema."""

from collections.abc import Mapping
from typing import Any

_FORMATS = {
    "uuid": "0192f0c1-7e3a-7c5b-9a51-3f8e2d4b6c10",
    "date-time": "2026-01-31T09:30:00Z",
    "date": "2026-01-31",
    "byte": "aGVsbG8=",
    "uri": "https://example.com/",
}
_TYPES: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True}
_NAMES = {
    "name": "Ada",
    "external_id": "user-1815",
    "locale": "en",
    "timezone": "Europe/London",
    "avatar_url": "https://example.com/ada.png",
    "email": "ada@example.com",
    "endpoint": "https://push.example.com/subscription",
    "url": "https://example.com/",
}
"""What members that everybody knows look like."""


def example(
    schema: Mapping[str, Any], components: Mapping[str, Any], above: frozenset[str] = frozenset()
) -> Any:
    """Return a value that the schema describes; optional members are shown too.

    A component that stands inside itself (those `above`) is not shown again.
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return example(components[name], components, above | {name})
    for fixed in ("example", "const"):
        if fixed in schema:
            return schema[fixed]
    for several in ("examples", "enum"):
        if schema.get(several):
            return schema[several][0]
    if schema.get("default") is not None and schema["default"] not in ([], {}, ""):
        return schema["default"]
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            full = [one for one in schema[choice] if _is_new(one, above)]
            return example(full[0], components, above) if full else None
    return _typed(schema, components, above)


def _is_new(schema: Mapping[str, Any], above: frozenset[str]) -> bool:
    is_null = schema.get("type") == "null"
    return not is_null and schema.get("$ref", "").rpartition("/")[2] not in above


def _typed(schema: Mapping[str, Any], components: Mapping[str, Any], above: frozenset[str]) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), None)
    if kind == "object":
        members = schema.get("properties", {})
        return {name: _member(name, one, components, above) for name, one in members.items()}
    if kind == "array":
        items = schema.get("items") or next(iter(schema.get("prefixItems", [])), None)
        return [example(items, components, above)] if items and _is_new(items, above) else []
    if kind in {"integer", "number"} and "minimum" in schema:
        return max(schema["minimum"], min(_TYPES[kind], schema.get("maximum", 1)))
    if kind is None:
        return {}  # whatever it likes
    return _FORMATS.get(schema.get("format", ""), _TYPES.get(str(kind)))


def _member(
    name: str, schema: Mapping[str, Any], components: Mapping[str, Any], above: frozenset[str]
) -> Any:
    value = example(schema, components, above)
    return _NAMES.get(name, value) if value == _TYPES["string"] else value
