"""Text from outside: bounded, without NUL, fit for PostgreSQL and JSON.

Lone surrogates never get this far: msgspec refuses them while decoding.
"""

from typing import Annotated
from unicodedata import normalize

import regex
from msgspec import Meta

from nova.kernel.bidi import unclosed, undirected

SPELLED = "spelled"


def spelled(pattern: str, words: str) -> Meta:
    """Return a pattern for an annotation; refusals say `words` in its place."""
    return Meta(pattern=pattern, extra={SPELLED: words})


NO_NUL = spelled(r"\A[^\x00]*\Z", "text without the character U+0000")
NO_SPACE = spelled(r"\A[^\x00-\x20\x7f]+\Z", "text without spaces and control characters")

Slug = Annotated[
    str,
    Meta(min_length=1, max_length=64),
    spelled(r"\A[a-z][a-z0-9_-]*\Z", "a name such as new_follower: a-z, then 0-9, _ and -, too"),
]
"""A name that programs use."""

Name = Annotated[str, Meta(min_length=1, max_length=128), NO_NUL]
"""An id, a key or a short label: 1 to 128 characters."""

NameOrNone = Annotated[str, Meta(max_length=128), NO_NUL]
"""A name, or empty for none."""

Line = Annotated[str, Meta(max_length=512), NO_NUL]
"""One line that people read: up to 512 characters."""

Body = Annotated[str, Meta(max_length=10_000), NO_NUL]
"""Running text that people read: up to 10,000 characters."""

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A natural number that JavaScript can hold exactly."""

ELLIPSIS = "…"
_LONGEST = 32
"""Code points of one visible character; what stacks up more is cut anywhere."""
_CLUSTER = regex.compile(r"\X")
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_WIDE = regex.compile("[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff65-\uffdc]+")
# Blank, though Unicode calls them letters or symbols: braille without dots, the place of an object,
# hieroglyphic blanks and a notehead without ink.
_BLANKS = r"\u2800\ufffc\U00013441\U00013442\U0001d159"
_INVISIBLE = r"\p{Z}\p{M}\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}"
_VISIBLE = regex.compile(f"[^{_INVISIBLE}{_BLANKS}]")
_LINE_ENDS = regex.compile(r"[\p{Cc}\u2028\u2029]+")


def beginning(text: str, most: int) -> str:
    """Return up to so many code points, ending between two grapheme clusters (UAX 29)."""
    if len(text) <= most:
        return text
    # A cluster is told from the few code points before it, but a flag from all flags before it.
    at = max(0, most - 2 * _LONGEST)
    if text[most - 1 : most + 1] != "\r\n" and text[at : most + 1].isascii():
        return text[:most]
    if text[at] in _FLAG_LETTERS:
        at = len(text[:at].rstrip(_FLAG_LETTERS))
    for cluster in _CLUSTER.finditer(text, at):
        if cluster.end() > most:
            break
        at = cluster.end()
    return text[: at if at > most - _LONGEST else most]


def beginning_of(body: bytes, most: int) -> str:
    """Return up to so many code points of what somebody answered; what is no UTF-8 is replaced."""
    return beginning(body[: 4 * most].decode(errors="replace"), most)


def shortened(text: str, most: int) -> str:
    """Return up to so many code points, with an ellipsis where the text is cut.

    Isolates (UAX 9) that the cut leaves open are closed.
    """
    if len(text) <= most:
        return text
    kept = beginning(text, most - 1).rstrip()
    if opened := len(unclosed(kept)):
        kept = beginning(text, most - 1 - opened).rstrip()
    return kept + ELLIPSIS + unclosed(kept)


def folded(text: str) -> str:
    """Return the form in which texts are equal that differ in case, width or composition only."""
    if text.isascii():
        return text.lower()
    narrow = _WIDE.sub(lambda wide: normalize("NFKC", wide[0]), text)
    return normalize("NFC", normalize("NFD", narrow).casefold())


def name_shown(name: str | None) -> str:
    """Return a name as it is shown: on one line, without direction controls; empty for a blank.

    Names from before the rules of names, too, are safe to show.
    """
    if not name or (name.isascii() and name.isprintable()):
        return (name or "").strip()
    name = _LINE_ENDS.sub(" ", undirected(name)).strip()
    return name if _VISIBLE.search(name) else ""


def name_problem(name: str) -> str | None:
    """Return why something is no name that people can be shown, or None."""
    if _LINE_ENDS.search(name) or undirected(name) != name:
        return "A name has no line ends, control characters or controls of direction."
    return None if not name or name_shown(name) else "A name has at least one visible character."
