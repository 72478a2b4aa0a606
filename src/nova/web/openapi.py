"""OpenAPI 3.1, made from the routes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, inspect

from nova.kernel.errors import (
    Conflict,
    Forbidden,
    Invalid,
    Malformed,
    NotFound,
    Refused,
    TooMany,
    Unauthenticated,
    Unavailable,
)
from nova.web.actors import Rule
from nova.web.examples import example
from nova.web.field_docs import describe
from nova.web.openapi_texts import GROUPS, PAGING, description, segment, tag
from nova.web.problems import TooLarge, UnsupportedMedia, problem, title
from nova.web.routes import Route

Json = dict[str, Any]

_SECURITY: dict[Rule, list[Json]] = {
    Rule.PUBLIC: [{}],
    Rule.SERVER: [{"server_key": []}],
    Rule.USER: [{"user_token": []}],
    Rule.EITHER: [{"server_key": []}, {"user_token": []}],
    Rule.SELF: [{"server_key": []}, {"user_token": []}],
}
_SCHEMES: Json = {
    "server_key": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of the host app's backend: `nova_sk_…`.",
    },
    "user_token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A user's token, signed by the host app.",
    },
}
_PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457, with a stable `code`, a `hint` and the trace to report.",
    "required": ["type", "title", "status", "detail", "code", "hint", "trace_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Where this kind of problem is explained.",
        },
        "title": {"type": "string", "description": "What is wrong, alike for all of its kind."},
        "status": {"type": "integer", "description": "The status of HTTP."},
        "detail": {"type": "string", "description": "What is wrong this time."},
        "code": {"type": "string", "description": "The kind: a word that programs can rely on."},
        "hint": {"type": ["string", "null"], "description": "How to fix it."},
        "trace_id": {"type": "string", "description": "Finds the request in the log."},
    },
}

_USUAL: Sequence[type[Refused]] = (
    *(Malformed, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, UnsupportedMedia),
    *(Invalid, TooMany, Unavailable),
)
"""The refusals that stand as examples, one for each status."""
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Parts(NamedTuple):
    """The types of all routes as JSON Schema."""

    schemas: Mapping[int, Json]
    """Of bodies at twice the route's number, of answers behind them."""
    queries: Mapping[Any, Json]
    """The properties of each type of query."""
    components: Json


def document(routes: Sequence[Route], *, version: str, kinds: Sequence[type[Refused]] = ()) -> Json:
    """Return the OpenAPI document; `kinds` are the refusals that it explains."""
    parts = _parts(routes)
    paths: dict[str, Json] = {}
    for number, route in enumerate(routes):
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, number, parts)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Nova",
            "version": version,
            "description": "A self-hosted, real-time social backend over one event log.",
            "contact": {"name": "Whoever runs this server"},
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": list(_tags(routes)),
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "schemas": {**parts.components, "Problem": _PROBLEM},
            "responses": dict(_refused()),
        },
        "x-problems": {
            kind.code: {"status": kind.status, "title": title(kind), "hint": kind.hint}
            for kind in kinds
        },
    }


def _tags(routes: Sequence[Route]) -> Iterator[Json]:
    """Yield the groups that have routes, in the order of GROUPS; unknown ones last."""
    used = {tag(route): None for route in routes}
    for name in [
        *(one for one in GROUPS if one in used),
        *(one for one in used if one not in GROUPS),
    ]:
        yield {"name": name, **({"description": GROUPS[name]} if name in GROUPS else {})}


def _refused() -> Iterator[tuple[str, Json]]:
    """Yield the answers that many operations have in common, by name, each with an example."""
    reference = {"$ref": "#/components/schemas/Problem"}
    for kind in _USUAL:
        waits = 1.0 if kind in {TooMany, Unavailable} else None
        shown = msgspec.json.decode(problem(kind(retry_after=waits), _TRACE).body)
        content = {"application/problem+json": {"schema": reference, "example": shown}}
        phrase = HTTPStatus(kind.status).phrase
        yield _named(kind.status), {"description": f"{phrase}. {title(kind)}", "content": content}
    content = {"application/problem+json": {"schema": reference}}
    yield "Refusal", {"description": "Any other refusal.", "content": content}


def _named(status: int) -> str:
    return re.sub(r"\W", "", HTTPStatus(status).phrase.title())


def _parts(routes: Sequence[Route]) -> Parts:
    """Generate the schemas of all routes together, so that equal names get one component."""
    places = [
        (number * 2 + slot, kind)
        for number, route in enumerate(routes)
        for slot, kind in enumerate((route.body, route.returns))
        if kind is not UNSET and kind is not None
    ]
    named = [kind for route in routes for kind in route.refers_to]
    schemas, components = _schemas([*(kind for _, kind in places), *named])
    schemas = schemas[: len(places)]
    found = {place: schema for (place, _), schema in zip(places, schemas, strict=True)}
    queries = {}
    for query in {route.query: None for route in routes if route.query is not UNSET}:
        [schema], parts = _schemas([query])
        queries[query] = parts.pop(schema["$ref"].rpartition("/")[2])["properties"]
        components |= parts
    return Parts(_ecma(found), _ecma(queries), _ecma(components))


def _schemas(kinds: Sequence[Any]) -> tuple[tuple[Json, ...], Json]:
    """Return schemas, and the components that they refer to."""
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    describe(components, kinds)
    return schemas, dict(components)


def _ecma(node: Any) -> Any:
    r"""Spell schemas as readers of JSON Schema expect them.

    ECMA-262 has neither \A nor \Z, nor flags inside: a pattern that is not about small and
    capital letters is left out. The only value of an enumeration is a constant. What is empty
    when it is absent has no default: generators of types would demand it.
    """
    if isinstance(node, dict):
        return dict(_keyword(name, value) for name, value in node.items() if _is_ecma(name, value))
    return [_ecma(one) for one in node] if isinstance(node, list | tuple) else node


def _is_ecma(name: str, value: Any) -> bool:
    if name == "default":
        return value not in (None, "", [], {})
    return not (name == "pattern" and isinstance(value, str) and value.startswith("(?i)"))


def _keyword(name: str, value: Any) -> tuple[str, Any]:
    if name == "pattern" and isinstance(value, str):
        return name, value.replace(r"\A", "^").replace(r"\Z", "$")
    if name == "enum" and isinstance(value, list) and len(value) == 1:
        return "const", value[0]
    return name, _ecma(value)


def _operation(route: Route, number: int, parts: Parts) -> Json:
    operation: Json = {
        "operationId": operation_id(route),
        "tags": [tag(route)],
        "summary": route.summary,
        "description": description(route),
        "security": _SECURITY[route.rule],
        "x-rule": route.rule.value,
        "parameters": [*_segments(route), *_parameters(route, parts)],
        "responses": _responses(route, number, parts),
    }
    if number * 2 in parts.schemas:
        media = _media(parts.schemas[number * 2], parts)
        operation["requestBody"] = {
            "required": not _all_optional(route.body),
            "content": {"application/json": media},
        }
        if route.example is not UNSET:
            media["example"] = route.example
    return operation


def _media(schema: Json, parts: Parts) -> Json:
    """Return a schema with its examples: those that it has itself, or one that is made of it."""
    given = schema.get("examples", ())
    if len(given) < 2:  # noqa: PLR2004  # several ones have names
        return {"schema": schema, "example": example(schema, parts.components)}
    plain = {name: value for name, value in schema.items() if name != "examples"}
    named = {one["summary"]: one for one in given}
    return {"schema": plain, "examples": named}


def operation_id(route: Route) -> str:
    """Return a name that generated clients can use, such as `get_users_user_inbox`."""
    words = re.sub(r"\W+", "_", route.path.removeprefix("/v1")).strip("_")
    return f"{route.method.lower()}_{words}"


def _segments(route: Route) -> Iterator[Json]:
    for name in re.findall(r"{(\w+)}", route.path):
        said, shown = segment(route.path, name)
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": said,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256},
            "example": "me" if name == "user" and route.rule is not Rule.SERVER else shown,
        }


def _parameters(route: Route, parts: Parts) -> Iterator[Json]:
    if route.query is not UNSET:
        info = inspect.type_info(route.query)
        if not isinstance(info, inspect.StructType):
            raise TypeError(f"{route.path}: a query is a msgspec Struct")
        for field in info.fields:
            schema_of = dict(parts.queries[route.query][field.encode_name])
            parameter = {
                "name": field.encode_name,
                "in": "query",
                "required": field.required,
                "schema": schema_of,
            }
            said = schema_of.pop("description", None) or PAGING.get(field.name)
            if said is not None:
                parameter["description"] = said
            yield parameter
    if route.method == "POST":
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": "Repeat a request with the same key and it happens once (24 hours).",
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }


def _responses(route: Route, number: int, parts: Parts) -> Json:
    responses: Json = {}
    schema = parts.schemas.get(number * 2 + 1)
    if schema is None:
        status = 204 if route.status == HTTPStatus.OK else route.status
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
    else:
        responses[str(route.status)] = {
            "description": HTTPStatus(route.status).phrase,
            "content": {"application/json": _media(schema, parts)},
        }
    for status in _refusals(route):
        responses[str(status)] = {"$ref": f"#/components/responses/{_named(status)}"}
    responses["default"] = {"$ref": "#/components/responses/Refusal"}
    return responses


def _refusals(route: Route) -> Iterator[int]:
    """Yield what this route may answer besides its own refusals."""
    yield 400
    if route.rule is not Rule.PUBLIC:
        yield 401
    if route.rule in {Rule.SERVER, Rule.USER}:
        yield 403
    if "{" in route.path:
        yield 404
    if route.method == "POST":
        yield 409
    if route.body is not UNSET:
        yield from (413, 415)
    yield from (422, 429, 503)


def _all_optional(kind: Any) -> bool:
    info = inspect.type_info(kind)
    return isinstance(info, inspect.StructType) and not any(one.required for one in info.fields)
