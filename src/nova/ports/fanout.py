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
    """All sockets of a user are to be closed."""

    user: UUID
    returns: bool
    """Whether the clients are to come back."""


Word = Published | Came | Went | SentAway


class Fanout(Protocol):
    """Carries words to the other processes; one that is lost is lost."""

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
