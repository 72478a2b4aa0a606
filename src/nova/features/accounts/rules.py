"""What may be said about a user: pure decisions."""

import re
from collections.abc import Collection
from typing import Any
from unicodedata import category

import msgspec
from msgspec import UnsetType

from nova.features.accounts.models import Fields, Written
from nova.kernel.errors import InvalidField
from nova.kernel.idna_domains import BadDomain, ascii_domain
from nova.kernel.text import name_problem
from nova.kernel.urls import url_problem

MOST_PROFILE_BYTES = 8192
MOST_PROFILE_DEPTH = 8
MOST_LOCAL_BYTES = 64
"""RFC 5321, 4.5.3.1.1."""
RESERVED = frozenset({"me", "bulk"})
"""Words that stand for something else where a path names a user."""

_LOCAL_PART = re.compile(r"""[^()<>\[\]:;@\\,"]+|"(?:[^"\\]|\\.)+\"""")
"""What needs no quotes, or is quoted."""
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp", "Zs"})
"""General categories of characters that show nothing, or turn others round."""
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""They belong to words of some scripts."""

# RFC 5646, section 2.1, without the irregular tags that were grandfathered in.
_LANGUAGE_TAG = re.compile(
    r"""(?P<language>[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4}|[a-z]{5,8})
    (?:-(?P<script>[a-z]{4}))?
    (?:-(?P<region>[a-z]{2}|[0-9]{3}))?
    (?P<rest>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*
    (?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*
    (?:-x(?:-[a-z0-9]{1,8})+)?)""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)


def locale(text: str) -> str:
    """Return the language tag in its usual case (RFC 5646, section 2.1.1)."""
    match = _LANGUAGE_TAG.fullmatch(text.replace("_", "-"))
    if match is None:
        raise InvalidField("locale", "A locale is a BCP 47 tag, as in 'en' or 'pt-BR'.")
    parts = [
        match["language"].lower(),
        (match["script"] or "").title(),
        (match["region"] or "").upper(),
    ]
    return "-".join(filter(None, parts)) + match["rest"].lower()


def display_name(text: str) -> str:
    problem = name_problem(text)
    if problem is not None:
        raise InvalidField("name", problem)
    return text


def email(text: str) -> str:
    """Return an address as it was given, if mail can be sent to its domain (IDNA2008)."""
    local, _, domain = text.rpartition("@")
    if len(local.encode()) > MOST_LOCAL_BYTES:
        raise InvalidField("email", f"Before its @, an address has up to {MOST_LOCAL_BYTES} bytes.")
    if not local_part(local):
        raise InvalidField("email", f"{local!r} is no name of a mailbox.")
    try:
        ascii_domain(domain)
    except BadDomain as wrong:
        raise InvalidField("email", f"{domain!r} is no domain of mail: {wrong}.") from wrong
    return text


def local_part(text: str) -> bool:
    """Return whether this may stand before the @ of an address (RFC 5321, 5322 and 6531).

    Dots may stand anywhere: some providers gave out such addresses. Nothing may be invisible, or
    two addresses would look the same.
    """
    unseen = (each for each in text if category(each) in _UNSEEN and each not in _JOINERS)
    return next(unseen, None) is None and _LOCAL_PART.fullmatch(text) is not None


def timezone(name: str, zones: Collection[str]) -> str:
    if name not in zones:
        raise InvalidField("timezone", "A time zone is an IANA name, as in 'Europe/Lisbon'.")
    return name


def avatar(url: str) -> str:
    if problem := url_problem(url):
        raise InvalidField("avatar_url", f"The address leads nowhere: {problem}.")
    return url


def profile(value: dict[str, Any]) -> str:
    """Return the profile's JSON, bounded."""
    if not _within(value, MOST_PROFILE_DEPTH):
        raise InvalidField("profile", f"A profile nests up to {MOST_PROFILE_DEPTH} deep.")
    written = msgspec.json.encode(value)
    if len(written) > MOST_PROFILE_BYTES:
        raise InvalidField("profile", f"A profile has up to {MOST_PROFILE_BYTES} bytes of JSON.")
    return written.decode()


def external_id(text: str) -> str:
    if text in RESERVED or not text.isprintable():
        raise InvalidField("external_id", f"{text!r} is no id: a path could not name the user.")
    return text


def written(fields: Fields, name: str | None, zones: Collection[str]) -> Written:
    """Return the fields as the database takes them; `name` is the app's own id."""
    return Written(
        external_id=None if name is None else external_id(name),
        name=display_name(text) if (text := _given(fields.name)) else text,
        avatar_url=avatar(url) if (url := _given(fields.avatar_url)) else url,
        locale=locale(tag) if (tag := _given(fields.locale)) else tag,
        timezone=timezone(zone, zones) if (zone := _given(fields.timezone)) else zone,
        profile=None if isinstance(fields.profile, UnsetType) else profile(fields.profile or {}),
        email=email(text) if (text := _given(fields.email)) else text,
    )


def _given(value: str | UnsetType | None) -> str | None:
    """Return None for what was not mentioned, and nothing for null."""
    return None if isinstance(value, UnsetType) else value or ""


def _within(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return depth > 0 and all(_within(each, depth - 1) for each in value.values())
    if isinstance(value, list):
        return depth > 0 and all(_within(each, depth - 1) for each in value)
    return True
