"""Words around a notification: the HTML of mail, lines of summaries, and lists of names."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nova.kernel.bidi import (
    FIRST_STRONG_ISOLATE,
    POP_ISOLATE,
    goes_right_to_left,
    isolated,
)
from nova.kernel.locales import right_to_left, words_of
from nova.kernel.urls import is_url

UNSUBSCRIBE: Mapping[str, str] = {
    "en": "Unsubscribe from mail like this",
    "de": "Solche Mails abbestellen",
    "fr": "Ne plus recevoir ce type d\u2019e-mail",
    "es": "No recibir más correos como este",
}
OPEN: Mapping[str, str] = {"en": "Open", "de": "Öffnen", "fr": "Ouvrir", "es": "Abrir"}
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
_WAYS = ("ltr", "rtl")
_BODY = "font-family:sans-serif;max-width:36em;margin:2em auto;padding:0 1em"


def html(title: str, body: str, url: str | None, unsubscribe: str | None, locale: str) -> str:
    """Return a mail's body; everything that people wrote is escaped."""
    language = escape(locale, quote=True)
    way = _WAYS[right_to_left(locale)]
    lines = [
        f'<!doctype html><html lang="{language}" dir="{way}"><head><meta charset="utf-8">',
        f"<title>{escape(title)}</title></head>",
        f'<body dir="{way}" style="{_BODY}">',
        f'<h1 style="font-size:1.2em">{escape(title)}</h1>',
        *(_paragraph(line, way) for line in body.splitlines() if line.strip()),
    ]
    if url:
        lines.append(f'<p><a href="{escape(url, quote=True)}">{words_of(OPEN, locale)}</a></p>')
    if unsubscribe:
        words = words_of(UNSUBSCRIBE, locale)
        lines.append(
            f'<p style="color:#666;font-size:.8em"><a href="{escape(unsubscribe, quote=True)}">'
            f"{words}</a></p>"
        )
    return "\n".join([*lines, "</body></html>"])


def _paragraph(line: str, otherwise: str) -> str:
    """Return what may be people's own words, which go their own way."""
    rtl = goes_right_to_left(line)
    way = otherwise if rtl is None else _WAYS[rtl]
    return f'<p dir="{way}">{escape(line)}</p>'


def link(metadata: Mapping[str, Any]) -> str | None:
    """Return where a tap leads: the event's `metadata.url`, when it is an http(s) address."""
    url = metadata.get("url")
    return url if isinstance(url, str) and is_url(url) else None


def summary(titles: Sequence[str], locale: str) -> tuple[str, str]:
    """Return title and body of one push or mail in place of several, the newest first."""
    lines = list(titles[:MOST_LINES])
    if len(titles) > MOST_LINES:
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
