"""The parts of a mail, as plain text and as HTML: every word is escaped here."""

from collections.abc import Iterator, Mapping
from html import escape

from msgspec import Struct

from nova.features.deliveries.mail.layout import Around, Way
from nova.features.deliveries.mail.models import Palette
from nova.kernel.bidi import goes_right_to_left


class Parts(Struct, frozen=True, kw_only=True):
    """What a mail says; all of it is text."""

    heading: str
    body: str
    preheader: str
    button: str | None
    around: Around
    url: str | None
    unsubscribe_url: str | None

    @property
    def link(self) -> str:
        """What the link says; empty for no link."""
        if not self.url:
            return ""
        return self.around.button if self.button is None else self.button


def plain(parts: Parts) -> str:
    """Return a mail as plain text."""
    said = [parts.heading, parts.body if parts.body != parts.heading else ""]
    if parts.link:
        said.append(f"{parts.link}: {parts.url}")
    said.append(parts.around.footer.strip())
    if parts.unsubscribe_url:
        said.append(f"{parts.around.unsubscribe}: {parts.unsubscribe_url}")
    return "\n\n".join(part for part in said if part)


def html_parts(parts: Parts, way: Way, colors: Palette) -> Mapping[str, str]:
    """Return the parts of a mail as HTML, by the name of their placeholder."""
    return {
        "preheader": _preheader(parts.preheader),
        "heading": _heading(parts.heading, way, colors.text),
        "body": _paragraphs(parts.body, way),
        "button": _button(parts.link, parts.url, colors) if parts.url and parts.link else "",
        "footer": _paragraphs(parts.around.footer, way),
        "unsubscribe": _link(parts.around.unsubscribe, parts.unsubscribe_url, colors.muted)
        if parts.unsubscribe_url
        else "",
    }


def _preheader(line: str) -> str:
    said = escape(line, quote=False)
    return f'<div style="display:none;max-height:0;overflow:hidden">{said}</div>' if said else ""


def _heading(text: str, otherwise: Way, color: str) -> str:
    if not text:
        return ""
    return (
        f'<h1 class="nova-heading" dir="{_way(text, otherwise)}" style="margin:0 0 16px;'
        f'font-size:22px;line-height:1.3;color:{color}">{escape(text, quote=False)}</h1>'
    )


def _paragraphs(text: str, otherwise: Way) -> str:
    return "".join(_paragraph(line, otherwise) for line in _lines(text))


def _paragraph(line: str, otherwise: Way) -> str:
    """Return what may be people's own words, which go their own way."""
    way = _way(line, otherwise)
    return f'<p dir="{way}" style="margin:0 0 12px">{escape(line, quote=False)}</p>'


def _way(line: str, otherwise: Way) -> Way:
    rtl = goes_right_to_left(line)
    if rtl is None:
        return otherwise
    return "rtl" if rtl else "ltr"


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.splitlines() if line.strip())


def _button(words: str, url: str, colors: Palette) -> str:
    return (
        '<table role="presentation" cellpadding="0" cellspacing="0" style="margin:16px 0 0"><tr>'
        f'<td class="nova-button" bgcolor="{colors.accent}" style="background-color:'
        f'{colors.accent};border-radius:6px"><a href="{escape(url)}" style="display:inline-block;'
        f'padding:12px 20px;color:{colors.on_accent};font-weight:600;text-decoration:none">'
        f"{escape(words, quote=False)}</a></td></tr></table>"
    )


def _link(words: str, url: str, color: str) -> str:
    return (
        f'<p style="margin:0 0 12px"><a href="{escape(url)}" style="color:{color}">'
        f"{escape(words, quote=False)}</a></p>"
    )
