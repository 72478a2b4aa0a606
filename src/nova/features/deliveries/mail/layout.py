"""The layout of mails, parsed once: name, logo, colours and footer around every mail's text."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Literal, TypeAlias

from msgspec import Struct

from nova.features.deliveries.mail import built_in
from nova.features.deliveries.mail.faults import BadMailTemplate, Place
from nova.features.deliveries.mail.logo import BadImage, Picture, picture
from nova.features.deliveries.mail.markup import IN_TEXT, Markup, Problem, place, placeholders
from nova.features.deliveries.mail.models import LayoutWords, MailLayout, Palette
from nova.kernel import placeholders as texts
from nova.kernel.locales import served, words_of
from nova.kernel.placeholders import BadPlaceholder, Placeholder

Way: TypeAlias = Literal["ltr", "rtl"]
COLORS = Palette.__struct_fields__
FIELDS = (
    *sorted(IN_TEXT),
    "home",
    "logo.src",
    "align",
    *(f"color.{name}" for name in COLORS),
)
"""Placeholders of a layout's HTML."""
NEEDED = ("body", "unsubscribe")
_HEAD = (
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<meta name="color-scheme" content="light dark">'
    '<meta name="supported-color-schemes" content="light dark">'
)
_ALIGN: Mapping[Way, str] = {"ltr": "left", "rtl": "right"}


class Around(Struct, frozen=True):
    """Words around a mail, in one language."""

    button: str
    unsubscribe: str
    footer: str


class Layout:
    """What all mails have in common."""

    def __init__(self, given: MailLayout) -> None:
        """Raise BadMailTemplate with all that is wrong."""
        self.given = given
        self.picture, problems = _picture(given)
        source = built_in.HTML if given.html is None else given.html
        markup = Markup(source)
        problems += [
            Place("html", each.says, line=each.line, column=each.column)
            for each in [*_unknown(source), *markup.problems]
        ]
        problems += _missing(source, given)
        if problems:
            raise BadMailTemplate(problems)
        parts = texts.read(markup.html, FIELDS).parts
        self._frames = {way: self._baked(parts, way) for way in _ALIGN}
        self._opening = _opening(given.colors, given.dark)
        self._words = {locale.lower(): words for locale, words in given.words.items()}
        self._locales = frozenset(self._words)
        self._around: dict[str, Around] = {}  # of the languages that templates have

    def around(self, locale: str) -> Around:
        """Return the words around a mail in this language; Nova's where the app has none."""
        found = self._around.get(locale)
        if found is None:
            found = self._around[locale] = self._around_in(locale)
        return found

    def _around_in(self, locale: str) -> Around:
        best = served(locale, self._locales)
        words = LayoutWords() if best is None else self._words[best]
        # A language without words has Nova's for links, but the footer must not be missing.
        other = self._words.get("en") or next(iter(self._words.values()), words)
        return Around(
            words_of(built_in.OPEN, locale) if words.button is None else words.button,
            words.unsubscribe or words_of(built_in.UNSUBSCRIBE, locale),
            other.footer if best is None else words.footer,
        )

    def page(self, locale: str, way: Way, title: str, fragments: Mapping[str, str]) -> str:
        """Return a whole page; `fragments` are HTML."""
        inner = "".join(
            part if isinstance(part, str) else fragments.get(part.name) or part.otherwise or ""
            for part in self._frames[way]
        )
        return (
            f'<!doctype html><html lang="{escape(locale)}" dir="{way}">{_HEAD}'
            f'<title>{escape(title, quote=False)}</title>{self._opening} dir="{way}">'
            f"{inner}</body></html>"
        )

    def _baked(self, parts: tuple[str | Placeholder, ...], way: Way) -> list[str | Placeholder]:
        """Put in what is the same for all mails of a direction."""
        constants = self._constants(way)
        found: list[str | Placeholder] = []
        for part in parts:
            text = part if isinstance(part, str) else constants.get(part.name)
            if text is None:
                found.append(part)
            elif found and isinstance(found[-1], str):
                found[-1] += text
            else:
                found.append(text)
        return found

    def _constants(self, way: Way) -> dict[str, str]:
        given, shown = self.given, self.picture
        name, home = escape(given.name), escape(given.url)
        colors = {f"color.{each}": getattr(given.colors, each) for each in COLORS}
        known = colors | {"align": _ALIGN[way], "brand": name, "home": home}
        logo = f'<b style="font-size:18px">{name}</b>' if name else ""
        if shown is not None:
            known["logo.src"] = f"cid:{shown.image.cid}"
            alt = escape(given.logo.alt if given.logo and given.logo.alt else given.name)
            logo = (
                f'<img src="cid:{shown.image.cid}" alt="{alt}" width="{shown.width}" '
                f'height="{shown.height}" style="display:inline-block;border:0">'
            )
        if logo and home:
            logo = f'<a href="{home}" style="color:inherit;text-decoration:none">{logo}</a>'
        if logo:
            logo = f'<div style="margin:0 0 24px">{logo}</div>'
        return known | {"logo": logo}


def _opening(light: Palette, dark: Palette) -> str:
    """Return the style for readers who like it dark, and the beginning of the body.

    All else has its style in attributes: many programs take no other.
    """
    return (
        "<style>:root{color-scheme:light dark}@media (prefers-color-scheme:dark){"
        f".nova-background{{background-color:{dark.background}!important}}"
        f".nova-surface{{background-color:{dark.surface}!important}}"
        f".nova-text,.nova-heading{{color:{dark.text}!important}}"
        f".nova-muted,.nova-muted a{{color:{dark.muted}!important}}"
        f".nova-button{{background-color:{dark.accent}!important}}"
        f".nova-button a{{color:{dark.on_accent}!important}}"
        "}</style></head>"
        '<body class="nova-background" style="margin:0;padding:0;'
        f'background-color:{light.background}"'
    )


def _picture(given: MailLayout) -> tuple[Picture | None, list[Place]]:
    if given.logo is None:
        return None, []
    try:
        return picture(given.logo), []
    except BadImage as wrong:
        return None, [Place("logo.image", f"The image cannot be used: {wrong}.")]


def _unknown(source: str) -> Iterator[Problem]:
    try:
        texts.read(source, FIELDS)
    except BadPlaceholder as bad:
        yield Problem(*place(source, bad.at - 1), bad.says)


def _missing(source: str, given: MailLayout) -> list[Place]:
    """Return what a layout has to have, and what it cannot name without having it."""
    used = placeholders(source)
    found = [
        Place("html", f"{{{name}}} is missing; put it where it belongs.")
        for name in NEEDED
        if name not in used
    ]
    if "home" in used and not given.url:
        found.append(Place("url", "The HTML names {home}, which is this address: give one."))
    if "logo.src" in used and given.logo is None:
        found.append(Place("logo", "The HTML names {logo.src}: give a logo."))
    return found
