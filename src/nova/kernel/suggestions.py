"""Suggestions for misspelt names: the nearest of the names that exist."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 64
"""Characters of a name that are compared: comparing takes the square of their number."""
MOST_COMPARED = 1_000
MOST_SUGGESTED = 3


def nearest(name: str, names: Iterable[str], *, separator: str = "") -> list[str]:
    """Return up to three names that may have been meant, the nearest first.

    With a separator, the part after it may stand for a name: `port` for `http.port`.
    """
    known = [each for each, _ in zip(names, range(MOST_COMPARED), strict=False)]
    name = name[:LONGEST]
    short = [each.partition(separator)[2] or each if separator else each for each in known]
    same = [each for each, part in zip(known, short, strict=True) if part == name]
    found = same or get_close_matches(name, known, 1)
    if not found and (close := get_close_matches(name, short, 1)):
        found = [each for each, part in zip(known, short, strict=True) if part == close[0]]
    return found[:MOST_SUGGESTED]


def did_you_mean(name: str, names: Iterable[str], *, separator: str = "") -> str:
    """Return the question `did you mean 'serve'?`, or nothing where no name is near."""
    found = nearest(name, names, separator=separator)
    return f"did you mean {' or '.join(map(repr, found))}?" if found else ""
