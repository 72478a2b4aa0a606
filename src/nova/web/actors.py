"""Who is calling, and who may call what."""

from enum import Enum
from typing import Protocol, TypeAlias
from uuid import UUID

from msgspec import Struct


class Anonymous(Struct, frozen=True):
    """Nobody in particular."""


class ServerKey(Struct, frozen=True):
    """The host app's backend, by one of its keys."""

    key: UUID
    name: str


class User(Struct, frozen=True):
    """A person, by a token that the host app signed."""

    id: UUID
    token: str = ""
    """The token's `jti`, or the digest of a token that has none: what revocation names."""
    expires: float | None = None
    """Seconds since 1970, from the token's `exp`."""
    device: str | None = None


Actor: TypeAlias = Anonymous | ServerKey | User


class Rule(Enum):
    """The actor rule of a route or socket command; every one has a row in the auth matrix."""

    PUBLIC = "anyone"
    SERVER = "server key"
    USER = "user token"
    EITHER = "server key or user token"
    SELF = "server key, or the user that the path's {user} names"


class Authenticator(Protocol):
    """Turns credentials into actors. Failures raise Unauthenticated and name what failed."""

    def known(self, authorization: str) -> Actor | None:
        """Return the actor of an Authorization header that was verified before, without waiting."""

    async def bearer(self, authorization: str) -> Actor:
        """Return the actor of an Authorization header."""

    async def user(self, token: str) -> User:
        """Return the user of a bare token, as a socket sends it with connect and refresh."""

    async def resolve(self, reference: str) -> UUID | None:
        """Return the id of the user that a Nova id or the host app's own id names."""
