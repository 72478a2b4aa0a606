"""The address of a Neo4j server, as it is written in the settings."""

from urllib.parse import unquote, urlsplit

from msgspec import Struct

SCHEMES = ("neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
PORT = 7687
DATABASE = "neo4j"


class Address(Struct, frozen=True):
    """Where a server is, and who calls; only `shown` may be shown."""

    shown: str
    """The address without its password, as the driver takes it."""
    user: str
    password: str
    database: str


def parsed(text: str) -> Address:
    """Read `neo4j://user:password@host:port/database`; user and password are percent-encoded.

    Raises ValueError with a sentence that shows nothing of the password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port or PORT
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    if parts.scheme not in SCHEMES:
        raise ValueError(f"its scheme must be one of {', '.join(SCHEMES)}")
    if not parts.hostname:
        raise ValueError("it names no host")
    if parts.query or parts.fragment:
        raise ValueError("it must end after the host, the port and the database")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(
        f"{parts.scheme}://{host}:{port}",
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        unquote(parts.path.strip("/")) or DATABASE,
    )
