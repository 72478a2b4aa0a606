"""What deliveries ask of others; the composition root passes the answers in."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

from nova.backbone.database import Tx
from nova.web.people import Profile as Shown


class Reach(Protocol):
    """One way to reach a user."""

    @property
    def device(self) -> UUID | None:
        """None: the mailbox."""

    @property
    def platform(self) -> str: ...
    @property
    def address(self) -> str: ...
    @property
    def keys(self) -> dict[str, str]: ...
    @property
    def locale(self) -> str: ...
    @property
    def since(self) -> datetime: ...


class Devices(Protocol):
    """Where people can be reached."""

    async def reach(self, users: Sequence[UUID]) -> Mapping[UUID, Sequence[Reach]]:
        """Return every living device and mailbox of each."""


class Graves(Protocol):
    """Where dead addresses go."""

    async def bury(self, tx: Tx, deaths: Sequence["Dead"]) -> int:
        """Mark them as dead, but those registered since; return how many died."""


class Dead(NamedTuple):
    """An address that its provider called dead."""

    user: UUID
    device: UUID | None
    address: str
    reason: str
    at: datetime


class Profile(Shown, Protocol):
    """What deliveries want to know about a person."""

    @property
    def locale(self) -> str: ...
    @property
    def timezone(self) -> str: ...


class People(Protocol):
    """Who is who."""

    async def resolve(self, references: Sequence[str]) -> Mapping[str, UUID]: ...
    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...


class Ask(NamedTuple):
    """Whether a user wants notifications of a type, about something."""

    user: UUID
    type: str
    about: str | None


class Said(Protocol):
    """What a notification says now."""

    @property
    def title(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def actor(self) -> UUID | None: ...
    @property
    def actor_name(self) -> str | None: ...
    @property
    def metadata(self) -> str:
        """JSON."""


class Inbox(Protocol):
    """What is still to be told."""

    async def current(self, ids: Collection[UUID]) -> Mapping[UUID, Said]:
        """Return what those notifications say that stand. Asks the database each time."""


class Preferences(Protocol):
    """What people want to be told, and how."""

    async def wanted(self, asks: Sequence[Ask]) -> Sequence[Mapping[str, tuple[bool, str]]]:
        """Return for each, by channel, whether it is on, and the rule that says so."""

    async def turn_off(self, user: UUID, kind: str | None, channel: str) -> None:
        """Turn a channel off for a type; for all types when that is None."""


class Naming(Protocol):
    """Writes titles of notifications anew."""

    async def titles(self, naming: Mapping[UUID, str]) -> Mapping[UUID, str]:
        """Return those that are there still, with these words where their actors' names stand."""
