"""One client's connection: what its commands do, whatever they come over."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import UNSET, Raw
from structlog import get_logger

from nova.kernel.errors import Unavailable
from nova.kernel.ids import new_id
from nova.ports.channels import Publication
from nova.web.actors import User
from nova.web.realtime import codes, commands
from nova.web.realtime.codecs import Undecodable
from nova.web.realtime.codes import Closing, Ended, Failed
from nova.web.realtime.lanes import Subscription
from nova.web.realtime.messages import (
    PING,
    About,
    ClientInfo,
    Command,
    Push,
    Reply,
    Unsubscribe,
)
from nova.web.realtime.wires import Transport, Wire

if TYPE_CHECKING:
    from nova.web.realtime.hub import Hub

MOST_WAITING = 512  # commands of one client; a client that sends more than it reads is cut off


class Session:
    """Answers a client's commands in order, and pushes to it."""

    __slots__ = (
        "_transport",
        "_waiting",
        "_work",
        "closed",
        "hub",
        "id",
        "pinged",
        "released",
        "slot",
        "subscriptions",
        "user",
        "wire",
    )

    def __init__(self, hub: "Hub", wire: Wire, transport: Transport) -> None:
        self.hub = hub
        self.wire = wire
        self._transport = transport
        self.id = str(new_id())
        self.user: User | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.closed = False
        self.pinged = False
        self.slot = -1
        self._waiting: deque[Command] | None = None
        self._work: asyncio.Task[None] | None = None
        self.released: list[Callable[[], None]] = []

    # -- from and to the transport ----------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Take a frame from the client."""
        self.pinged = False
        try:
            arrived = self.wire.commands(frame)
        except Undecodable:
            self.close(codes.MALFORMED)
            return
        for command in arrived:
            if command.id == 0 and command.send is None:
                if command != _PONG:
                    self.close(codes.MALFORMED)
                    return
                continue
            if self._waiting is None:
                self._waiting = deque()
            if len(self._waiting) >= MOST_WAITING:
                self.close(codes.FLOODING)
                return
            self._waiting.append(command)
        if self._waiting and self._work is None and not self.closed:
            self._work = asyncio.create_task(self._answer_all())

    def send(self, frame: bytes) -> None:
        """Send bytes made by this session's wire."""
        if not self.closed and self._transport.write(frame) > self.hub.limits.queue_bytes:
            self.lost()
            self.hub.disconnected(codes.SLOW)
            self._transport.abort(codes.SLOW)

    def push(self, publication: Publication) -> None:
        self.send(self.wire.publication(publication))

    def ping(self) -> None:
        """Ping, or close if the last ping was not answered."""
        if self.pinged:
            self.close(codes.NO_PONG)
        else:
            self.pinged = True
            self.send(self.wire.replies([PING]))

    def close(self, closing: Closing) -> None:
        """End the connection from the server's side."""
        if not self.closed:
            self.lost()
            self.hub.disconnected(closing)
            self._transport.close(closing)

    def lost(self) -> None:
        """Forget everything: the connection is gone."""
        if self.closed:
            return
        self.closed = True
        if self._work is not None and self._work is not asyncio.current_task():
            self._work.cancel()
        self.hub.leave(self)

    def expel(self, channel: str, code: int, reason: str) -> None:
        """End a subscription from the server's side, and say so."""
        if self.leave(channel):
            push = Push(channel=channel, unsubscribe=Unsubscribe(code=code, reason=reason))
            self.send(self.wire.replies([Reply(push=push)]))

    # -- commands ---------------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """Answer what waits, in order; answers that come at once share a frame."""
        replies: list[Reply] = []
        try:
            while self._waiting and not self.closed:
                reply = await self._answer(self._waiting.popleft())
                if reply is not None:
                    replies.append(reply)
                if not self._waiting and not self.closed:
                    self.send(self.wire.replies(replies))
                    replies = []
                    released, self.released = self.released, []
                    for release in released:
                        release()
        except Ended as ended:
            if replies:
                self.send(self.wire.replies(replies))
            self.close(ended.closing)
        finally:
            self._work = None
            if not self._waiting:
                self._waiting = None

    async def _answer(self, command: Command) -> Reply | None:
        try:
            return await self._do(command)
        except Failed as failed:
            return Reply(id=command.id, error=failed.error)
        except Unavailable:
            return Reply(id=command.id, error=codes.INTERNAL)
        except (Ended, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001  # the edge of a task: logged, counted, answered
            get_logger().exception("socket_command_failed", client=self.id)
            self.hub.failed()
            return Reply(id=command.id, error=codes.INTERNAL)

    async def _do(self, command: Command) -> Reply | None:
        if command.connect is not None:
            return Reply(id=command.id, connect=await commands.connect(self, command.connect))
        if self.user is None:
            raise Ended(codes.MALFORMED)
        if command.rpc is not None:
            return await commands.rpc(self, command.id, self.user, command.rpc)
        if command.send is not None:
            return None
        for name, answer in commands.ANSWERS.items():
            asked = getattr(command, name)
            if asked is not None:
                return Reply(id=command.id, **{name: await answer(self, self.user, asked)})
        raise Failed(codes.METHOD_NOT_FOUND)

    # -- channels ---------------------------------------------------------------------------------

    def join(self, channel: str, *, server_side: bool) -> Subscription:
        lane = self.hub.lane(channel)
        subscription = Subscription(self, lane, server_side=server_side)
        self.subscriptions[channel] = subscription
        lane.subscriptions[self.id] = subscription
        return subscription

    def leave(self, channel: str) -> bool:
        """Take the session out of a channel; return whether it was in it."""
        subscription = self.subscriptions.pop(channel, None)
        if subscription is None:
            return False
        self.hub.left(subscription, self.about(subscription))
        return True

    def info(self, subscription: Subscription | None) -> ClientInfo:
        """Return what others see of this client."""
        return ClientInfo(
            user=self.hub.name(self.user),
            client=self.id,
            chan_info=Raw(subscription.info) if subscription and subscription.info else UNSET,
        )

    def about(self, subscription: Subscription) -> About:
        return About(info=self.info(subscription))


_PONG = Command()
