"""Word between the processes that hold open sockets, of what is not stored."""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

from msgspec import Raw, Struct


class Published(Struct, frozen=True, array_like=True, tag=1):
    """Somebody published to a channel without a history."""

    channel: str
    data: Raw
    info: Raw
    """JSON of the publishing client; `null` when no client published it."""


class Came(Struct, frozen=True, array_like=True, tag=2):
    """A client follows a channel now."""

    channel: str
    info: Raw
    """JSON of what others see of the client."""


class Went(Struct, frozen=True, array_like=True, tag=3):
    """A client follows a channel no longer."""

    channel: str
    info: Raw


class SentAway(Struct, frozen=True, array_like=True, tag=4):
    """Sockets of a user are to be closed."""

    user: UUID
    returns: bool
    """Whether the clients reconnect, if no code is given."""
    code: int = 0
    """Tells the client why; 0 for the usual one."""
    reason: str = ""
    client: str = ""
    """The one connection that is meant; empty for all of the user's."""
    spared: list[str] = []
    """Connections that are not meant."""


class Unsubscribed(Struct, frozen=True, array_like=True, tag=5):
    """A user is to be taken out of a channel."""

    user: UUID
    channel: str
    code: int
    """Whether the client subscribes again depends on it."""
    reason: str
    client: str = ""


class Subscribed(Struct, frozen=True, array_like=True, tag=6):
    """A user's connections are to be put into a channel."""

    user: UUID
    channel: str
    client: str
    expires: float | None
    info: Raw
    """JSON of what presence is to show of it; `null` for nothing."""
    data: Raw
    """JSON that the client gets; `null` for nothing."""


class Refreshed(Struct, frozen=True, array_like=True, tag=7):
    """A user's connections end at another time."""

    user: UUID
    client: str
    expires: float | None
    """Seconds since 1970; None for never."""
    is_expired: bool
    """Whether the sockets are closed now, and the clients reconnect with a new token."""


class Said(Struct, frozen=True, array_like=True, tag=8):
    """A client whose stream another process holds sent commands to this one."""

    node: str
    """The process that holds the stream."""
    session: str
    """The secret of the session."""
    commands: bytes


Order = SentAway | Unsubscribed | Subscribed | Refreshed
"""What is to be done to open connections."""
Word = Published | Came | Went | Said | Order


class Fanout(Protocol):
    """Carries words to the other processes; one that is lost is lost."""

    @property
    def others(self) -> bool:
        """Whether any other process is known to be there."""

    def tell(self, word: Word) -> None:
        """Tell the other processes soon; for a process alone, nothing is to be done."""

    def listen(self, call: Callable[[Word], None]) -> None:
        """Call this with what the others tell; it must be quick and must not raise."""


class Presence(Protocol):
    """Who follows which channel in other processes; right within a second."""

    def enter(self, channel: str, client: str, info: bytes) -> None:
        """Note a client of this process; `info` is JSON."""

    def leave(self, channel: str, client: str) -> None: ...

    async def elsewhere(self, channel: str) -> Mapping[str, bytes]:
        """Return what is known of the clients of other processes, by client."""
