"""OpenAPI 3.1, made from the routes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, inspect
from starlette.types import ASGIApp, Receive, Scope, Send

from nova.kernel.errors import Refused
from nova.web.actors import Rule
from nova.web.field_docs import describe
from nova.web.page import Page
from nova.web.problems import Headers, title
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
        "hint": {"type": ["string", "null"], "description": "How to mend it."},
        "trace_id": {"type": "string", "description": "Finds the request in the log."},
    },
}


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
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": _SCHEMES,
            "schemas": {**parts.components, "Problem": _PROBLEM},
        },
        "x-problems": {
            kind.code: {"status": kind.status, "title": title(kind), "hint": kind.hint}
            for kind in kinds
        },
    }


def _parts(routes: Sequence[Route]) -> Parts:
    """Generate the schemas of all routes together, so that equal names get one component."""
    places = [
        (number * 2 + slot, kind)
        for number, route in enumerate(routes)
        for slot, kind in enumerate((route.body, route.returns))
        if kind is not UNSET and kind is not None
    ]
    schemas, components = _schemas([kind for _, kind in places])
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
    r"""Spell patterns as JSON Schema has them: ECMA-262 has neither \A nor \Z."""
    if isinstance(node, dict):
        return {
            name: value.replace(r"\A", "^").replace(r"\Z", "$")
            if name == "pattern" and isinstance(value, str)
            else _ecma(value)
            for name, value in node.items()
        }
    return [_ecma(one) for one in node] if isinstance(node, list | tuple) else node


def _operation(route: Route, number: int, parts: Parts) -> Json:
    operation: Json = {
        "operationId": operation_id(route),
        "tags": [tag(route)],
        "summary": route.summary,
        "security": _SECURITY[route.rule],
        "x-rule": route.rule.value,
        "parameters": [*_segments(route), *_parameters(route, parts)],
        "responses": _responses(route, parts.schemas.get(number * 2 + 1)),
    }
    if route.description:
        operation["description"] = route.description
    if number * 2 in parts.schemas:
        operation["requestBody"] = {
            "required": not _all_optional(route.body),
            "content": {"application/json": {"schema": parts.schemas[number * 2]}},
        }
    return operation


def operation_id(route: Route) -> str:
    """Return a name that generated clients can use, such as `get_users_user_inbox`."""
    words = re.sub(r"\W+", "_", route.path.removeprefix("/v1")).strip("_")
    return f"{route.method.lower()}_{words}"


def tag(route: Route) -> str:
    """Return the group that a route is listed in: what comes after /v1."""
    segments = [one for one in route.path.split("/") if one and one != "v1"]
    return segments[0] if segments else "root"


_SEGMENTS = {
    "user": "Nova's id of the user, your own one, or `me`.",
    "other": "Another user, by either id.",
    "reference": "Either id of the user.",
    "device": "Nova's id of the device.",
    "key": "Nova's id of the server key.",
    "webhook": "Nova's id of the webhook.",
    "lane": "The provider's queue: `ios`, `android`, `web` or `mail`.",
    "type": "The type of notification.",
    "name": "The name of the type.",
    "mark": "What to do with it.",
    "tag": "The hashtag, without its sign.",
    "token": "The token in the link of a mail.",
    "channel": "The name of the channel, such as `room:lobby`.",
}
_PAGING = {
    "limit": "How many at most.",
    "cursor": "Where the page begins: `next_cursor` of the page before.",
}


def _segments(route: Route) -> Iterator[Json]:
    for name in re.findall(r"{(\w+)}", route.path):
        segment: Json = {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256},
        }
        segment["description"] = _SEGMENTS.get(name) or _named(route.path, name)
        if name == "user":
            segment["example"] = "me"
        yield segment


def _named(path: str, name: str) -> str:
    """Describe an id by the list in which it stands, such as /posts/{id}."""
    listed = path.partition("/{" + name + "}")[0].rpartition("/")[2]
    return f"The id of one of the {listed.replace('-', ' ')}."


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
            said = schema_of.pop("description", None) or _PAGING.get(field.name)
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


def _responses(route: Route, schema: Json | None) -> Json:
    responses: Json = {}
    if schema is None:
        status = 204 if route.status == HTTPStatus.OK else route.status
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
    else:
        responses[str(route.status)] = {
            "description": HTTPStatus(route.status).phrase,
            "content": {"application/json": {"schema": schema}},
        }
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for status in _refusals(route):
        responses[str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {"application/problem+json": problem},
        }
    responses["default"] = {
        "description": "Any other refusal.",
        "content": {"application/problem+json": problem},
    }
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


def pages(document: Json) -> dict[str, ASGIApp]:
    """Return the mounts `/openapi.json` and `/docs`."""
    page = Page(document)
    raw = msgspec.json.encode(document)

    async def spec(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send_whole(send, b"application/json", raw, [])

    async def docs(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            policy = [(b"content-security-policy", page.policy.encode())]
            await send_whole(send, b"text/html; charset=utf-8", page.html, policy)

    return {"/openapi.json": spec, "/docs": docs}


async def send_whole(send: Send, kind: bytes, body: bytes, more: Headers) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-cache"),
        (b"x-content-type-options", b"nosniff"),
        *more,
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
