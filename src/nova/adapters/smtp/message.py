"""A parcel as a mail: plain and HTML, with one-click unsubscribing (RFC 8058).

Written by hand: the standard library's EmailMessage takes longer than all the rest of a send.
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Iterable, Iterator
from datetime import datetime
from email.utils import format_datetime, parseaddr
from functools import lru_cache
from hashlib import sha256

from msgspec import Struct

from nova.kernel.idna_domains import BadDomain, ascii_domain
from nova.ports.carriers import Image, Parcel

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,;:\"]{1,64}@[^\s@<>()\[\]\\,;:\"]{1,253}")
_PLAIN_WORDS = re.compile(r"[\x20-\x7e]{0,60}")
_SPECIALS = re.compile(r"[^A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]")
_WORD_BYTES = 42  # of UTF-8 in an encoded word of at most 75 characters (RFC 2047, 2)
_MOST_ADDRESS = 254
_MOST_LINE = 998  # characters (RFC 5322, 2.1.1)


_dated = lru_cache(maxsize=8)(format_datetime)  # many mails a second


class HeaderInjection(ValueError):
    """A line break or another control character in what becomes a header."""


class BadAddress(ValueError):
    """Not an address that mail can be sent to."""


class Sender(Struct, frozen=True):
    """Whom mail comes from."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


def sender(text: str) -> Sender:
    """Read `Name <address>`; raises BadAddress or HeaderInjection."""
    name, given = parseaddr(_line(text))
    return Sender(name, address(given))


def address(text: str) -> str:
    """Return an address with its domain in ASCII; raises BadAddress."""
    if len(text) > _MOST_ADDRESS or not _ADDRESS.fullmatch(text) or _CONTROL.search(text):
        raise BadAddress("not an e-mail address")
    local, _, domain = text.rpartition("@")
    try:
        return f"{local}@{ascii_domain(domain)}"
    except BadDomain as wrong:
        raise BadAddress(f"an address whose domain is none: {wrong}") from wrong


def message_id(parcel: Parcel, domain: str) -> str:
    """Return the Message-ID: the same for every attempt at a delivery."""
    return f"<{parcel.id}@{domain}>"


def message(parcel: Parcel, by: Sender, to: str, now: datetime) -> bytes:
    """Return a mail with CRLF line ends; raises HeaderInjection."""
    headers = [
        f"From: {_mailbox(by)}",
        f"To: {to}",
        f"Subject: {_words(_subject(parcel.title))}",
        f"Date: {_dated(now.replace(microsecond=0))}",
        f"Message-ID: {message_id(parcel, by.domain)}",
        # Mails about the same thing stand together.
        f"References: <{sha256(parcel.collapse_id.encode()).hexdigest()[:32]}@{by.domain}>",
        "Auto-Submitted: auto-generated",
        f"Content-Language: {_ascii(parcel.locale)}",
        "MIME-Version: 1.0",
    ]
    if parcel.unsubscribe_url:
        headers.append(f"List-Unsubscribe: <{_ascii(parcel.unsubscribe_url)}>")
        if parcel.unsubscribe_url.startswith("https://"):
            headers.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click")
    return "\r\n".join(headers).encode() + b"\r\n" + _content(parcel)


def _content(parcel: Parcel) -> bytes:
    plain = _part("plain", parcel.body)
    if parcel.html is None:
        return plain
    # "=_" never occurs in quoted-printable, and nobody who writes HTML knows the delivery's id, so
    # that no part contains a boundary; and neither of the two begins with the other (RFC 2046).
    boundary = b"=_" + parcel.id.hex.encode()
    html = _part("html", parcel.html)
    if parcel.image is not None:
        html = _multipart(b"related", b"=_i" + boundary, [html, _image(parcel.image)])
    return _multipart(b"alternative", boundary, [plain, html])


def _multipart(kind: bytes, boundary: bytes, parts: Iterable[bytes]) -> bytes:
    inner = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    head = b"Content-Type: multipart/" + kind + b'; boundary="' + boundary + b'"\r\n\r\n'
    return head + inner + b"--" + boundary + b"--\r\n"


@lru_cache(maxsize=4)
def _image(image: Image) -> bytes:
    """Return an image as a part; the same one comes with many mails."""
    lines = image.content.replace("\n", "\r\n")
    return (
        f"Content-Type: {_ascii(image.kind)}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-ID: <{_ascii(image.cid)}>\r\nContent-Disposition: inline\r\n\r\n{lines}\r\n"
    ).encode()


def _part(kind: str, text: str) -> bytes:
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if kind == "html" and lines.isascii() and len(max(lines.split("\n"), key=len)) <= _MOST_LINE:
        plain = lines.replace("\n", "\r\n")
        return f'Content-Type: text/html; charset="utf-8"\r\n\r\n{plain}\r\n'.encode()
    encoded = b2a_qp(lines.encode(), istext=True).replace(b"\n", b"\r\n")
    return (
        (
            f'Content-Type: text/{kind}; charset="utf-8"\r\n'
            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        ).encode()
        + encoded
        + b"\r\n"
    )


def _subject(title: str) -> str:
    """Return a title on one line: people's words must neither end a header nor stop the mail."""
    return _CONTROL.sub(" ", title).strip()


def _line(text: str) -> str:
    if _CONTROL.search(text):
        raise HeaderInjection("a control character in a header")
    return text


def _ascii(text: str) -> str:
    """Return what a header carries as it stands: no spaces, no angle brackets."""
    if not text.isascii() or _CONTROL.search(text) or set(text) & set(" <>"):
        raise HeaderInjection("a character in a header that it cannot have")
    return text


def _mailbox(by: Sender) -> str:
    if not by.name:
        return by.address
    name = _line(by.name)
    if _SPECIALS.search(name) and name.isascii():
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}" <{by.address}>'
    return f"{_words(name)} <{by.address}>"


def _words(text: str) -> str:
    """Return text as it stands, or as encoded words (RFC 2047) on lines of their own."""
    if _PLAIN_WORDS.fullmatch(text) and "=?" not in text:
        return text
    words = (f"=?utf-8?b?{b64encode(each.encode()).decode()}?=" for each in _pieces(text))
    return "\r\n ".join(words)


def _pieces(text: str) -> Iterator[str]:
    """Cut a text so that no piece has more than 42 bytes and none cuts a character."""
    piece, size = "", 0
    for character in text:
        more = len(character.encode())
        if size + more > _WORD_BYTES:
            yield piece
            piece, size = "", 0
        piece, size = piece + character, size + more
    yield piece
