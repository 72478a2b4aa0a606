"""URL and reference types for content that users see; only allowed schemes pass.

An allow-list: http(s) addresses with a host, and ids of the app's own that no browser takes for an
address. So `javascript:`, `data:`, `blob:`, `file:`, `//host` and schemes of tomorrow are refused,
and what hides in blanks, control characters, backslashes or turned text.
"""

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Annotated

from msgspec import Meta

from nova.kernel.idna_domains import BadDomain, ascii_domain
from nova.kernel.text import spelled

MOST_URL = 2_048
"""Characters that browsers take."""

# Whatever is blank, invisible or turns text round, quotes, angle brackets and the backslash, which
# browsers take for a slash.
_NEVER = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u206f\u3000\u3164\ufeff\uffa0\ufff0-\uffff\"<>\\^`{|}"
)
_URL = (
    r"[Hh][Tt][Tt][Pp][Ss]?://"
    rf"(?:\[[0-9A-Fa-f:.]+\]|[^{_NEVER}\[\]/?#@:]+)(?::[0-9]{{1,5}})?(?:[/?#][^{_NEVER}]*)?"
)
_PART = r"[\w~@=+-][\w.~@=+-]*"
_ID = rf"{_PART}(?:/{_PART})*"

_IS_URL = re.compile(_URL)
_IS_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{0,63}")
_IS_LINK = re.compile(rf"([A-Za-z][A-Za-z0-9+.-]*):[^{_NEVER}]+")
UNSAFE_SCHEMES = frozenset((
    "about", "blob", "cid", "content", "data", "file", "filesystem", "intent", "jar", "javascript",
    "livescript", "mhtml", "mid", "mocha", "resource", "vbscript", "view-source", "ws", "wss",
))  # fmt: skip
"""Schemes that run something, show what is on the reader's machine, or hide another address."""
_AUTHORITY = re.compile(r"(?i:https?)://(\[[^\]]*\]|[^/?#:]*)(?::([0-9]+))?")
_NUMERIC = re.compile(r"(?:.*\.)?(?:0[xX][0-9A-Fa-f]*|[0-9]+)\.?")
_LAST_PORT = 65_535

Url = Annotated[
    str,
    Meta(max_length=MOST_URL),
    spelled(rf"\A(?:{_URL})?\Z", "an address such as https://example.org/ada.png"),
]
"""An http(s) address, or empty for none."""

Reference = Annotated[
    str,
    Meta(min_length=1, max_length=1_024),
    spelled(
        rf"\A(?:{_URL}|{_ID})\Z",
        "an http(s) address, or an id of the app's own: letters, digits, _ . ~ @ = + - and single "
        "slashes between them",
    ),
]
"""Where something is that the app keeps."""


def is_url(text: str) -> bool:
    """Tell whether a text is an http(s) address that may be shown as a link."""
    return (
        len(text) <= MOST_URL and _IS_URL.fullmatch(text) is not None and url_problem(text) is None
    )


def url_problem(text: str) -> str | None:
    """Return why the host or port of an http(s) address cannot exist, or None.

    A host is an IPv6 address in brackets, an IPv4 address of four numbers, or a domain (IDNA2008).
    """
    found = _AUTHORITY.match(text)
    if found is None:
        return None  # an id of the app's own
    host, port = found.groups()
    if port is not None and not 0 < int(port[:6]) <= _LAST_PORT:
        return f"there is no port {port}"
    try:
        if host.startswith("["):
            IPv6Address(host[1:-1])
        elif _NUMERIC.fullmatch(host):
            IPv4Address(host)
        else:
            ascii_domain(host.removesuffix("."))
    except (BadDomain, AddressValueError):
        return f"{host} is no host"
    return None


def scheme_problem(scheme: str) -> str | None:
    """Return why links may not begin with a scheme, or None."""
    if scheme in UNSAFE_SCHEMES:
        return f"'{scheme}' is never safe in a link"
    if scheme in {"http", "https"}:
        return f"'{scheme}' is allowed anyway"
    if _IS_SCHEME.fullmatch(scheme) is None:
        return f"{scheme!r} is no scheme: give 'myapp' for myapp://, in lower case"
    return None


def is_link(text: str, schemes: Collection[str]) -> bool:
    """Tell whether a text is an http(s) address, or one of an app with one of these schemes."""
    if is_url(text):
        return True
    found = _IS_LINK.fullmatch(text) if len(text) <= MOST_URL else None
    scheme = found[1].lower() if found else ""
    return scheme in schemes and scheme_problem(scheme) is None
