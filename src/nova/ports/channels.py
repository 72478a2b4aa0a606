"""Durable channels: publications with gapless offsets, and their history."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class Position(Struct, frozen=True, gc=False):
    """Where a channel stands; `offset` is that of its newest publication, 0 when there is none."""

    epoch: str
    offset: int


class Publication(Struct, frozen=True, gc=False):
    """One durable message of a channel; `data` is JSON (or opaque bytes for binary clients)."""

    channel: str
    offset: int
    data: bytes
    info: bytes | None = None
    """JSON of the publishing client (protocol ClientInfo), when a client published it."""
    at_ms: int = 0
    epoch: str = ""
    """The channel's, to which the offset belongs; empty where there is no offset."""


class Outgoing(Struct, frozen=True):
    """A publication that is to be made; with a `key`, once within five minutes."""

    channel: str
    data: bytes
    info: bytes | None = None
    key: str | None = None


class Page(Struct, frozen=True):
    """A stretch of history, in the order asked for, with the channel's position at that moment."""

    position: Position
    publications: Sequence[Publication]


class Retention(Struct, frozen=True):
    """How much history a channel answers with; both bounds hold."""

    size: int
    seconds: float


class Channels(Protocol):
    """History and positions of durable channels. Everything returned is committed."""

    async def position(self, channel: str) -> Position:
        """Return the position; a channel that was never published to starts at offset 0."""

    async def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        """Return the positions of many channels in one look-up."""

    async def known(self, channels: Sequence[str]) -> dict[str, Position]:
        """Return the positions of those channels that were ever looked at or published to."""

    async def recover(
        self, channel: str, since: Position, retention: Retention, limit: int
    ) -> tuple[Position, Sequence[Publication] | None]:
        """Return the position and everything after `since`, of the same moment.

        An epoch of "" is any: that of a client with a snapshot of offset 0, who never subscribed.
        None instead of a list when it can't be whole: other epoch, older than the
        retention, or more than `limit`.
        """

    async def history(
        self,
        channel: str,
        retention: Retention,
        *,
        limit: int,
        since: Position | None = None,
        reverse: bool = False,
    ) -> Page:
        """Return up to `limit` publications after `since` (before it, when `reverse`).

        `limit` 0 returns the position alone. Raises ports.channels.Unrecoverable for a
        `since` of another epoch.
        """

    async def publish(
        self, channel: str, data: bytes, *, info: bytes | None = None, key: str | None = None
    ) -> Position:
        """Publish durably and return the new position; same `key` (5 minutes) publishes once."""

    async def publish_many(self, publications: Sequence[Outgoing]) -> list[Position]:
        """Publish in this order, all or nothing, and return the position after each."""

    async def forget(self, channel: str) -> None:
        """Remove the history that is kept; positions go on, so that nobody takes it for whole."""


class Unrecoverable(Exception):
    """The position asked for belongs to another epoch of the channel."""
