"""Direction of text: remove bidi controls, and isolate what people wrote (UAX 9)."""

import re
from unicodedata import bidirectional

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ISOLATED = re.compile("[\u2066-\u2068][^\u2069]*\u2069?")
_ISOLATES = re.compile("[\u2066-\u2069]")
# Blocks of scripts from right to left, and the marks that act like one of their letters.
_RTL = "\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff"
_SOME_RTL = re.compile(f"[{_RTL}]")
_ALL_RTL = re.compile(f"[{_RTL}\\s]*")


def undirected(text: str) -> str:
    """Return a text without embeddings, overrides and isolates; marks (LRM, RLM, ALM) stay."""
    return text if text.isascii() else _CONTROLS.sub("", text)


def isolated(text: str, *, within_rtl: bool = False) -> str:
    """Return a text fit to stand within another one: isolated where it would turn that round."""
    if text.isascii() and not within_rtl:
        return text
    text = undirected(text)
    if _ALL_RTL.fullmatch(text) if within_rtl else not _SOME_RTL.search(text):
        return text
    # The end of a paragraph ends an isolate, so that each line has one of its own.
    return "".join(_line(line) for line in text.splitlines(keepends=True))


def goes_right_to_left(text: str) -> bool | None:
    """Tell which way a paragraph goes by its first strong letter (UAX 9, P2); None without one.

    What is isolated does not count: HTML's `dir="auto"` would count it.
    """
    bare = text if text.isascii() else _ISOLATED.sub("", text)
    strong = (bidirectional(each) for each in bare)
    first = next((each for each in strong if each in {"L", "R", "AL"}), None)
    return None if first is None else first != "L"


def unclosed(text: str) -> str:
    """Return the controls that close what isolates a text leaves open."""
    if text.isascii():
        return ""
    depth = 0
    for control in _ISOLATES.findall(text):
        depth = max(0, depth - 1) if control == POP_ISOLATE else depth + 1
    return POP_ISOLATE * depth


def _line(line: str) -> str:
    said = line.rstrip("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")
    return FIRST_STRONG_ISOLATE + said + POP_ISOLATE + line[len(said) :] if said else line
