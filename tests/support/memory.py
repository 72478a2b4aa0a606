"""Durable channels that forget with the process: for tests of what lies above them."""

import time
from collections.abc import Callable, Sequence

from nova.ports.channels import Outgoing, Page, Position, Publication, Retention, Unrecoverable


class MemoryChannels:
    """The Channels port, of one process."""

    def __init__(self, epoch: str = "memory") -> None:
        self._epoch = epoch
        self._kept: dict[str, list[Publication]] = {}
        self.published: Callable[[Sequence[Publication]], None] = lambda _publications: None

    def _position(self, channel: str) -> Position:
        return Position(self._epoch, len(self._kept.get(channel, ())))

    async def position(self, channel: str) -> Position:
        return self._position(channel)

    async def positions(self, channels: Sequence[str]) -> dict[str, Position]:
        return {channel: self._position(channel) for channel in channels}

    async def known(self, channels: Sequence[str]) -> dict[str, Position]:
        return {each: self._position(each) for each in channels if each in self._kept}

    async def recover(
        self, channel: str, since: Position, retention: Retention, limit: int
    ) -> tuple[Position, Sequence[Publication] | None]:
        position = self._position(channel)
        missed = position.offset - since.offset
        if since.epoch not in {"", position.epoch} or not 0 <= missed <= min(retention.size, limit):
            return position, None
        return position, self._kept.get(channel, [])[since.offset :]

    async def history(
        self,
        channel: str,
        retention: Retention,
        *,
        limit: int,
        since: Position | None = None,
        reverse: bool = False,
    ) -> Page:
        position = self._position(channel)
        if since and since.epoch and since.epoch != position.epoch:
            raise Unrecoverable
        kept = self._kept.get(channel, [])[-retention.size :]
        if reverse:
            kept = [each for each in kept[::-1] if since is None or each.offset < since.offset]
        elif since is not None:
            kept = [each for each in kept if each.offset > since.offset]
        return Page(position, kept[:limit])

    async def publish(
        self, channel: str, data: bytes, *, info: bytes | None = None, key: str | None = None
    ) -> Position:
        return (await self.publish_many([Outgoing(channel, data, info, key)]))[0]

    async def publish_many(self, publications: Sequence[Outgoing]) -> list[Position]:
        return [
            self._publish(each.channel, each.data, each.info, each.key) for each in publications
        ]

    async def forget(self, channel: str) -> None:
        raise NotImplementedError

    def _publish(self, channel: str, data: bytes, info: bytes | None, key: str | None) -> Position:
        kept = self._kept.setdefault(channel, [])
        if key is not None:
            raise NotImplementedError
        at_ms = int(time.time() * 1000)
        publication = Publication(channel, len(kept) + 1, data, info, at_ms)
        kept.append(publication)
        self.published([publication])
        return Position(self._epoch, publication.offset)
