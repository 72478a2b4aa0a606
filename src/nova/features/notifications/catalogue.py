"""Types of notifications: the built-in ones and those that the app registers."""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from nova.features.notifications import templates
from nova.kernel.errors import Invalid, NotFound
from nova.kernel.locales import right_to_left, served, words_of
from nova.kernel.placeholders import Template
from nova.kernel.text import NO_NUL, Name, spelled

LOCALE = spelled(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", "a language such as en or pt-BR")
DAY_S = 86_400.0

Locale = Annotated[str, Meta(max_length=35), LOCALE]
Text = Annotated[str, Meta(max_length=2_000), NO_NUL]


class UnknownType(NotFound):
    """There is no such type of notification."""

    code = "unknown_type"
    hint = "GET /v1/notification-types lists them."


class NoTemplate(Invalid):
    """A type needs a template in its fallback locale."""

    code = "no_template"


class Wording(Struct, frozen=True, forbid_unknown_fields=True):
    """A template in one language."""

    title: Text
    """Template of the title."""
    body: Text = ""
    """Template of the body."""
    many: Text = ""
    """The title of a group of several; `{others}` says how many more, `{count}` how many in all."""


class Kind(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be known about a type of notification."""

    templates: Annotated[
        dict[Locale, Wording],
        Meta(
            min_length=1,
            max_length=100,
            examples=[{"en": {"title": "{actor.name} liked your photo", "body": ""}}],
        ),
    ]
    """Wording by locale; `de-AT` falls back to `de`, and that to `fallback`."""
    fallback: Locale = "en"
    """The locale for people whose own has no template."""
    lifetime_days: Annotated[float, Meta(gt=0, le=3650)] | None = None
    """Days until such a notification expires; the deployment's setting when absent."""
    channels: Annotated[dict[Name, bool], Meta(max_length=16)] = {}
    """Which channels are on for people who chose nothing, where it differs from the app's own."""
    critical: bool = False
    """Whether it reaches people whatever they chose: for security and safety only."""


class Ready(Struct, frozen=True):
    """A type with its templates taken apart."""

    name: str
    kind: Kind
    wording: Mapping[str, tuple[Template, Template]]
    """Title and body by lower-case locale."""
    lifetime_s: float | None
    many: Mapping[str, Template] = {}
    """Title of bursts, by lower-case locale."""
    locales: frozenset[str] = frozenset()
    """Those of `wording`."""

    def titled_for_many(self, locale: str) -> Template:
        """Return the title of a burst; a type without one says what its first event said."""
        return self.many.get(locale) or self.worded(locale)[1]

    def worded(self, locale: str | None) -> tuple[str, Template, Template]:
        """Return the locale that serves a reader best, and its title and body."""
        best = locale if locale in self.wording else served(locale or "", self.locales)
        best = best or self.kind.fallback.lower()
        return (best, *self.wording[best])


def prepare(name: str, kind: Kind) -> Ready:
    """Take a type's templates apart; raise BadTemplate or NoTemplate."""
    wording, many = {}, {}
    for locale, words in kind.templates.items():
        rtl = right_to_left(locale)
        try:
            wording[locale.lower()] = (
                templates.read(words.title, within_rtl=rtl),
                templates.read(words.body, within_rtl=rtl),
            )
            if words.many:
                many[locale.lower()] = templates.read(words.many, within_rtl=rtl)
        except templates.BadTemplate as bad:
            raise templates.BadTemplate(f"{locale}: {bad.detail}", at=bad.extra.get("at")) from None
    if kind.fallback.lower() not in wording:
        raise NoTemplate(
            f"There is no template for '{kind.fallback}', the locale to fall back to.",
            locales=sorted(kind.templates),
        )
    days = kind.lifetime_days
    lifetime_s = None if days is None else days * DAY_S
    return Ready(name, kind, wording, lifetime_s, many, frozenset(wording))


def _kind(**wordings: tuple[str, ...]) -> Kind:
    return Kind(templates={locale: Wording(*words) for locale, words in wordings.items()})


def built_in() -> dict[str, Kind]:
    """Return the types that every deployment has."""
    return {
        "like": _kind(
            en=(
                "{actor.name} liked {metadata.title|your post}",
                "{metadata.excerpt}",
                "{actor.name} and {others} liked {metadata.title|your post}",
            ),
            de=(
                "{actor.name} gefällt {metadata.title|dein Beitrag}",
                "{metadata.excerpt}",
                "{actor.name} und {others} gefällt {metadata.title|dein Beitrag}",
            ),
            fr=(
                "{actor.name} a aimé {metadata.title|votre publication}",
                "{metadata.excerpt}",
                "{actor.name} et {others} ont aimé {metadata.title|votre publication}",
            ),
            es=(
                "A {actor.name} le gusta {metadata.title|tu publicación}",
                "{metadata.excerpt}",
                "A {actor.name} y {others} les gusta {metadata.title|tu publicación}",
            ),
        ),
        "comment": _kind(
            en=(
                "{actor.name} commented on {metadata.title|your post}",
                "{metadata.text}",
                "{actor.name} and {others} commented on {metadata.title|your post}",
            ),
            de=(
                "{actor.name} hat {metadata.title|deinen Beitrag} kommentiert",
                "{metadata.text}",
                "Von {actor.name} und {others} kommentiert: {metadata.title|dein Beitrag}",
            ),
            fr=(
                "{actor.name} a commenté {metadata.title|votre publication}",
                "{metadata.text}",
                "{actor.name} et {others} ont commenté {metadata.title|votre publication}",
            ),
            es=(
                "{actor.name} comentó {metadata.title|tu publicación}",
                "{metadata.text}",
                "{actor.name} y {others} comentaron {metadata.title|tu publicación}",
            ),
        ),
        "reply": _kind(
            en=(
                "{actor.name} replied to your comment",
                "{metadata.text}",
                "{actor.name} and {others} replied to your comment",
            ),
            de=(
                "{actor.name} hat auf deinen Kommentar geantwortet",
                "{metadata.text}",
                "Antworten von {actor.name} und {others} auf deinen Kommentar",
            ),
            fr=(
                "{actor.name} a répondu à votre commentaire",
                "{metadata.text}",
                "{actor.name} et {others} ont répondu à votre commentaire",
            ),
            es=(
                "{actor.name} respondió a tu comentario",
                "{metadata.text}",
                "{actor.name} y {others} respondieron a tu comentario",
            ),
        ),
        "mention": _kind(
            en=(
                "{actor.name} mentioned you",
                "{metadata.text}",
                "{actor.name} and {others} mentioned you",
            ),
            de=(
                "{actor.name} hat dich erwähnt",
                "{metadata.text}",
                "Du wurdest von {actor.name} und {others} erwähnt",
            ),
            fr=(
                "{actor.name} vous a mentionné",
                "{metadata.text}",
                "{actor.name} et {others} vous ont mentionné",
            ),
            es=(
                "{actor.name} te mencionó",
                "{metadata.text}",
                "{actor.name} y {others} te mencionaron",
            ),
        ),
        "follow": _kind(
            en=("{actor.name} follows you", "", "{actor.name} and {others} follow you"),
            de=(
                "{actor.name} folgt dir",
                "",
                "Mit {actor.name} und {others} hast du neue Follower",
            ),
            fr=("{actor.name} vous suit", "", "{actor.name} et {others} vous suivent"),
            es=("{actor.name} te sigue", "", "{actor.name} y {others} te siguen"),
        ),
        "follow_request": _kind(
            en=(
                "{actor.name} wants to follow you",
                "",
                "{actor.name} and {others} want to follow you",
            ),
            de=(
                "{actor.name} möchte dir folgen",
                "",
                "Anfragen von {actor.name} und {others}, dir zu folgen",
            ),
            fr=(
                "{actor.name} souhaite vous suivre",
                "",
                "{actor.name} et {others} souhaitent vous suivre",
            ),
            es=("{actor.name} quiere seguirte", "", "{actor.name} y {others} quieren seguirte"),
        ),
        "follow_approved": _kind(
            en=("{actor.name} lets you follow", "", "{actor.name} and {others} let you follow"),
            de=("{actor.name} lässt dich folgen", "", "Du darfst {actor.name} und {others} folgen"),
            fr=(
                "{actor.name} a accepté votre demande",
                "",
                "{actor.name} et {others} ont accepté votre demande",
            ),
            es=(
                "{actor.name} aceptó tu solicitud",
                "",
                "{actor.name} y {others} aceptaron tu solicitud",
            ),
        ),
        "message": _kind(
            en=(
                "{actor.name} sent you a message",
                "{metadata.text}",
                "{actor.name} and {others} sent you messages",
            ),
            de=(
                "{actor.name} hat dir geschrieben",
                "{metadata.text}",
                "Nachrichten von {actor.name} und {others}",
            ),
            fr=(
                "{actor.name} vous a envoyé un message",
                "{metadata.text}",
                "{actor.name} et {others} vous ont envoyé des messages",
            ),
            es=(
                "{actor.name} te envió un mensaje",
                "{metadata.text}",
                "{actor.name} y {others} te enviaron mensajes",
            ),
        ),
        "live_start": _kind(
            en=("{actor.name} is live", "{metadata.title}", "{actor.name} and {others} are live"),
            de=(
                "{actor.name} ist live",
                "{metadata.title}",
                "Live-Streams von {actor.name} und {others}",
            ),
            fr=(
                "{actor.name} est en direct",
                "{metadata.title}",
                "{actor.name} et {others} sont en direct",
            ),
            es=(
                "{actor.name} está en directo",
                "{metadata.title}",
                "{actor.name} y {others} están en directo",
            ),
        ),
        "stream_update": _kind(
            en=(
                "News about the stream of {actor.name}",
                "{metadata.text}",
                "News about the streams of {actor.name} and {others}",
            ),
            de=(
                "Neues zum Stream von {actor.name}",
                "{metadata.text}",
                "Neues zu den Streams von {actor.name} und {others}",
            ),
            fr=(
                "Du nouveau sur le direct de {actor.name}",
                "{metadata.text}",
                "Du nouveau sur les directs de {actor.name} et {others}",
            ),
            es=(
                "Novedades del directo de {actor.name}",
                "{metadata.text}",
                "Novedades de los directos de {actor.name} y {others}",
            ),
        ),
    }


def others_in(locale: str, count: int) -> str:
    """Return how many more did the same, in words."""
    one, several = words_of(templates.OTHERS, locale)
    return one if count == 1 else several.format(count=count)


def someone(locale: str) -> str:
    """Return what stands for an actor without a name."""
    return words_of(templates.SOMEONE, locale)
