"""Choose the best available language for a reader (RFC 4647, CLDR)."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import TypeVar

from langcodes import Language, tag_distance
from langcodes.tag_parser import LanguageTagError

_NEAR = 10
"""CLDR's distance within which readers take one language for the other: regions differ by up to
5, Cantonese and Chinese by 10; scripts by 50, Danish and Norwegian by 12."""
_FAR = 1000
T = TypeVar("T")
_PARENTS = {"nn": "no", "yue": "zh-hant"}
"""Languages whose readers CLDR sends to another one before English, where only that one is."""
_RTL_SCRIPTS = frozenset(
    ("Adlm", "Arab", "Aran", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi")
)


@lru_cache(maxsize=4096)
def served(wanted: str, available: frozenset[str]) -> str | None:
    """Return which of the locales, in lower case, serves a reader best; None where none does.

    The tag itself, else the one that is nearest by CLDR's likely subtags, else one of the same
    language: `iw` is served by `he`, `pt` by `pt-br`, `zh-Hant-TW` by `zh-tw` rather than by `zh`.
    """
    wanted = wanted.replace("_", "-").lower()
    if wanted in available:
        return wanted
    language = wanted.partition("-")[0]
    parent = _PARENTS.get(language, "")
    same = (language, parent.partition("-")[0])
    return (
        _nearest(wanted, available, within=_NEAR)
        or (_nearest(parent, available, within=_NEAR) if parent else None)
        or _nearest(wanted, [each for each in available if each.partition("-")[0] in same])
    )


def words_of(words: Mapping[str, T], locale: str) -> T:
    """Return the words of the language that serves a reader best, or the English ones."""
    found = words.get(locale)
    return words[served(locale, frozenset(words)) or "en"] if found is None else found


@lru_cache(maxsize=4096)
def right_to_left(locale: str) -> bool:
    """Tell whether a language is written from right to left, where the tag says it or implies."""
    try:
        return Language.get(locale).maximize().script in _RTL_SCRIPTS
    except (LanguageTagError, ValueError):
        return False


def _nearest(wanted: str, available: Collection[str], *, within: int = _FAR) -> str | None:
    near = min(((_distance(wanted, each), each) for each in available), default=None)
    return near[1] if near is not None and near[0] <= within else None


def _distance(wanted: str, other: str) -> int:
    """Return CLDR's distance; the largest for what is no tag."""
    try:
        return tag_distance(wanted, other)
    except (LanguageTagError, ValueError):
        return _FAR
