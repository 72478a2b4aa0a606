"""Render a mail from a notification: subject, plain text and HTML, all of it escaped. Pure.

Templates are plain text. They are filled in first and escaped as a whole afterwards, so that no
word of a template or a notification can become markup.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from nova.features.deliveries.mail.faults import BadMailTemplate, Place
from nova.features.deliveries.mail.layout import Layout, Way
from nova.features.deliveries.mail.models import (
    DEFAULT,
    DIGEST,
    MailLayout,
    MailTemplate,
    MailWords,
)
from nova.features.deliveries.mail.parts import Parts, html_parts, plain
from nova.kernel import placeholders
from nova.kernel.bidi import FIRST_STRONG_ISOLATE, POP_ISOLATE, isolated, undirected
from nova.kernel.errors import Refused
from nova.kernel.locales import right_to_left, served
from nova.kernel.placeholders import BadPlaceholder, Template
from nova.ports.carriers import Image

FIELDS = (
    "title",
    "body",
    "actor.name",
    "recipient.name",
    "event.type",
    "related_entity_id",
    "count",
    "brand",
)
"""Placeholders of words, besides `metadata.<key>`."""
NOVA = "nova"
"""In place of a template: Nova's own words."""
LAYOUT = "*layout"
"""In place of a type, which never begins so."""
MOST_SUBJECT, MOST_PREHEADER, MOST_BODY = 512, 140, 20_000
_WAYS: Sequence[Way] = ("ltr", "rtl")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_metadata = msgspec.json.Decoder(dict[str, Any])


class Letter(Struct, frozen=True, kw_only=True):
    """A notification, or several, on the way into a mail."""

    type: str
    title: str
    body: str
    url: str | None
    unsubscribe_url: str | None
    locale: str
    """Of title and body."""
    reader: str
    """The language that its reader wants."""
    is_many: bool = False
    count: int = 1
    about: str | None = None
    actor: str | None = None
    recipient: str | None = None
    metadata: str | bytes = "{}"


class Mail(Struct, frozen=True, kw_only=True):
    """A mail, written."""

    subject: str
    text: str
    html: str
    locale: str
    way: Way
    template: str
    """Whose words they are: the name of a template, or `nova`."""
    image: Image | None = None
    fault: str | None = None
    """Why Nova's own words and layout stand in for the app's."""


class Words(Struct, frozen=True):
    """A template in one language, taken apart."""

    locale: str
    subject: Template
    preheader: Template
    heading: Template
    body: Template
    button: str | None
    uses_metadata: bool


def read(locale: str, words: MailWords) -> Words:
    """Take words apart; raise BadMailTemplate with all that is wrong."""
    rtl = right_to_left(locale)
    found: dict[str, Template] = {}
    problems: list[Place] = []
    for name in ("subject", "preheader", "heading", "body"):
        try:
            found[name] = placeholders.read(getattr(words, name), FIELDS, within_rtl=rtl)
        except BadPlaceholder as bad:
            problems.append(Place(f"templates.{locale}.{name}", bad.says, character=bad.at))
    if problems:
        raise BadMailTemplate(problems)
    uses = any(each.uses_metadata for each in found.values())
    return Words(locale, **found, button=words.button, uses_metadata=uses)


def check(template: MailTemplate) -> None:
    """Raise BadMailTemplate with all that is wrong with a template."""
    problems: list[Place] = []
    for locale, words in template.templates.items():
        try:
            read(locale, words)
        except BadMailTemplate as bad:
            problems += bad.problems
    if template.fallback.lower() not in map(str.lower, template.templates):
        known = ", ".join(sorted(template.templates))
        says = f"There are no words for '{template.fallback}', the locale to fall back to; {known}."
        problems.append(Place("fallback", says))
    if problems:
        raise BadMailTemplate(problems)


_OWN = MailWords()


class Design:
    """A layout and templates; what is needed of them is taken apart once."""

    def __init__(
        self,
        layout: MailLayout | None = None,
        templates: Mapping[str, MailTemplate] = _NOTHING,
        broken: Mapping[str, str] = _NOTHING,
    ) -> None:
        """Raise nothing: what is wrong is raised by `write`. `broken` says why, by name."""
        self.given = layout or MailLayout()
        self.templates = templates
        self._broken = broken
        self._names = {*templates, *broken}
        self._locales = {
            name: {locale.lower(): locale for locale in each.templates}
            for name, each in templates.items()
        }
        self._layout: Layout | None = None
        self._words: dict[tuple[str, str], Words] = {}

    @staticmethod
    def stored(
        texts: Mapping[str, str], decode: Callable[[str, str], MailTemplate | MailLayout]
    ) -> "Design":
        """Read what is stored; what cannot be read fails when it is used."""
        layout: MailLayout | None = None
        templates: dict[str, MailTemplate] = {}
        broken: dict[str, str] = {}
        for name, text in texts.items():
            try:
                found = decode(name, text)
            except msgspec.MsgspecError as wrong:
                broken[name] = f"it cannot be read: {wrong}"
            else:
                if isinstance(found, MailLayout):
                    layout = found
                else:
                    templates[name] = found
        return Design(layout, templates, broken)

    @property
    def layout(self) -> Layout:
        if LAYOUT in self._broken:
            raise ValueError(f"the layout: {self._broken[LAYOUT]}")
        if self._layout is None:
            self._layout = Layout(self.given)
        return self._layout

    def uses_app(self, letter: Letter) -> bool:
        """Tell whether anything of the app's is in a mail."""
        has_layout = self.given is not _PLAIN and self.given != _PLAIN
        return has_layout or LAYOUT in self._broken or self.template(letter) != NOVA

    def template(self, letter: Letter) -> str:
        """Return the name of the template for a letter."""
        own = DIGEST if letter.is_many else letter.type
        return next((name for name in (own, DEFAULT) if name in self._names), NOVA)

    def locales(self, name: str) -> list[str]:
        """Return the languages of a template."""
        return sorted(self._locales.get(name, {}).values())

    def images(self) -> Mapping[str, str]:
        """Return what the HTML of mails names as `cid:…`, as data."""
        try:
            picture = self.layout.picture
        except (Refused, ValueError):
            return {}
        return {} if picture is None else {f"cid:{picture.image.cid}": picture.data_uri}

    def write(self, letter: Letter) -> Mail:
        """Write a mail. Whatever is wrong with a template or the layout is raised."""
        name = self.template(letter)
        words, layout = self._words_of(name, letter), self.layout
        said = _Said(letter, words, layout.given.name)
        subject = " ".join(said(words.subject, MOST_SUBJECT).split())
        if not subject and name != NOVA:
            raise ValueError("its subject is empty")
        parts = Parts(
            heading=said(words.heading, MOST_SUBJECT).strip(),
            body=said(words.body, MOST_BODY).strip(),
            preheader=" ".join(said(words.preheader, MOST_PREHEADER).split()),
            button=words.button,
            around=layout.around(words.locale),
            url=letter.url,
            unsubscribe_url=letter.unsubscribe_url,
        )
        way = _WAYS[right_to_left(words.locale)]
        fragments = html_parts(parts, way, layout.given.colors)
        return Mail(
            subject=subject,
            text=plain(parts),
            html=layout.page(words.locale, way, subject, fragments),
            locale=words.locale,
            way=way,
            template=name,
            image=layout.picture.image if layout.picture else None,
        )

    def _words_of(self, name: str, letter: Letter) -> Words:
        if name in self._broken:
            raise ValueError(self._broken[name])
        locale = letter.locale
        if name != NOVA:
            known = self._locales[name]
            best = served(letter.reader, frozenset(known))
            locale = known[best or self.templates[name].fallback.lower()]
        found = self._words.get((name, locale))
        if found is None:
            words = _OWN if name == NOVA else self.templates[name].templates[locale]
            found = self._words[name, locale] = read(locale, words)
        return found


class _Said:
    """Fills templates in with what a letter says."""

    def __init__(self, letter: Letter, words: Words, brand: str) -> None:
        self._metadata = _metadata.decode(letter.metadata) if words.uses_metadata else _NOTHING
        self._ready = {"title": letter.title, "body": letter.body}
        # What stands within other words must not turn them round; it may be isolated within itself.
        title = _within(letter.title, rtl=right_to_left(words.locale))
        self._within = {"title": title, "body": letter.body}
        self._values = {
            "actor.name": letter.actor,
            "recipient.name": letter.recipient,
            "event.type": letter.type,
            "related_entity_id": letter.about,
            "count": str(letter.count),
            "brand": brand,
        }

    def __call__(self, template: Template, most: int) -> str:
        ready = self._ready if len(template.parts) == 1 else self._within
        return template.fill(self._values, self._metadata, most, ready=ready)


def _within(text: str, *, rtl: bool) -> str:
    """Return a text fit to stand within another one; what it isolates stays isolated."""
    bare = undirected(text)
    if isolated(bare, within_rtl=rtl) == bare:
        return text
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"


_PLAIN = MailLayout()
