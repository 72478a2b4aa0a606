"""Broadcast: carries messages to those processes that follow their channel."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from nova.kernel.errors import Unavailable

EVERYBODY = ""
"""The channel that every member follows; a message there says: some messages may be lost."""


class Message(NamedTuple):
    """What one process sends to those that follow a channel."""

    channel: str
    data: bytes


class BroadcastUnavailable(Unavailable):
    """The engine that carries messages between processes cannot be reached at the moment."""

    code = "broadcast_unavailable"
    hint = "Stored messages are found in the history meanwhile; check the setting 'sockets'."


class Lost(Exception):
    """This member is not in any more, as after a restart of the engine: it has to join again."""


class Broadcast(Protocol):
    """An engine that carries messages between processes. It may lose messages.

    Nothing is stored: what must arrive is stored elsewhere, and read from there by who finds a
    gap. Messages of one member to one channel arrive in the order in which they were published.
    Every call raises Unavailable while the engine cannot be reached.
    """

    async def join(self, member: int) -> None:
        """Become a member, or begin anew as one that follows nothing but EVERYBODY."""

    async def follow(self, channels: Sequence[str]) -> None:
        """Hear these channels: whatever is published after this returned.

        Those that cannot be followed now are followed by the engine itself as soon as they can
        be; then `receive` says that some may be lost.
        """

    async def unfollow(self, channels: Sequence[str]) -> None:
        """Hear these channels no longer."""

    async def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Send messages to all other members that follow their channels, in this order.

        Return those that may not have been sent: to be published again.
        """

    async def receive(self) -> Sequence[Message]:
        """Wait for messages of other members. Raises Lost; empty: some may be lost."""

    async def check(self) -> None:
        """Raise BroadcastUnavailable, with what to mend, unless all of the engine can be used."""

    async def ping(self) -> str:
        """Return the engine's name and version, with a warning where one is due."""

    async def close(self) -> None:
        """Close what is open; to be called once."""


class Audience(Protocol):
    """The channels that the sockets of this process follow."""

    def follow(self, channel: str) -> None:
        """Hear a channel soon."""

    def unfollow(self, channel: str) -> None: ...

    async def heard(self, channel: str) -> None:
        """Return once what other processes publish to a channel is heard here.

        When that takes too long, return nevertheless: then the position audit finds what is stored.
        """
