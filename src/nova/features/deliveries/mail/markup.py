"""The app's own HTML for mails: parsed, and written out again with allowed elements only.

So what a reader's program gets is Nova's own spelling of elements, attributes and texts that were
each allowed: no script, no style sheet, no form, and nothing that is loaded from elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape, unescape

from msgspec import Struct

from nova.kernel.urls import is_url

VOID = frozenset(("br", "hr", "img"))
ELEMENTS = VOID | frozenset((
    "a", "b", "blockquote", "center", "code", "div", "em", "h1", "h2", "h3", "h4", "i", "li", "ol",
    "p", "pre", "s", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "u", "ul",
))  # fmt: skip
ATTRIBUTES = frozenset((
    "align", "alt", "aria-hidden", "aria-label", "bgcolor", "border", "cellpadding", "cellspacing",
    "class", "colspan", "dir", "height", "href", "lang", "role", "rowspan", "src", "style", "title",
    "valign", "width",
))  # fmt: skip
IN_TEXT = frozenset(
    ("preheader", "logo", "heading", "body", "button", "footer", "unsubscribe", "brand")
)
"""Placeholders that stand for elements or text."""
IN_STYLE = ("align", "color.")
"""Those that may stand in `style`, `align` and `bgcolor`, or what they begin with."""
MOST_DEPTH = 100
MOST_PROBLEMS = 20
_PLACEHOLDER = re.compile(r"\{\s*+([A-Za-z_.]++)[^{}]*+\}")
_TEXT = re.compile(r"[^<]+")
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_ATTRIBUTE = re.compile(r"""\s+([A-Za-z][A-Za-z0-9-]*)(?:\s*=\s*("[^"]*"|'[^']*'))?""")
_END = re.compile(r"\s*(/?)>")
_CALLED = re.compile(r"([A-Za-z-]{0,32})\(")
_CALLS = frozenset(("calc", "hsl", "hsla", "max", "min", "rgb", "rgba"))
_NO_STYLE = re.compile(
    r"[\\<>@\x00-\x08\x0e-\x1f]|/\*|expression|javascript:|behavior|-moz-binding"
)
_MAILTO = re.compile(r"mailto:[^\s@<>\"'?&{}]+@[^\s@<>\"'?&{}]+")
_CLASS = re.compile(r"[A-Za-z0-9_ -]*")


class Problem(Struct, frozen=True):
    """What is wrong, and where."""

    line: int
    column: int
    says: str


class Markup:
    """Reads a fragment; `html` is its allowed spelling, and `problems` what is not allowed.

    Reading takes time in proportion to the length, and ends where a tag cannot be read.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._open: list[tuple[str, int]] = []
        self._written: list[str] = []
        self.problems: list[Problem] = []
        while self._at < len(text):
            if not (self._words() or self._tag()):
                return
        for tag, at in reversed(self._open):
            self._at = at
            self._say(f"<{tag}> is never closed; add </{tag}>.")

    @property
    def html(self) -> str:
        return "".join(self._written)

    def _words(self) -> bool:
        """Read text up to the next tag."""
        found = _TEXT.match(self._text, self._at)
        if found is None:
            return False
        words = unescape(found[0])
        for name in placeholders(words):
            if name not in IN_TEXT:
                self._say(f"{{{name}}} cannot stand in the text; it belongs into an attribute.")
        self._written.append(escape(words, quote=False))
        self._at = found.end()
        return True

    def _tag(self) -> bool:
        """Read a tag; tell whether that was possible."""
        found = _TAG.match(self._text, self._at)
        if found is None:
            self._say(
                "Here is '<' without an element; write &lt; for the sign. Comments, doctypes and "
                "sections are not allowed."
            )
            return False
        closes, tag, at = bool(found[1]), found[2].lower(), found.end()
        attributes: dict[str, str] = {}
        while (each := _ATTRIBUTE.match(self._text, at)) is not None:
            name = each[1].lower()
            attributes.setdefault(name, unescape(each[2][1:-1] if each[2] else ""))
            at = each.end()
        end = _END.match(self._text, at)
        if end is None:
            self._say(f'The tag <{tag[:32]}> cannot be read: attributes are name="value".')
            return False
        self._close(tag) if closes else self._begin(tag, attributes, bool(end[1]))
        self._at = end.end()
        return True

    def _begin(self, tag: str, attributes: Mapping[str, str], is_closed: bool) -> None:  # noqa: FBT001
        if tag not in ELEMENTS:
            self._say(f"<{tag[:32]}> is not allowed; these are: {', '.join(sorted(ELEMENTS))}.")
        for name, value in attributes.items():
            self._attribute(tag, name, value)
        given = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
        self._written.append(f"<{tag}{given}>")
        if tag in VOID:
            return
        if is_closed:
            self._written.append(f"</{tag}>")
            return
        self._open.append((tag, self._at))
        if len(self._open) == MOST_DEPTH:
            self._say(f"There are more than {MOST_DEPTH} elements within one another.")

    def _close(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self._open or self._open[-1][0] != tag:
            last = self._open[-1:]
            inner = [f"; <{each}> of line {self._place(at)[0]} is open" for each, at in last]
            self._say(f"</{tag[:32]}> closes nothing{''.join(inner)}.")
            return
        self._open.pop()
        self._written.append(f"</{tag}>")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        if name not in ATTRIBUTES:
            self._say(f"The attribute {name[:32]} is not allowed on <{tag[:32]}>; remove it.")
        elif name == "href":
            if value != "{home}" and not _leads(value):
                self._say("An href is an https or mailto address, or {home}.")
            return
        elif name == "src":
            if value != "{logo.src}":
                self._say("A src is {logo.src}: nothing is loaded from elsewhere.")
            return
        elif name == "style":
            self._style(value)
        elif name == "class" and not _CLASS.fullmatch(value):
            self._say("A class has letters, digits, - and _ only.")
        for each in placeholders(value):
            allowed = each.startswith(IN_STYLE) or (each == "brand" and name in {"alt", "title"})
            if not allowed:
                self._say(f"{{{each}}} cannot stand in the attribute {name}.")

    def _style(self, value: str) -> None:
        found = _NO_STYLE.search(value.lower())
        if found:
            self._say(f"A style has no {found[0]!r}.")
        for name in _CALLED.findall(value):
            if name.lower() not in _CALLS:
                self._say(f"A style calls no {name}(): nothing is loaded from elsewhere.")

    def _say(self, says: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.append(Problem(*self._place(self._at), says))

    def _place(self, at: int) -> tuple[int, int]:
        return place(self._text, at)


def place(text: str, at: int) -> tuple[int, int]:
    """Return line and column of a position, counted from 1."""
    return text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1


def placeholders(text: str) -> Sequence[str]:
    """Return the names of placeholders in a text; {{ and }} are braces."""
    return _PLACEHOLDER.findall(text.replace("{{", "").replace("}}", ""))


def _leads(address: str) -> bool:
    is_https = address.lower().startswith("https://") and is_url(address) and "{" not in address
    return is_https or _MAILTO.fullmatch(address) is not None
