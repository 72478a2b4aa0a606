"""Words around a notification: its link, lines of summaries, and lists of names."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nova.kernel.bidi import (
    FIRST_STRONG_ISOLATE,
    POP_ISOLATE,
    isolated,
)
from nova.kernel.locales import right_to_left, words_of
from nova.kernel.urls import is_link

SUMMARY: Mapping[str, str] = {
    "en": "{n} new notifications",
    "de": "{n} neue Mitteilungen",
    "fr": "{n} nouvelles notifications",
    "es": "{n} notificaciones nuevas",
}
AND_OTHER: Mapping[str, str] = {
    "en": "{names} and 1 other",
    "de": "{names} und 1 weitere Person",
    "fr": "{names} et 1 autre",
    "es": "{names} y 1 más",
}
AND_OTHERS: Mapping[str, str] = {
    "en": "{names} and {n} others",
    "de": "{names} und {n} weitere",
    "fr": "{names} et {n} autres",
    "es": "{names} y {n} más",
}
AND: Mapping[str, str] = {"en": " and ", "de": " und ", "fr": " et ", "es": " y "}
MOST_LINES = 5
MOST_LINES_OF_MAIL = 50


def link(metadata: Mapping[str, Any], schemes: Collection[str] = ()) -> str | None:
    """Return where a tap leads: the event's `metadata.url`.

    That is an http(s) address, or one of an app with one of these schemes.
    """
    url = metadata.get("url")
    return url if isinstance(url, str) and is_link(url, schemes) else None


def summary(titles: Sequence[str], locale: str, channel: str) -> tuple[str, str]:
    """Return title and body of one push or mail in place of several, the newest first."""
    most = MOST_LINES_OF_MAIL if channel == "email" else MOST_LINES
    lines = list(titles[:most])
    if len(titles) > most:
        lines.append("…")
    return words_of(SUMMARY, locale).format(n=len(titles)), "\n".join(lines)


def names(who: Sequence[str], total: int, locale: str) -> str:
    """Return 'Ada', 'Ada and Ben', or 'Ada and 3 others'. `total` counts those without a name."""
    within_rtl = right_to_left(locale)
    first, *more = (isolated(each, within_rtl=within_rtl) for each in who)
    others = total - 1
    if others <= 0:
        return first
    if others == 1 and more:
        said = first + words_of(AND, locale) + more[0]
    else:
        words = AND_OTHER if others == 1 else AND_OTHERS
        said = words_of(words, locale).format(names=first, n=others)
    # These words are in languages from left to right only.
    return f"{FIRST_STRONG_ISOLATE}{said}{POP_ISOLATE}" if within_rtl else said
