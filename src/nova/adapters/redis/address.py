"""The address of a Redis Cluster, as it is written in the settings."""

from urllib.parse import unquote, urlsplit

from msgspec import Struct

SCHEMES = ("redis", "rediss")
PORT = 6379
PREFIX = "nova"


class Node(Struct, frozen=True):
    """Where one server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Address(Struct, frozen=True):
    """Where some nodes of a cluster are, and who calls; only `nodes` may be shown."""

    nodes: tuple[Node, ...]
    user: str
    password: str
    encrypted: bool
    prefix: str
    """What the names of channels begin with, so that several deployments share a cluster."""


def parsed(text: str) -> Address:
    """Read `redis://user:password@host:port,host:port/prefix`; `rediss` is encrypted.

    User and password are percent-encoded. Raises ValueError with a sentence that shows nothing of
    the password.
    """
    scheme, _, rest = text.partition("://")
    if scheme not in SCHEMES:
        raise ValueError(f"its scheme must be one of {', '.join(SCHEMES)}")
    if "?" in rest or "#" in rest:
        raise ValueError("it must end after the hosts, their ports and the prefix")
    where, _, prefix = rest.partition("/")
    credentials, _, hosts = where.rpartition("@")
    user, _, password = credentials.partition(":")
    if "/" in prefix or "{" in prefix or "}" in prefix:
        raise ValueError("its prefix must not have '/', '{' or '}'")
    return Address(
        tuple(_node(each) for each in hosts.split(",")),
        unquote(user),
        unquote(password),
        scheme == "rediss",
        unquote(prefix) or PREFIX,
    )


def _node(text: str) -> Node:
    try:
        parts = urlsplit(f"//{text}")
        port = parts.port or PORT
    except ValueError:
        raise ValueError("a host or port cannot be read") from None
    if not parts.hostname:
        raise ValueError("it names no host")
    return Node(parts.hostname, port)
