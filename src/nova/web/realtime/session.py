"""One client's connection: what its commands do, whatever they come over."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
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
    ClientInfo,
    Command,
    Push,
    Reply,
    Unsubscribe,
)
from nova.web.realtime.wires import Transport, Wire

if TYPE_CHECKING:
    from nova.web.realtime.hub import Hub

MOST_WAITING = 4096  # commands of one client; past it the client is told to come back later
HOLD_AT = 64
"""Commands that wait when the transport stops to read from the client."""
TURN = 32
"""Commands answered before others get their turn."""


class Session:
    """Answers a client's commands in order, and pushes to it."""

    __slots__ = (
        "_held",
        "_replies",
        "_ripe",
        "_transport",
        "_waiting",
        "_work",
        "closed",
        "hub",
        "id",
        "pinged",
        "released",
        "secret",
        "slot",
        "subscriptions",
        "user",
        "wire",
    )

    def __init__(self, hub: "Hub", wire: Wire, transport: Transport, *, secret: str = "") -> None:
        """`secret` is what the client shows with commands that come another way (/emulation).

        (Its id will not do: others see that.) Such a client is not asked for pongs.
        """
        self.hub = hub
        self.secret = secret
        self.wire = wire
        self._transport = transport
        self.id = str(new_id())
        self.user: User | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.closed = False
        self.pinged = False
        self.slot = -1
        self._held = False
        self._waiting: deque[Command] | None = None
        self._work: asyncio.Task[None] | None = None
        self._replies: list[Reply] | None = None
        self._ripe: Sequence[Callable[[], None]] = ()
        self.released: list[Callable[[], None]] | None = None
        """What is to be done once the answer to the present command is out."""

    # -- from and to the transport ----------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Take a frame from the client."""
        self.pinged = False
        if self.closed or frame in _PONGS:
            return
        try:
            arrived = self.wire.commands(frame)
        except Undecodable:
            self.close(codes.MALFORMED)
            return
        for command in arrived:
            if command.id or command.send is not None:
                self._enqueue(command)
            elif command != _PONG:
                self.close(codes.MALFORMED)
                return

    def _enqueue(self, command: Command) -> None:
        if self._waiting is None:
            self._waiting = deque()
        if len(self._waiting) >= MOST_WAITING:
            self.close(codes.FLOODING)
            return
        self._waiting.append(command)
        if len(self._waiting) > HOLD_AT and not self._held:
            self._held = True
            self._transport.hold()
        if self._work is None and not self.closed:
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
            self.pinged = not self.secret
            self.send(self.wire.ping)

    def expire(self, before: float) -> None:
        """End what expired before a time (in seconds since 1970) and was not refreshed."""
        expires = self.user.expires if self.user else None
        if expires is not None and expires <= before:
            self.close(codes.CONNECTION_EXPIRED)
            return
        for channel, subscription in tuple(self.subscriptions.items()):
            if subscription.expires is not None and subscription.expires <= before:
                self.expel(channel, codes.UNSUBSCRIBED_EXPIRED, "subscription expired")

    def close(self, closing: Closing) -> None:
        """End the connection from the server's side."""
        if not self.closed:
            self.flush()
        if not self.closed:
            self.lost()
            self.hub.disconnected(closing)
            self._transport.close(closing)

    def lost(self) -> None:
        """Forget everything: the connection is gone.

        A command that is being answered ends as it would have: what it does may be
        committed, and then others must hear of it.
        """
        if not self.closed:
            self.closed = True
            self._waiting = self._replies = None
            self.hub.leave(self)

    def expel(self, channel: str, code: int, reason: str) -> None:
        """End a subscription from the server's side, and say so."""
        if self.leave(channel):
            self.flush()
            push = Push(channel=channel, unsubscribe=Unsubscribe(code=code, reason=reason))
            self.send(self.wire.replies([Reply(push=push)]))

    def expel_token(self, token: str) -> None:
        """End the subscriptions that were made with a token."""
        for channel, subscription in tuple(self.subscriptions.items()):
            if subscription.token == token:
                self.expel(channel, codes.UNSUBSCRIBED_EXPIRED, "subscription token revoked")

    # -- commands ---------------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """Answer what waits, in order."""
        answered = 0
        try:
            while self._waiting and not self.closed:
                reply = await self._answer(self._waiting.popleft())
                if reply is not None:
                    self._reply(reply)
                if self._held and len(self._waiting or ()) <= HOLD_AT // 2:
                    self._held = False
                    self._transport.flow()
                answered += 1
                if answered % TURN == 0:
                    await asyncio.sleep(0)
        except Ended as ended:
            self.close(ended.closing)
        finally:
            self._work = None
            self.flush()
            if not self._waiting:
                self._waiting = None

    def _reply(self, reply: Reply) -> None:
        """Queue an answer; those that come before the loop turns share a frame."""
        if self.released:
            self._ripe = [*self._ripe, *self.released]
            self.released = None
        if self._replies is None:
            self._replies = [reply]
            asyncio.get_running_loop().call_soon(self.flush)
        else:
            self._replies.append(reply)

    def flush(self) -> None:
        """Send the answers, then what had to wait for them."""
        replies, self._replies = self._replies, None
        ripe, self._ripe = self._ripe, ()
        if replies:
            self.send(self.wire.replies(replies))
        for each in ripe:
            each()

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
            await commands.charge(self, "send", self.user)
            return None
        for name, answer in commands.ANSWERS.items():
            asked = getattr(command, name)
            if asked is not None:
                await commands.charge(self, name, self.user)
                return Reply(id=command.id, **{name: await answer(self, self.user, asked)})
        raise Failed(codes.METHOD_NOT_FOUND)

    # -- channels ---------------------------------------------------------------------------------

    def alive(self) -> None:
        """Raise Ended if the client went away while it was being answered."""
        if self.closed:
            raise Ended(codes.NORMAL)

    def join(self, channel: str, *, server_side: bool) -> Subscription:
        self.alive()
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
        self.hub.left(subscription)
        return True

    def info(self, subscription: Subscription | None) -> ClientInfo:
        """Return what others see of this client."""
        return ClientInfo(
            user=self.hub.name(self.user),
            client=self.id,
            chan_info=Raw(subscription.info) if subscription and subscription.info else UNSET,
        )


_PONG = Command()
_PONGS = (b"{}", b"\x00")
