"""Mail templates and the layout of mails, on the wire."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from nova.kernel.text import NO_NUL, Line, spelled
from nova.kernel.urls import Url

MOST_HTML = 65_536
MOST_LOGO = 24_576
"""Bytes of a logo: every mail carries it."""
DEFAULT, DIGEST = "default", "digest"
"""In place of a type: mails of types without a template, and those that tell of several."""

Locale = Annotated[
    str,
    Meta(max_length=35),
    spelled(r"\A[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", "a language such as en or pt-BR"),
]
Color = Annotated[str, spelled(r"\A#[0-9A-Fa-f]{6}\Z", "a colour such as #1d4ed8")]
Address = Annotated[
    str,
    Meta(max_length=254),
    spelled(r"\A[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\"]{1,253}\Z", "one mail address"),
]
Subject = Annotated[str, Meta(min_length=1, max_length=512), NO_NUL]
Running = Annotated[str, Meta(max_length=10_000), NO_NUL]
_PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


class MailWords(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail's words in one language, as plain text with `{placeholders}`."""

    subject: Subject = "{title}"
    """The subject."""
    preheader: Line = "{body}"
    """What lists of mails show beside the subject; nothing else shows it."""
    heading: Annotated[str, Meta(max_length=512), NO_NUL] = "{title}"
    """What stands in large letters above the text; empty for nothing."""
    body: Running = "{body}"
    """The text; each line is a paragraph."""
    button: Line | None = None
    """What the link to `metadata.url` says; absent for the layout's words, empty for no link."""


class MailTemplate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mails of a type, in each language."""

    templates: Annotated[
        dict[Locale, MailWords],
        Meta(
            min_length=1,
            max_length=100,
            examples=[{"en": {"subject": "{actor.name} likes your photo", "body": "{body}"}}],
        ),
    ]
    """Words by locale; `de-AT` falls back to `de`, and that to `fallback`."""
    fallback: Locale = "en"
    """The locale for people whose own has no words."""


class Palette(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Colours, each as # and six hexadecimal digits."""

    accent: Color = "#1d4ed8"
    """Of the button."""
    on_accent: Color = "#ffffff"
    """Of the words on the button."""
    background: Color = "#f3f4f6"
    """Around the mail."""
    surface: Color = "#ffffff"
    """Behind the text."""
    text: Color = "#1f2937"
    """Of the text."""
    muted: Color = "#6b7280"
    """Of the footer."""


DARK = Palette(
    accent="#93c5fd",
    on_accent="#0f172a",
    background="#0b0f19",
    surface="#1a2030",
    text="#e5e7eb",
    muted="#9ca3af",
)


class Logo(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An image that every mail carries."""

    image: Annotated[str, Meta(min_length=1, max_length=MOST_LOGO * 4 // 3 + 8, examples=[_PIXEL])]
    """A PNG, JPEG or GIF of up to 24,576 bytes, in base64."""
    alt: Line = ""
    """What stands in its place where images are not shown; the layout's `name` when empty."""
    width: Annotated[int, Meta(ge=1, le=560)] | None = None
    """As wide as it is shown, in pixels; as wide as it is when absent. The height follows."""


class LayoutWords(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words around every mail, in one language."""

    footer: Annotated[str, Meta(max_length=2_000), NO_NUL] = ""
    """What stands below, such as the sender's address; each line is a paragraph."""
    button: Line | None = None
    """What the link says; Nova's own word when absent."""
    unsubscribe: Line | None = None
    """What the link says that ends such mail; Nova's own words when absent."""


class MailLayout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all mails have in common."""

    name: Line = ""
    """What the app is called: shown where there is no logo, and `{brand}` in words."""
    url: Url = ""
    """Where logo and name lead."""
    logo: Logo | None = None
    """The logo, above the text."""
    colors: Palette = Palette()
    """The colours."""
    dark: Palette = DARK
    """The colours for readers who like it dark, as far as their program obeys."""
    words: Annotated[
        dict[Locale, LayoutWords],
        Meta(max_length=100, examples=[{"en": {"footer": "Harbour Ltd, 1 Pier Road, Lisbon"}}]),
    ] = {}
    """Words by locale. A language without any has Nova's, and the footer of `en` or the first."""
    html: Annotated[str, Meta(max_length=MOST_HTML), NO_NUL] | None = None
    """HTML of your own inside of `<body>`, with placeholders; Nova's when absent."""


class TemplateOf(Struct, frozen=True, kw_only=True):
    """The mail template of a type."""

    type: str
    """The type of notification, `default`, or `digest`."""
    template: MailTemplate
    """Its words."""


class TemplateList(Struct, frozen=True, kw_only=True):
    """Mail templates."""

    data: list[TemplateOf]
    """Those of the app, by type."""


class Sample(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A notification to try a template with."""

    title: Annotated[str, Meta(max_length=512), NO_NUL] | None = None
    """Its title; that of the type when absent."""
    body: Running | None = None
    """Its text; that of the type when absent."""
    url: Annotated[str, Meta(max_length=2_048), NO_NUL] = "https://app.example/posts/1"
    """Its `metadata.url`."""
    actor: Line = "Ada Lovelace"
    """The name of who did it."""
    recipient: Line = "Ben"
    """The name of whom it tells."""
    count: Annotated[int, Meta(ge=1, le=10_000)] = 3
    """How many a digest tells of."""
    metadata: Annotated[dict[str, Any], Meta(examples=[{"title": "My first post"}])] = {}
    """Its metadata."""


class Drafted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look at."""

    locale: Locale = "en"
    """The language of the reader."""
    sample: Sample = field(default_factory=Sample)
    """The notification."""
    template: MailTemplate | None = None
    """A template to try out; the one that is stored when absent."""
    layout: MailLayout | None = None
    """A layout to try out; the one that is stored when absent."""


class MailPreview(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mail as its reader would see it."""

    subject: str
    """Its subject."""
    text: str
    """Its plain text."""
    html: str
    """Its page; the logo is in it."""
    locale: str
    """The language that serves the reader best."""
    dir: Literal["ltr", "rtl"]
    """Which way that is written."""
    template: str
    """Whose words they are: a type's, those of `default` or `digest`, or `nova`."""
    locales: list[str]
    """The languages of that template."""
    fault: str | None = None
    """Why Nova's own words or layout stand in for the app's."""


class MailTrial(Drafted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to send, and to whom."""

    to: Address | None = None
    """The one address that gets it; it goes to the mail catcher alone when absent."""


class Tried(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a mail that was sent to try a template."""

    verdict: str
    """What the mail server said: sent, retry, gone, refused, or misconfigured."""
    code: str
    """Its code."""
    text: str
    """Its words, in a sentence."""
    carrier: str
    """What took it: `smtp`, or `outbox` for the mail catcher."""
    subject: str
    """The subject under which it is found."""
    fault: str | None = None
    """Why Nova's own words or layout stand in for the app's."""


LAYOUT_EXAMPLE = {
    "name": "Harbour",
    "url": "https://harbour.example/",
    "logo": {"image": _PIXEL, "width": 120},
    "colors": {"accent": "#0f766e"},
    "words": {"en": {"footer": "Harbour Ltd, 1 Pier Road, Lisbon"}},
}
"""A layout to show: one whose HTML is Nova's."""

SAMPLE_EXAMPLE = {
    "locale": "de",
    "sample": {"actor": "Grace Hopper", "metadata": {"title": "My first post"}},
}
