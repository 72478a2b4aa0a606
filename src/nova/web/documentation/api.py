"""The API as pages, made from its OpenAPI document: a page for each group, and one of problems."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

import msgspec

from nova.web.calls import LANGUAGES, Typed
from nova.web.documentation.fields import kind, prose, table
from nova.web.documentation.frame import Found, Link, Page

Json = Mapping[str, Any]
Operation = tuple[str, str, Json]
"""Method, path, and what OpenAPI says."""

ROOT = "/docs/api"
PROBLEMS = "/docs/problems"
_INTRO = """<h1>The HTTP API</h1>
<p>Send credentials as <code>Authorization: Bearer …</code>: a server key
(<code>nova_sk_…</code>) from your backend, or a user's token. Wherever a path takes
<code>{user}</code>, it takes Nova's id, your own id, or <code>me</code>.</p>
<p>Lists answer <code>data</code> and <code>next_cursor</code>; pass it back as
<code>cursor</code>. A POST with an <code>Idempotency-Key</code> happens once.
Refusals are <a href="/docs/problems">problem documents</a>. What holds for all operations is
<a href="/docs/reference/http">told at more length</a>, and
<a href="/openapi.json">/openapi.json</a> is the description for machines.</p>
"""
_ABOUT_PROBLEMS = """<h1>Problems</h1><p>Every refusal is <code>application/problem+json</code>
(RFC 9457), and its <code>type</code> leads to its row here. Rely on <code>code</code>;
<code>hint</code> says how to fix it, <code>trace_id</code> finds it in the log, and
<code>Retry-After</code> says when to try again.</p><table class="problems"><thead><tr><th>Code</th>
<th>Status</th><th>Meaning</th><th>What to do</th></tr></thead><tbody>"""


def groups(document: Json) -> dict[str, list[Operation]]:
    """Return the operations by their tag, in the order of the document's tags."""
    found: dict[str, list[Operation]] = {one["name"]: [] for one in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append((method.upper(), path, operation))
    return found


def links(document: Json) -> list[Link]:
    """Return the pages of the API, as the navigation lists them."""
    of_groups = [Link(_title(name), f"{ROOT}/{name}") for name in groups(document)]
    return [Link("Overview", ROOT), *of_groups, Link("Problems", PROBLEMS)]


def overview(document: Json) -> Page:
    return Page("The HTTP API", _INTRO + listed(document))


def listed(document: Json) -> str:
    """Return the table of groups."""
    rows = "".join(
        f'<tr><th scope="row"><a href="{ROOT}/{escape(one["name"])}">{_title(one["name"])}</a></th>'
        f"<td>{prose(one.get('description', ''))}</td></tr>"
        for one in document["tags"]
    )
    return f"<table><tbody>{rows}</tbody></table>"


def group(document: Json, name: str) -> Page:
    """Return the page of a group."""
    operations = groups(document)[name]
    [about] = [one.get("description", "") for one in document["tags"] if one["name"] == name]
    title, url = _title(name), f"{ROOT}/{name}"
    parts = [
        Found(one["summary"], f"{method} {path}", f"{url}#{_anchor(one)}", one["description"])
        for method, path, one in operations
    ]
    text = [f"<h1>{escape(title)}</h1><p>{prose(about)}</p>", *_list(operations)]
    for operation in operations:
        text += _operation(operation, document["components"])
    return Page(title, "".join(text), parts)


def problems(document: Json) -> Page:
    """Return the table of problems; the `type` of each problem leads to its row."""
    rows, parts = [], []
    for code, one in document["x-problems"].items():
        hint = one["hint"] or ""
        rows.append(f'<tr id="{escape(code)}"><th scope="row"><code>{escape(code)}</code></th>')
        rows.append(f"<td>{one['status']}</td><td>{prose(one['title'])}</td>")
        rows.append(f"<td>{prose(hint)}</td></tr>")
        parts.append(
            Found(code, f"{one['status']}", f"{PROBLEMS}#{code}", f"{one['title']} {hint}")
        )
    return Page("Problems", f"{_ABOUT_PROBLEMS}{''.join(rows)}</tbody></table>", parts)


def _title(name: str) -> str:
    return name.replace("-", " ").capitalize()


def _anchor(operation: Json) -> str:
    return f"op-{escape(operation['operationId'])}"


def _badge(method: str) -> str:
    return f'<span class="method {escape(method.lower())}">{escape(method)}</span>'


def _list(operations: list[Operation]) -> Iterator[str]:
    yield '<ul class="operations">'
    for method, _, operation in operations:
        yield f'<li><a href="#{_anchor(operation)}">{_badge(method)}'
        yield f"<span>{escape(operation['summary'])}</span></a></li>"
    yield "</ul>"


def _operation(operation: Operation, components: Json) -> Iterator[str]:
    method, path, one = operation
    schemas = components["schemas"]
    yield f'<article class="pane" id="{_anchor(one)}"><h2>{escape(one["summary"])}</h2>'
    yield f'<p class="path">{_badge(method)}<code>{escape(path)}</code></p>'
    yield f"<p>{prose(one['description'])}</p>"
    yield from _parameters(one["parameters"])
    examples: list[Any] = [None]
    if "requestBody" in one:
        media = one["requestBody"]["content"]["application/json"]
        examples = _examples(media)
        yield "<h3>Body</h3>"
        yield from table(media["schema"], schemas)
    yield from _calls(Typed(method, _shown(path, one), one["security"] != [{}], examples[0]))
    if len(examples) > 1:
        yield "<details><summary>Other bodies</summary>"
        yield from map(_code, examples[1:])
        yield "</details>"
    for status, response in one["responses"].items():
        if status.startswith("2"):
            yield f"<h3>Answer: {escape(status)} {escape(response['description'])}</h3>"
            yield from _answer(response, schemas)
    refusals = [status for status in one["responses"] if status.startswith(("4", "5"))]
    yield f'<p class="quiet">May be refused with {", ".join(refusals)}: see '
    yield f'<a href="{PROBLEMS}">Problems</a>.</p></article>'


def _answer(response: Json, schemas: Json) -> Iterator[str]:
    media = response.get("content", {}).get("application/json")
    if media:
        yield from table(media["schema"], schemas)
        yield "<details><summary>Example</summary>"
        yield from map(_code, _examples(media))
        yield "</details>"


def _examples(media: Json) -> list[Any]:
    named = media.get("examples")
    return [one["value"] for one in named.values()] if named else [media["example"]]


def _shown(path: str, operation: Json) -> str:
    """Return the path with the examples of its segments."""
    for one in operation["parameters"]:
        if one["in"] == "path":
            path = path.replace("{" + one["name"] + "}", one["example"])
    return path


def _parameters(parameters: list[Json]) -> Iterator[str]:
    shown = [one for one in parameters if one["in"] != "header"]
    if not shown:
        return
    yield '<h3>Parameters</h3><table class="fields"><tbody>'
    for one in shown:
        need = ' <span class="need">required</span>' if one["required"] else ""
        yield f'<tr><th scope="row"><code>{escape(one["name"])}</code>{need}</th>'
        yield f"<td>{escape(kind(one['schema']))}</td>"
        yield f"<td>{prose(one.get('description', ''))}</td></tr>"
    yield "</tbody></table>"


def _calls(call: Typed) -> Iterator[str]:
    """Show the call in every language; without a script, in the first of them."""
    yield '<h3>Call</h3><div class="call"><div class="languages" hidden>'
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
