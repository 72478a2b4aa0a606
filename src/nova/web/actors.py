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


NOBODY = UUID(int=0)
"""The id that all strangers share; no user has it."""


class User(Struct, frozen=True):
    """A person, by a token that the host app signed; on sockets also a stranger."""

    id: UUID
    token: str = ""
    """The token's `jti`, or the digest of a token that has none: what revocation names."""
    expires: float | None = None
    """Seconds since 1970, from the token's `exp`."""
    device: str | None = None
    subject: str = ""
    """The token's `sub`: either id of the user."""

    @property
    def is_stranger(self) -> bool:
        """Whether this is whoever connected without a name, where that is allowed."""
        return self.id == NOBODY


Actor: TypeAlias = Anonymous | ServerKey | User


class Rule(Enum):
    """The actor rule of a route or socket command; every one has a row in the auth matrix."""

    PUBLIC = "anyone"
    SERVER = "server key"
    USER = "user token"
    EITHER = "server key or user token"
    SELF = "server key, or the user that the path's {user} names"


class Meeting(Enum):
    """What somebody wants of a person whom they name."""

    SELF = "to be that person"
    REACH = "to do something about the person, or know what the two are to each other"
    INSIDE = "to see what the person shows to others"


class Authenticator(Protocol):
    """Turns credentials into actors. Failures raise Unauthenticated and name what failed."""

    def known(self, authorization: str) -> Actor | None:
        """Return the actor of an Authorization header that was verified before, without waiting."""

    async def bearer(self, authorization: str) -> Actor:
        """Return the actor of an Authorization header."""

    async def user(self, token: str) -> User:
        """Return the user of a bare token, as a socket sends it with connect and refresh.

        It is a stranger when the token names nobody and such tokens are accepted.
        """

    async def resolve(self, reference: str) -> UUID | None:
        """Return the id of the user that a Nova id or the host app's own id names."""

    async def find_for(self, viewer: UUID, reference: str, meeting: Meeting) -> UUID | None:
        """Return the id of the user that a reference names, if there for the viewer.

        None does not tell why, nor does the time that it takes.
        """
