"""The API as a page to read, made from its OpenAPI document and served by Nova itself."""

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

import msgspec

from nova.web.calls import LANGUAGES, Typed
from nova.web.examples import example

Json = Mapping[str, Any]

_INTRO = """
<p>Send credentials as <code>Authorization: Bearer …</code>: a server key
(<code>nova_sk_…</code>) from your backend, or a user's token. Wherever a path takes
<code>{user}</code>, it takes Nova's id, your own id, or <code>me</code>.</p>
<p>Lists answer <code>data</code> and <code>next_cursor</code>; pass it back as
<code>cursor</code>. A POST with an <code>Idempotency-Key</code> happens once.
Refusals are <a href="#problems">problem documents</a>. The machine-readable
description is <a href="/openapi.json">/openapi.json</a>.</p>
"""


class Page:
    """The rendered page and the policy that lets nothing else run in it."""

    def __init__(self, document: Json) -> None:
        room = files("nova.web")
        style = room.joinpath("docs.css").read_text("utf-8")
        script = room.joinpath("docs.js").read_text("utf-8")
        self.policy = (
            f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        self.html = "".join(_whole(document, style, script)).encode()


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


def _whole(document: Json, style: str, script: str) -> Iterator[str]:
    info = document["info"]
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(info['title'])} API</title><style>{style}</style></head><body>"
    yield '<nav aria-label="Operations"><a class="skip" href="#top">Skip to the text</a>'
    yield '<input type="search" placeholder="Find" aria-label="Find an operation" hidden>'
    groups = _groups(document)
    for name, operations in groups.items():
        yield f"<section><h2>{escape(name)}</h2><ul>"
        for method, path, operation in operations:
            yield f'<li><a href="#{_anchor(operation)}">{_badge(method)}'
            yield f"<span>{escape(operation['summary'] or path)}</span></a></li>"
        yield "</ul></section>"
    yield f'</nav><main id="top"><h1>{escape(info["title"])} API '
    yield f"<small>{escape(info['version'])}</small></h1>{_INTRO}"
    for name, operations in groups.items():
        yield f"<h2>{escape(name)}</h2>"
        for method, path, operation in operations:
            yield from _operation(method, path, operation, document["components"]["schemas"])
    yield from _problems(document["x-problems"])
    yield f"</main><script>{script}</script></body></html>"


def _groups(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    groups: dict[str, list[tuple[str, str, Json]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation["tags"][0], []).append((method, path, operation))
    return groups


def _anchor(operation: Json) -> str:
    return f"op-{escape(operation['operationId'])}"


def _badge(method: str) -> str:
    return f'<span class="method {escape(method)}">{escape(method.upper())}</span>'


def _prose(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _operation(method: str, path: str, operation: Json, components: Json) -> Iterator[str]:
    yield f'<article id="{_anchor(operation)}"><h3>{_badge(method)}<code>{escape(path)}</code></h3>'
    yield f"<p>{_prose(operation['summary'])}</p>"
    if "description" in operation:
        yield f"<p>{_prose(operation['description'])}</p>"
    yield f'<p class="who">For: {_prose(operation["x-rule"])}</p>'
    yield from _parameters(operation["parameters"])
    body = None
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = example(schema, components)
        yield f"<h4>Body</h4>{_code(body)}"
    is_signed = operation["security"] != [{}]
    yield from _calls(Typed(method.upper(), path, is_signed, body))
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield f"<h4>{escape(status)} {escape(response['description'])}</h4>"
            content = response.get("content", {}).get("application/json")
            if content:
                yield _code(example(content["schema"], components))
    yield "</article>"


def _parameters(parameters: list[Json]) -> Iterator[str]:
    shown = [one for one in parameters if one["in"] != "header"]
    if not shown:
        return
    yield "<h4>Parameters</h4><table><tbody>"
    for one in shown:
        need = ' <span class="need">required</span>' if one["required"] else ""
        yield f'<tr><th scope="row"><code>{escape(one["name"])}</code>{need}</th>'
        yield f"<td>{escape(_kind(one['schema']))}</td>"
        yield f"<td>{_prose(one.get('description', ''))}</td></tr>"
    yield "</tbody></table>"


def _kind(schema: Json) -> str:
    """Say in words what a parameter takes."""
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"] if one.get("type") != "null")
    kind = str(schema.get("format") or schema.get("type") or "any")
    if kind == "array":
        kind = f"{_kind(schema.get('items', {}))}, repeatable"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        kind += f" {low}–{high}"  # noqa: RUF001  # a range of numbers takes an en dash
    if schema.get("default") not in (None, [], ""):
        kind += f", default {schema['default']}"
    return kind


def _calls(call: Typed) -> Iterator[str]:
    """Show the call in every language; without a script, in the first of them."""
    yield '<h4>Call</h4><div class="call"><div class="languages" hidden>'
    for name in LANGUAGES:
        yield f'<button type="button" data-language="{name}">{name}</button>'
    yield '<button type="button" class="copy">Copy</button></div>'
    for number, (name, write) in enumerate(LANGUAGES.items()):
        hidden = " hidden" if number else ""
        yield f'<pre tabindex="0" data-of="{name}"{hidden}>{escape(write(call))}</pre>'
    yield "</div>"


def _code(value: Any) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f'<pre tabindex="0">{escape(text)}</pre>'


def _problems(problems: Json) -> Iterator[str]:
    yield '<h2 id="problems">Problems</h2>'
    yield "<p>Every refusal is <code>application/problem+json</code> (RFC 9457). Rely on "
    yield "<code>code</code>; <code>hint</code> says how to mend it, <code>trace_id</code> finds "
    yield "it in the log, and <code>Retry-After</code> says when to come back.</p><table><thead>"
    yield "<tr><th>Code</th><th>Status</th><th>Meaning</th><th>Hint</th></tr></thead><tbody>"
    for code, kind in problems.items():
        yield f'<tr id="{escape(code)}"><td><code>{escape(code)}</code></td>'
        yield f"<td>{kind['status']}</td><td>{_prose(kind['title'])}</td>"
        yield f"<td>{_prose(kind['hint'] or '')}</td></tr>"
    yield "</tbody></table>"
