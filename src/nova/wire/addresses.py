"""Which addresses Nova may call when somebody else named them (server-side request forgery).

The name is resolved once, every address that it has is held against the ranges that are
public, and the connection goes to the address that was looked at: what the name says a moment
later plays no role. Ranges are allowed, not forbidden, so that a new kind of special address is
refused until somebody thought of it. Redirects are never followed.
"""

import asyncio
import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from ssl import SSLContext
from typing import Any

from msgspec import Struct

from nova.kernel.idna_domains import BadDomain, ascii_domain

MOST_URL = 2048
_LAST_PORT = 65_535
_URL = re.compile(
    r"(https?)://"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)"  # neither credentials nor characters of other alphabets
    r"(?::([0-9]{1,5}))?"
    r"([/?][\x21\x22\x24-\x7e]*)?"
    r"(?:#[\x21-\x7e]*)?"
)

_LOOSE = re.compile(
    r"(?i)(https?)://"
    r"(\[[0-9a-f:.]+\]|[^\[\]/?#@:\\\x00-\x20\x7f]+)"
    r"(?::([0-9]{0,5}))?"
    r"([/?][\x21\x22\x24-\x7e]*)?"
    r"(?:#[\x21-\x7e]*)?"
)
# What browsers and the C library take for an IPv4 address: 2130706433, 0x7f.1, 127.1.
_NUMERIC = re.compile(r"(?:.*\.)?(?:0x[0-9A-Fa-f]*|[0-9]+)\.?")

# Names that the public DNS has not: of one label, and those set aside for networks of one's own and
# for other systems (RFC 6762, 7686, 8375, 9476; ICANN on .internal).
_OWN_NAME = re.compile(r"(?i)[^.]+|.*\.(?:local|internal|home\.arpa|onion|alt)")
_DOT = re.compile("(?i)%2e")

_HOLES = tuple(
    ip_network(each)
    for each in (
        # IANA IPv4 Special-Purpose Address Registry
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        # The metadata and DNS service inside Azure, on an address that looks public.
        "168.63.129.16/32",
        # IANA IPv6 Special-Purpose Address Registry, within 2000::/3: Teredo, ORCHID and
        # others, documentation, 6to4 (which carries any IPv4 address)
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_IPV4 = (IPv4Address("1.0.0.0"), IPv4Address("223.255.255.255"))
_IPV6 = IPv6Network("2000::/3")
"""Global unicast. NAT64 (64:ff9b::/96), mapped and SIIT addresses lie outside of it."""


class ForbiddenAddress(Exception):
    """An address that Nova must not call because somebody outside named it."""


class Place(Struct, frozen=True, gc=False):
    """Where a URL leads."""

    tls: bool
    host: str
    port: int
    authority: str
    path: bytes


def canonical(url: str) -> str:
    """Return the one spelling of a URL: what leads to the same place is the same text.

    Scheme and host are in lower case, a host of other alphabets is in its ASCII form (IDNA 2008 as
    UTS 46 has it), the default port, the fragment and the parts `.` and `..` of the path are left
    out. Raises ForbiddenAddress.
    """
    found = _LOOSE.fullmatch(url) if len(url) <= MOST_URL else None
    if found is None:
        raise ForbiddenAddress(_why_not(url))
    scheme, host, digits, path = found.groups()
    scheme = scheme.lower()
    host = _ipv6(host) if host[0] == "[" else _ascii(host)
    port = int(digits) if digits else None
    if port is not None and port != (443 if scheme == "https" else 80):
        host = f"{host}:{port}"
    if not path or path[0] == "?":
        path = f"/{path or ''}"
    spelled = f"{scheme}://{host}{_without_dots(path)}"
    place(spelled)
    return spelled


def _without_dots(path: str) -> str:
    """Go the way of a path, as browsers do (WHATWG URL, path state)."""
    way, mark, query = path.partition("?")
    kept: list[str] = []
    parts = way.split("/")[1:]
    for part in parts:
        plain = _DOT.sub(".", part)
        if plain == "..":
            del kept[-1:]
        elif plain != ".":
            kept.append(part)
    if plain in {".", ".."}:
        kept.append("")
    return f"/{'/'.join(kept)}{mark}{query}"


def _why_not(url: str) -> str:
    if len(url) > MOST_URL:
        return f"it is longer than {MOST_URL} characters"
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if not rest or scheme.lower() not in {"http", "https"}:
        return "it does not begin with https://"
    if not authority.partition(":")[0]:
        return "it names no host"
    if "@" in authority:
        return "it holds a user's name or password"
    return "not a URL of a service: https://, a host, a path, without blanks"


def _ipv6(host: str) -> str:
    try:
        return f"[{IPv6Address(host[1:-1])}]"
    except ValueError:
        raise ForbiddenAddress(f"{host} is no address") from None


def _ascii(host: str) -> str:
    """Return a host's name as DNS has it. Raises ForbiddenAddress.

    A number has to be an address in the usual form: resolvers take 127.1 for one, too.
    """
    if _NUMERIC.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except ValueError:
            raise ForbiddenAddress(f"{host} is no address in the usual form") from None
    try:
        return ascii_domain(host.removesuffix(".")).lower()
    except BadDomain:
        raise ForbiddenAddress(f"{host} is no name of a host") from None


def place(url: str) -> Place:
    """Take a URL apart; raises ForbiddenAddress for what no push service or webhook has."""
    found = _URL.fullmatch(url) if len(url) <= MOST_URL else None
    if found is None:
        raise ForbiddenAddress("not a URL of a service: https://, a host, a path")
    scheme, host, digits, path = found.groups()
    if host[0] != "[":
        _ascii(host)
    tls = scheme == "https"
    port = int(digits) if digits else (443 if tls else 80)
    if not 0 < port <= _LAST_PORT:
        raise ForbiddenAddress("there is no such port")
    authority = f"{host}:{digits}" if digits else host
    if not path or path[0] == "?":
        path = f"/{path or ''}"
    return Place(tls, host.strip("[]"), port, authority, path.encode())


def is_public(address: str) -> bool:
    """Tell whether an address, as text, is one of the public internet."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        if found.scope_id is not None or found not in _IPV6:
            return False
    elif not _IPV4[0] <= found <= _IPV4[1]:
        return False
    return not any(found.version == hole.version and found in hole for hole in _HOLES)


class Guard:
    """Resolves names to addresses that may be called."""

    def __init__(self, *, also: Sequence[str] = (), plain: bool = False) -> None:
        """`also` are networks of one's own that may be called; `plain` allows http://."""
        self._also = tuple(ip_network(each) for each in also)
        self._plain = plain

    def check(self, where: Place) -> None:
        """Raise ForbiddenAddress for what can be refused without asking DNS."""
        if not where.tls and not self._plain:
            raise ForbiddenAddress("only https:// can be called")
        if where.host.lower() == "localhost" or where.host.lower().endswith(".localhost"):
            is_allowed = self.allows("127.0.0.1")
        elif _is_literal(where.host):
            is_allowed = self.allows(where.host)
        else:
            is_allowed = bool(self._also) or not _OWN_NAME.fullmatch(where.host.rstrip("."))
        if not is_allowed:
            raise ForbiddenAddress(f"{where.host} is not public")

    async def addresses(self, where: Place) -> Sequence[str]:
        """Return all addresses of a name; raises ForbiddenAddress if one may not be called.

        Raises OSError when the name cannot be resolved.
        """
        self.check(where)
        found = await resolve(where.host, where.port)
        for address in found:
            if not self.allows(address):
                raise ForbiddenAddress(f"{where.host} leads to {address}, which is not public")
        return found

    def allows(self, address: str) -> bool:
        if is_public(address):
            return True
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        return any(parsed.version == each.version and parsed in each for each in self._also)


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


async def resolve(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as wrong:
        raise OSError(f"{host!r} is no name of a host") from wrong
    return list(dict.fromkeys(str(each[4][0]) for each in found))


async def dial(where: Place, protocol: Any, *, guard: Guard | None, tls: SSLContext | None) -> Any:
    """Connect to one of the addresses that the guard has seen, in their order.

    `guard` is None for servers that our own settings name. Returns transport and protocol.
    """
    loop = asyncio.get_running_loop()
    found = await (resolve(where.host, where.port) if guard is None else guard.addresses(where))
    failed = OSError(f"{where.host} has no address")
    for address in found:
        try:
            return await loop.create_connection(
                protocol,
                address,
                where.port,
                ssl=tls if where.tls else None,
                server_hostname=where.host if where.tls else None,
            )
        except OSError as wrong:
            failed = wrong
    raise failed
