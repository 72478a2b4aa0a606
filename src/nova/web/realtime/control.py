"""What the host app's backend does to open connections: the same in every process."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from msgspec import UNSET, Raw
from msgspec.structs import replace
from structlog import get_logger

from nova.kernel.errors import Unavailable
from nova.ports.fanout import Order, Refreshed, SentAway, Subscribed, Unsubscribed
from nova.web.realtime import codes
from nova.web.realtime.client import Home
from nova.web.realtime.codes import Closing, Ended, Failed
from nova.web.realtime.commands import start
from nova.web.realtime.messages import Push, SubscribeRequest
from nova.web.realtime.messages import Refresh as RefreshPush
from nova.web.realtime.messages import Subscribe as SubscribePush
from nova.web.realtime.session import Session


class Control:
    """Carries out orders on the connections of this process."""

    def __init__(self, hub: Home, connections: Callable[[UUID], Iterable[Session]]) -> None:
        """`connections` returns those of a user."""
        self._hub = hub
        self._connections = connections
        self._tasks: set[asyncio.Task[None]] = set()

    def obey(self, order: Order) -> int:
        """Carry out an order; return how many connections it was about."""
        sessions = self._of(order.user, order.client)
        match order:
            case SentAway():
                spared = set(order.spared)
                sessions = [each for each in sessions if each.id not in spared]
                closing = _closing(order)
                for session in sessions:
                    session.close(closing)
            case Unsubscribed():
                sessions = [each for each in sessions if order.channel in each.subscriptions]
                for session in sessions:
                    session.expel(order.channel, order.code, order.reason)
            case Refreshed():
                for session in sessions:
                    self._refresh(session, order)
            case Subscribed():
                for session in sessions:
                    task = asyncio.create_task(self._subscribe(session, order))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        return len(sessions)

    def _of(self, user: UUID, client: str) -> Sequence[Session]:
        theirs = tuple(self._connections(user))
        return [each for each in theirs if each.id == client] if client else theirs

    def _refresh(self, session: Session, order: Refreshed) -> None:
        if order.is_expired:
            session.close(codes.CONNECTION_EXPIRED)
        elif session.user is not None:
            session.user = replace(session.user, expires=order.expires)
            push = RefreshPush(expires=order.expires is not None, ttl=self._hub.ttl(order.expires))
            session.say(Push(refresh=push))

    async def _subscribe(self, session: Session, order: Subscribed) -> None:
        """Put a connection into a channel, unless it is there or in as many as it may."""
        hub, channel = self._hub, order.channel
        if (
            session.closed
            or channel in session.subscriptions
            or len(session.subscriptions) >= hub.limits.subscriptions
        ):
            return
        subscription = session.join(channel, server_side=True)
        subscription.info = _given(order.info)
        subscription.expires = order.expires
        try:
            rules = hub.families.rules(channel)
            result = await start(session, subscription, rules, SubscribeRequest())
        except (Unavailable, Failed, Ended):
            session.leave(channel)
            return
        except Exception:  # noqa: BLE001  # the edge of a task: logged and counted
            get_logger().exception("subscribe_order_failed", channel=channel)
            hub.failed()
            session.leave(channel)
            return
        if session.subscriptions.get(channel) is not subscription:
            return
        push = SubscribePush(
            recoverable=result.recoverable,
            epoch=result.epoch,
            offset=result.offset,
            positioned=result.positioned,
            data=order.data if _given(order.data) else UNSET,
        )
        session.say(Push(channel=channel, subscribe=push))
        hub.entered(subscription)
        subscription.release()


def _closing(order: SentAway) -> Closing:
    if order.code:
        return Closing(order.code, order.reason)
    return codes.FORCE_RECONNECT if order.returns else codes.FORCE_NO_RECONNECT


def _given(member: Raw) -> bytes | None:
    given = bytes(member)
    return None if given == b"null" else given
