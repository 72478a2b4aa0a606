"""Repair JSON of which some items cannot be decoded, so that only these items are refused."""

import codecs
import re

QUICK = 2 << 20
"""Bytes that take no longer than a turn of the loop may; with more, it is done in a thread."""
DEEPEST = 256
"""How deep lists and objects are nested afterwards: deeper than anything that is taken."""

TOO_DEEP = rb'"\u0000 too deep"'
"""Stands in place of lists and objects that are nested deeper; no text may hold U+0000."""

_NUL = rb"\u0000"
# After an even number of backslashes: an odd one would be the escape of a backslash.
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
# A pair of surrogates, half of one, or any other escape.
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def has_nul(body: bytes) -> bool:
    """Tell whether a text of JSON holds U+0000, which it can only as an escape."""
    return _NUL in body and _ESCAPED_NUL.search(body) is not None


def readable(body: bytes) -> bytes:
    """Return JSON with U+0000 in place of what is no character, and of what is too deep.

    So a decoder reads it, and what checks the items refuses those that hold any of that.
    """
    text = body.decode("utf-8", _ERRORS).encode()
    return _shallow(_ESCAPE.sub(_without_halves, text))


def _without_halves(found: re.Match[bytes]) -> bytes:
    return _NUL if found["half"] else found[0]


def _shallow(body: bytes) -> bytes:
    kept: list[bytes] = []
    depth = start = 0
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if sign in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                kept.append(body[start : token.start()] + TOO_DEEP)
        elif sign in b"]}":
            depth -= 1
            if depth == DEEPEST:
                start = token.end()
    return b"".join(kept) + body[start:] if depth == 0 else body


def _as_nul(wrong: UnicodeError) -> tuple[str, int]:
    if not isinstance(wrong, UnicodeDecodeError):
        raise wrong
    return _NUL.decode(), wrong.end


_ERRORS = "nova.nul"
codecs.register_error(_ERRORS, _as_nul)
