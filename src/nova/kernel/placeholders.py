"""Text templates with `{placeholders}`: taken apart once, filled in without evaluating anything."""

from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from nova.kernel.bidi import isolated, undirected
from nova.kernel.suggestions import nearest
from nova.kernel.text import beginning, shortened

MOST_INSERTED = 1_000
"""Characters that one placeholder may put in."""
METADATA = "metadata."


class BadPlaceholder(ValueError):
    """A template cannot be read; `at` counts its characters from 1."""

    def __init__(self, says: str, at: int) -> None:
        self.says, self.at = says, at
        super().__init__(says)


class Placeholder(Struct, frozen=True):
    """Something to fill in; `path` leads into the metadata, when it is given."""

    name: str
    path: tuple[str, ...] = ()
    otherwise: str | None = None


class Template(Struct, frozen=True):
    """A text, taken apart once and filled in often."""

    parts: tuple[str | Placeholder, ...]
    uses_metadata: bool
    within_rtl: bool = False
    """Whether the text around the values is written from right to left."""

    def fill(
        self,
        values: Mapping[str, str | None],
        metadata: Any,
        most: int,
        *,
        ready: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return the text of up to `most` characters; what is missing leaves no gap.

        No value turns what stands around it: those that could are isolated. What is `ready` is put
        in as it is.
        """
        if not self.parts:
            return ""
        pieces: list[str] = []
        gap = False
        alone = len(self.parts) == 1
        for part in self.parts:
            if isinstance(part, str):
                pieces.append(part)
                continue
            if ready and part.name in ready:
                pieces.append(ready[part.name])
                continue
            found = _inside(metadata, part.path) if part.path else values.get(part.name)
            text = found or part.otherwise
            if not text and part.name == "actor.name":
                text = values.get("someone")
            if text:
                pieces.append(
                    undirected(text) if alone else isolated(text, within_rtl=self.within_rtl)
                )
            else:
                gap = True
        whole = "".join(pieces)
        if gap and whole:
            whole = _closed(whole)
        return shortened(whole, most)


def _inside(value: Any, path: tuple[str, ...]) -> str | None:
    """Walk into JSON by its keys; objects, lists and null are nothing to read aloud."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    if isinstance(value, str):
        return beginning(value, MOST_INSERTED)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else None


def _closed(text: str) -> str:
    """Close the gap that a missing value left: no double blanks, none before punctuation."""
    text = "\n".join(" ".join(line.split()) for line in text.split("\n")).strip()
    for mark in (".", ",", "!", "…"):
        text = text.replace(" " + mark, mark)
    return text


def read(text: str, fields: Collection[str], *, within_rtl: bool = False) -> Template:
    """Take a template apart whose placeholders are `fields` and `metadata.<key>`.

    Raises BadPlaceholder with what is wrong and where.
    """
    parts = tuple(_parts(text, fields))
    uses_metadata = any(isinstance(part, Placeholder) and bool(part.path) for part in parts)
    return Template(parts, uses_metadata, within_rtl)


def _parts(text: str, fields: Collection[str]) -> Iterator[str | Placeholder]:
    at, literal = 0, ""
    while at < len(text):
        sign = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            literal += sign
            at += 2
        elif sign == "}":
            raise BadPlaceholder(f"A '}}' at character {at + 1} closes nothing.", at + 1)
        elif sign == "{":
            if literal:
                yield literal
                literal = ""
            end = text.find("}", at)
            if end < 0:
                says = f"The '{{' at character {at + 1} is never closed."
                raise BadPlaceholder(says, at + 1)
            yield _placeholder(text[at + 1 : end], at + 1, fields)
            at = end + 1
        else:
            literal += sign
            at += 1
    if literal:
        yield literal


def _placeholder(inner: str, at: int, fields: Collection[str]) -> Placeholder:
    name, bar, otherwise = inner.partition("|")
    name = name.strip()
    said = otherwise.strip() if bar else None
    if name in fields:
        return Placeholder(name, otherwise=said)
    path = tuple(name.removeprefix(METADATA).split("."))
    if name.startswith(METADATA) and all(path):
        return Placeholder(name, path, said)
    near = nearest(name, fields)
    mend = f"; did you mean {{{near[0]}}}?" if near else "."
    short = beginning(name, 64)
    raise BadPlaceholder(f"There is no placeholder {{{short}}} (character {at}){mend}", at)
