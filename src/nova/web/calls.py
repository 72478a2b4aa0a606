"""A call of an operation, as one would type it: in a shell, in Python and in JavaScript.

Each needs nothing installed but its language, and reads the credential from `TOKEN`.
"""

from collections.abc import Callable, Mapping
from shlex import quote
from typing import Any

import msgspec
from msgspec import Struct

HERE = "http://nova"
"""Stands for the server; the page puts its own address in its place."""


class Typed(Struct, frozen=True):
    """What is called."""

    method: str
    """In capitals."""
    path: str
    is_signed: bool
    """Whether it takes a key or a token."""
    body: Any = None
    """JSON, or None if there is none."""

    @property
    def url(self) -> str:
        return HERE + self.path.replace("{user}", "me")

    @property
    def headers(self) -> list[str]:
        signed = ["Authorization"] if self.is_signed else []
        return signed if self.body is None else [*signed, "Content-Type"]


def curl(call: Typed) -> str:
    words = ["curl"]
    if call.method != "GET":
        words += ["-X", call.method]
    if call.is_signed:
        words += ["-H", '"Authorization: Bearer $TOKEN"']
    if call.body is not None:
        words += ["-H", "'Content-Type: application/json'"]
        words += ["-d", quote(_text(call.body))]
    words.append(quote(call.url))
    return " ".join(words)


def python(call: Typed) -> str:
    sent = {
        "Authorization": '"Bearer " + os.environ["TOKEN"]',
        "Content-Type": '"application/json"',
    }
    has_body = call.body is not None
    modules = ["json"] * has_body + ["os"] * call.is_signed + ["urllib.request"]
    lines = [f"import {', '.join(modules)}", ""]
    if has_body:
        lines.append(f"body = {_literal(call.body)}")
    lines += ["request = urllib.request.Request(", f"    {_text(call.url)},"]
    if has_body:
        lines.append("    json.dumps(body).encode(),")
    if call.headers:
        headers = [f'        "{name}": {sent[name]},' for name in call.headers]
        lines += ["    headers={", *headers, "    },"]
    lines += [f'    method="{call.method}",', ")"]
    return "\n".join([*lines, "print(urllib.request.urlopen(request).read().decode())"])


def javascript(call: Typed) -> str:
    sent = {
        "Authorization": "`Bearer ${process.env.TOKEN}`",
        "Content-Type": '"application/json"',
    }
    lines = [f"const answer = await fetch({_text(call.url)}, {{", f'  method: "{call.method}",']
    if call.headers:
        headers = [f'    "{name}": {sent[name]},' for name in call.headers]
        lines += ["  headers: {", *headers, "  },"]
    if call.body is not None:
        body = msgspec.json.format(_text(call.body), indent=2).replace("\n", "\n  ")
        lines.append(f"  body: JSON.stringify({body}),")
    return "\n".join([*lines, "});", "console.log(await answer.text());"])


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _literal(value: Any, pad: str = "") -> str:
    """Return Python's literal of a JSON value; its texts and numbers are JSON's own."""
    deeper = pad + "    "
    if value and isinstance(value, dict):
        items = [f"{deeper}{_text(name)}: {_literal(one, deeper)}," for name, one in value.items()]
        return "\n".join(["{", *items, pad + "}"])
    if value and isinstance(value, list):
        return "\n".join(["[", *(f"{deeper}{_literal(one, deeper)}," for one in value), pad + "]"])
    return repr(value) if value is None or isinstance(value, bool) else _text(value)


LANGUAGES: Mapping[str, Callable[[Typed], str]] = {
    "curl": curl,
    "Python": python,
    "JavaScript": javascript,
}
