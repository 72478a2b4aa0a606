"""The order of one channel's publications, on their way to the sessions that follow it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from msgspec.structs import replace
from structlog import get_logger

from nova.kernel.errors import Unavailable
from nova.ports.channels import Position, Publication
from nova.web.auth import Subscription as Ticket
from nova.web.realtime.codecs import as_json, one_line
from nova.web.realtime.codes import INSUFFICIENT_STATE, Closing
from nova.web.realtime.messages import ClientInfo, Push, Reply
from nova.web.realtime.wires import NO_DELTA, Base, Wire

GAP_S = 0.05
"""How long a publication may be missing before it is read from the channel's history."""
MOST_AHEAD = 4096  # publications kept behind a gap; the rest is read from the history with it
MOST_HELD = 4096  # publications kept for a subscription being answered; past it: come back


class Follower(Protocol):
    """A client's connection, as far as its channels need it."""

    id: str
    wire: Wire
    subscriptions: "dict[str, Subscription]"

    def send(self, frame: bytes) -> None: ...

    def close(self, closing: Closing) -> None: ...

    def info(self, subscription: "Subscription | None") -> ClientInfo:
        """Return what others see of this client."""


class Subscription:
    """One session's place in one channel."""

    __slots__ = (
        "base",
        "expires",
        "held",
        "info",
        "lane",
        "name",
        "offset",
        "server_side",
        "session",
        "token",
    )

    def __init__(
        self, session: "Follower", lane: "Lane", *, server_side: bool, name: str = ""
    ) -> None:
        """`name` is what the client calls the channel, where that is not the channel's own."""
        self.session = session
        self.lane = lane
        self.name = name or lane.channel
        self.server_side = server_side
        self.offset = 0
        """Offset of the newest publication that the client has, or will have in its reply."""
        self.held: list[Publication] | None = []
        """What arrived while the subscription was being answered; None once it was."""
        self.info: bytes | None = None
        """JSON that a subscription token wants shown in presence."""
        self.expires: float | None = None
        self.base: Base = NO_DELTA
        """What the client got last, if it takes deltas."""
        self.token = ""
        """Names the subscription token that let the client in, if one did."""

    @property
    def key(self) -> str:
        """Names it in its lane, where a client may be twice, under two names of the channel."""
        own = self.name == self.lane.channel
        return self.session.id if own else f"{self.session.id} {self.name}"

    def permit(self, ticket: Ticket) -> None:
        """Take what a subscription token says."""
        self.info = one_line(ticket.info) if ticket.info else None
        self.expires, self.token = ticket.expires, ticket.token

    def hold(self, publication: Publication) -> None:
        if self.held is not None and len(self.held) < MOST_HELD:
            self.held.append(publication)
        else:
            self.session.close(INSUFFICIENT_STATE)

    def release(self) -> None:
        """Send what was held back, and hold nothing back any more."""
        held, self.held = self.held or (), None
        for publication in held:
            if publication.offset == 0 or publication.offset > self.offset:
                self.offset = publication.offset or self.offset
                self.session.send(self.frame(publication, {}))

    def frame(self, publication: Publication, frames: dict[object, bytes]) -> bytes:
        """Return the bytes that push a publication to this client; each is made once."""
        wire, base, in_bytes = self.session.wire, self.base, self.lane.in_bytes
        key = wire if base is NO_DELTA else (wire, base)
        frame = frames.get(key)
        if frame is None:
            if base is not NO_DELTA:
                frame = wire.differing(publication, base, in_bytes=in_bytes)
            elif in_bytes and not wire.binary:
                frame = wire.publication(replace(publication, data=as_json(publication.data)))
            else:
                frame = wire.publication(publication)
            frames[key] = frame
        if base is not NO_DELTA:
            self.base = wire.kept(publication, in_bytes=in_bytes)
        return frame


class Alias(Subscription):
    """A session's place in a channel that its client calls by another name, such as `user:me`."""

    __slots__ = ()

    def __init__(self, session: "Follower", lane: "Lane", name: str) -> None:
        super().__init__(session, lane, server_side=False, name=name)
        self.base = None  # what others get is not for this one

    def frame(self, publication: Publication, frames: dict[object, bytes]) -> bytes:
        """Return the bytes that push a publication under the client's name of the channel."""
        del frames
        return self.session.wire.publication(replace(publication, channel=self.name))


class Lane:
    """One channel with subscribers in this process.

    Publications come from this process's commits and from other processes, in any order, perhaps
    twice, and perhaps not at all; they leave in the order of their offsets, each once.
    """

    __slots__ = (
        "_beginning",
        "_filling",
        "_known",
        "_missing",
        "_read",
        "_waiting",
        "channel",
        "in_bytes",
        "position",
        "subscriptions",
    )

    def __init__(
        self,
        channel: str,
        read: Callable[[Position], Awaitable[Sequence[Publication] | None]],
        *,
        in_bytes: bool = False,
    ) -> None:
        """`read` returns everything after a position, or None if that can't be whole.

        `in_bytes` says that publications may be something else than JSON.
        """
        self.channel = channel
        self.in_bytes = in_bytes
        self.subscriptions: dict[str, Subscription] = {}
        self.position: Position | None = None
        self._read = read
        self._known = 0
        """An offset that there is, whether it came here or not."""
        self._waiting: dict[int, Publication] = {}
        self._missing: asyncio.TimerHandle | None = None
        self._filling: asyncio.Task[None] | None = None
        self._beginning: asyncio.Future[Position] | None = None

    async def begin(self, find: Callable[[str], Awaitable[Position]]) -> Position:
        """Return where the channel stands; what arrives meanwhile waits."""
        if self.position is not None:
            return self.position
        if self._beginning is None:
            self._beginning = asyncio.ensure_future(find(self.channel))
        try:
            position = await asyncio.shield(self._beginning)
        except BaseException:
            if self._beginning is not None and self._beginning.done():
                self._beginning = None  # the next one asks again
            raise
        return self.begin_at(position)

    def begin_at(self, position: Position) -> Position:
        """Begin at a position that was just read, unless the lane has one; return the lane's."""
        if self.position is None:
            self.position = position
            self.advance()
        return self.position

    def take(self, publication: Publication) -> None:
        """Deliver a publication if it is next, else keep it until it is."""
        position = self.position
        if position is not None and publication.epoch not in ("", position.epoch):
            position = self._begin_anew(publication.epoch)
        if publication.offset == 0:
            self._deliver(publication)
        elif position is None:
            self._keep(publication)
        elif publication.offset == position.offset + 1:
            self.position = Position(position.epoch, publication.offset)
            self._deliver(publication)
            if self._waiting:
                self.advance()
        elif publication.offset > position.offset:
            self._keep(publication)
            self._watch()

    def _begin_anew(self, epoch: str) -> Position:
        """Follow a channel that was forgotten, all of it long delivered, and is published to again.

        Clients keep the old epoch: whoever comes back with it is told that nothing is recovered.
        """
        self._waiting.clear()
        self._known = 0
        for subscription in self.subscriptions.values():
            subscription.offset = 0
        self.position = Position(epoch, 0)
        return self.position

    def catch_up(self, seen: Position, stored: Position) -> None:
        """Read what is missing from the history, if it does not come soon.

        `stored` is where the channel stood after the lane stood at `seen`.
        """
        if self.position is None or self.position.epoch != seen.epoch:
            return
        if stored.epoch != seen.epoch:
            self._begin_anew(stored.epoch)
        self._known = stored.offset
        if self._lacks:
            self._watch()

    @property
    def _lacks(self) -> bool:
        """Whether something is known to be missing."""
        at = self.position.offset if self.position else 0
        return bool(self._waiting) or self._known > at

    def _keep(self, publication: Publication) -> None:
        if len(self._waiting) < MOST_AHEAD:
            self._waiting[publication.offset] = publication

    def advance(self) -> None:
        """Deliver what waits and is next; watch for what is missing before the rest."""
        if self.position is None:
            return
        epoch, top = self.position.epoch, self.position.offset
        self._waiting = {at: each for at, each in self._waiting.items() if at > top}
        while (publication := self._waiting.pop(top + 1, None)) is not None:
            top += 1
            self.position = Position(epoch, top)
            self._deliver(publication)
        if self._lacks:
            self._watch()
        elif self._missing is not None:
            self._missing.cancel()
            self._missing = None

    def announce(self, push: Push) -> None:
        """Push something that is not a publication to every subscriber."""
        reply = [Reply(push=push)]
        frames: dict[Wire, bytes] = {}
        for subscription in tuple(self.subscriptions.values()):
            session = subscription.session
            frame = frames.get(session.wire)
            if frame is None:
                frame = frames[session.wire] = session.wire.replies(reply)
            session.send(frame)

    def _deliver(self, publication: Publication) -> None:
        frames: dict[object, bytes] = {}
        offset, is_plain = publication.offset, not self.in_bytes
        # A copy, because a client that is cut off leaves while this goes on.
        for subscription in [*self.subscriptions.values()]:
            if subscription.held is not None:
                subscription.hold(publication)
                continue
            if offset:
                if offset <= subscription.offset:
                    continue  # it was in the answer: history may be ahead of what is delivered
                subscription.offset = offset
            session = subscription.session
            if is_plain and subscription.base is NO_DELTA:
                frame = frames.get(session.wire)
                if frame is None:
                    frame = frames[session.wire] = session.wire.publication(publication)
            else:
                frame = subscription.frame(publication, frames)
            session.send(frame)

    def _watch(self) -> None:
        if self._missing is None:
            loop = asyncio.get_running_loop()
            self._missing = loop.call_later(GAP_S, self._fetch)

    def _fetch(self) -> None:
        self._missing = None
        self._filling = asyncio.create_task(self._fill())

    async def _fill(self) -> None:
        if self.position is None or not self.subscriptions or not self._lacks:
            return
        try:
            missed = await self._read(self.position)
        except Unavailable:
            self._watch()
            return
        except Exception:  # noqa: BLE001  # the edge of a task
            get_logger().exception("gap_not_filled", channel=self.channel)
            missed = None
        for publication in missed or ():
            self._waiting.setdefault(publication.offset, publication)
        self.advance()
        # What is behind the gap was committed after what should be in it.
        if not missed and self._lacks:
            self.close_all(INSUFFICIENT_STATE)

    def close_all(self, closing: Closing) -> None:
        """End every client of the channel."""
        for subscription in tuple(self.subscriptions.values()):
            subscription.session.close(closing)

    def end(self) -> None:
        if self._missing is not None:
            self._missing.cancel()
