"""One client's connection: what its commands do, whatever they come over."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import UNSET, Raw
from structlog import get_logger

from nova.kernel.errors import Unavailable
from nova.kernel.ids import new_id
from nova.web.actors import User
from nova.web.event_loop_budget import REQUEST, LoopBudget
from nova.web.realtime import codes, commands
from nova.web.realtime.client import Home
from nova.web.realtime.codecs import Undecodable
from nova.web.realtime.codes import Closing, Ended, Failed
from nova.web.realtime.lanes import Alias, Subscription
from nova.web.realtime.messages import (
    ClientInfo,
    Command,
    Push,
    Reply,
    Unsubscribe,
)
from nova.web.realtime.wires import Transport, Wire

MOST_WAITING = 4096  # frames of one client; past it the client is told to come back later
MOST_BYTES = 1 << 20  # of those frames; past it, too
HOLD_AT = 64
"""Frames that wait when the transport stops to read from the client."""
HOLD_BYTES = 1 << 17
"""Bytes of frames that wait when it stops."""
MOST_FIRST = 16_384
"""Bytes of a frame before `connect`, unless it begins with that (SDKs send more along with it)."""
TURN = 32
"""Commands answered before others get their turn."""


class Hub(Home, Protocol):
    """The hub, as far as a session needs it (nova.web.realtime.hub.Hub)."""

    loop_budget: LoopBudget

    def enter(self, session: "Session", user: User) -> None:
        """The session has said who it is."""

    def watch(self, session: "Session") -> None:
        """The session was told how it is pinged."""

    def leave(self, session: "Session") -> None:
        """Forget a session that ended."""

    def disconnected(self, closing: Closing) -> None: ...


class Session:
    """Answers a client's commands in order, and pushes to it."""

    __slots__ = (
        "_held",
        "_replies",
        "_ripe",
        "_size",
        "_transport",
        "_waiting",
        "_work",
        "address",
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

    def __init__(
        self,
        hub: Hub,
        wire: Wire,
        transport: Transport,
        *,
        secret: str = "",
        address: str = "",
    ) -> None:
        """`secret` is what the client shows with commands that come another way (/emulation).

        (Its id will not do: others see that.) Such a client is not asked for pongs.
        """
        self.hub = hub
        self.secret = secret
        self.address = address
        self.wire = wire
        self._transport = transport
        self.id = str(new_id())
        self.user: User | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.closed = False
        self.pinged = False
        self.slot = -1
        self._held = False
        self._waiting: deque[bytes] | None = None
        self._size = 0
        self._work: asyncio.Task[None] | None = None
        self._replies: list[Reply] | None = None
        self._ripe: Sequence[Callable[[], None]] = ()
        self.released: list[Callable[[], None]] | None = None
        """What is to be done once the answer to the present command is out."""

    # -- from and to the transport ----------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Take a frame from the client."""
        self.pinged = False
        if self.closed or frame in NOTHING:
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(frame)
        self._size += len(frame)
        if len(self._waiting) > MOST_WAITING or self._size > MOST_BYTES:
            self.close(codes.FLOODING)
            return
        if not self._held and (len(self._waiting) > HOLD_AT or self._size > HOLD_BYTES):
            self._held = True
            self._transport.hold()
        if self._work is None:
            self._work = asyncio.create_task(self._answer_all())

    def _next(self, waiting: deque[bytes]) -> Iterable[Command]:
        """Return the commands of the frame that waited longest."""
        frame = waiting.popleft()
        self._size -= len(frame)
        if self._held and len(waiting) <= HOLD_AT // 2 and self._size <= HOLD_BYTES // 2:
            self._held = False
            self._transport.flow()
        commands = self.wire.commands(frame)
        return commands if len(frame) <= MOST_FIRST else self._introduced(commands)

    def _introduced(self, commands: Iterable[Command]) -> Iterator[Command]:
        """Yield the commands of a large frame. Raises Ended if it comes before `connect`."""
        for command in commands:
            if self.user is None and command.connect is None:
                raise Ended(codes.MALFORMED)
            yield command

    def send(self, frame: bytes) -> None:
        """Send bytes made by this session's wire."""
        if not self.closed and self._transport.write(frame) > self.hub.limits.queue_bytes:
            self.lost()
            self.hub.disconnected(codes.SLOW)
            self._transport.abort(codes.SLOW)

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
            self.say(Push(channel=channel, unsubscribe=Unsubscribe(code=code, reason=reason)))

    def say(self, push: Push) -> None:
        """Push something after what was answered so far."""
        self.flush()
        self.send(self.wire.replies([Reply(push=push)]))

    def expel_token(self, token: str) -> None:
        """End the subscriptions that were made with a token."""
        for channel, subscription in tuple(self.subscriptions.items()):
            if subscription.token == token:
                self.expel(channel, codes.UNSUBSCRIBED_EXPIRED, "subscription token revoked")

    # -- commands ---------------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """Answer what waits, in order."""
        budget = self.hub.loop_budget
        answered = 0
        try:
            while self._waiting:
                for command in self._next(self._waiting):
                    if budget.used_up or (answered and answered % TURN == 0):
                        await budget.turn()
                    if self.closed:
                        return
                    answered += 1
                    budget.spend(1 if command.connect is None else REQUEST)
                    await self._handle(command)
        except Undecodable:
            self.close(codes.MALFORMED)
        except Ended as ended:
            self.close(ended.closing)
        except Exception:  # noqa: BLE001  # the edge of a task: logged, counted, closed
            self._broken("socket_commands_unreadable")
            self.close(codes.SERVER_ERROR)
        finally:
            self._work = None
            self.flush()
            if not self._waiting:
                self._waiting = None

    async def _handle(self, command: Command) -> None:
        if command.id or command.send is not None:
            reply = await self._answer(command)
            if reply is not None:
                self._reply(reply)
        elif command != _PONG:
            raise Ended(codes.MALFORMED)

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
            try:
                frames = [self.wire.replies(replies)]
            except Exception:  # noqa: BLE001  # whatever it is, the client gets an answer
                frames = [self._encoded(reply) for reply in replies]
            for frame in frames:
                self.send(frame)
        try:
            for each in ripe:
                each()
        except Exception:  # noqa: BLE001  # the edge of a callback: logged, counted, closed
            self._broken("socket_push_failed")
            self.close(codes.SERVER_ERROR)

    def _encoded(self, reply: Reply) -> bytes:
        """Encode a reply, or the error that there is none; one that begins something ends here."""
        try:
            return self.wire.replies([reply])
        except Exception:  # noqa: BLE001  # what a reply holds came from elsewhere
            self._broken("socket_reply_not_encoded")
        if reply.connect is not None or reply.subscribe is not None:
            asyncio.get_running_loop().call_soon(self.close, codes.SERVER_ERROR)
        return self.wire.replies([Reply(id=reply.id, error=codes.INTERNAL)])

    def _broken(self, event: str) -> None:
        """Log the exception at hand, and count it."""
        get_logger().exception(event, client=self.id)
        self.hub.failed()

    async def _answer(self, command: Command) -> Reply | None:
        try:
            return await self._do(command)
        except Failed as failed:
            return Reply(id=command.id, error=failed.error)
        except Unavailable:
            return Reply(id=command.id, error=codes.INTERNAL)
        except Ended:
            raise
        except (Exception, asyncio.CancelledError):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise  # the process ends; what was cancelled otherwise is a failure as any
            self._broken("socket_command_failed")
            if command.connect is not None and self.user is not None:
                raise Ended(codes.SERVER_ERROR) from None  # half connected
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

    def admitted(self, user: User) -> None:
        """Be this user's from now on."""
        self.user = user
        self.hub.enter(self, user)

    def begin_pings(self) -> None:
        """Ping from now on: the client was told how."""
        self.hub.watch(self)

    def join(self, channel: str, *, server_side: bool, name: str = "") -> Subscription:
        """Enter a channel, which the client calls `name` if that is given."""
        self.alive()
        lane = self.hub.lane(channel)
        if name in {"", channel}:
            subscription = Subscription(self, lane, server_side=server_side)
        else:
            subscription = Alias(self, lane, name)
        self.subscriptions[subscription.name] = subscription
        lane.subscriptions[subscription.key] = subscription
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
            user=_shown(self.user),
            client=self.id,
            chan_info=Raw(subscription.info) if subscription and subscription.info else UNSET,
        )


def _shown(user: User | None) -> str:
    """Return a user's id as others see it; strangers have none."""
    return "" if user is None or user.is_stranger else str(user.id)


_PONG = Command()
NOTHING = (b"{}", b"\x00", b"")
"""Messages without a command: answers to pings, and empty ones."""
