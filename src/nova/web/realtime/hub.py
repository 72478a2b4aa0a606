"""Every open socket of this process, the channels they follow, and their timers."""

import asyncio
import random
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from typing import Protocol
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from prometheus_client import CollectorRegistry
from structlog import get_logger

from nova.kernel.clock import Clock
from nova.kernel.errors import TooMany, Unauthenticated
from nova.kernel.ids import new_id
from nova.ports.broadcast import Audience
from nova.ports.channels import Channels, Position, Publication
from nova.ports.fanout import Came, Fanout, Order, Presence, Published, Went, Word
from nova.web.actors import Authenticator, User
from nova.web.auth import Subscription as Ticket
from nova.web.event_loop_budget import LoopBudget
from nova.web.limits import Budgets, Limiter, LocalLimits
from nova.web.realtime import codes
from nova.web.realtime.alone import Alone
from nova.web.realtime.codes import Closing, Failed
from nova.web.realtime.commands import MOST_RECOVERED
from nova.web.realtime.control import Control
from nova.web.realtime.families import Families, Method
from nova.web.realtime.lanes import Lane, Subscription
from nova.web.realtime.messages import About, ClientInfo, Push
from nova.web.realtime.session import Session
from nova.web.realtime.wires import Transport, Wire
from nova.web.routes import Limit
from nova.web.tokens import TokenExpired

NOTED_EVERY_S = 60.0
TICK_S = 1.0
STEP_S = 0.05
"""Between two shares of sockets, when all are closed."""
LONGEST_TTL_S = 2**31 - 1
"""The protocol has 32 bits for it, and some SDKs one of them less."""
STALE_S = 10.0
"""A client that has not connected by then is closed."""


NOBODY = Raw(b"null")
_encode = msgspec.json.Encoder().encode


class Tickets(Protocol):
    """Verifies subscription tokens (nova.web.auth.Auth)."""

    async def subscription(self, token: str) -> Ticket: ...


BOUNDS = {
    "address": "socket.per_address",
    "user": "socket.per_user",
    "process": "socket.connections",
}
"""By whose sockets are too many, the setting that says how many are allowed."""


class TooManySockets(TooMany):
    """This address has as many open sockets as one address may have."""

    code = "too_many_sockets"
    hint = (
        "Raise socket.per_address; behind a proxy, name it in http.trusted_proxies, so that "
        "clients are told from one another."
    )


class Limits(Struct, frozen=True, kw_only=True):
    """What one process and one client may take."""

    connections: int = 100_000
    per_user: int = 200
    per_address: int = 10_000
    subscriptions: int = 128
    message_bytes: int = 65_536
    """Largest message of a client."""
    queue_bytes: int = 1 << 20
    """Bytes that may wait for one client; past it the client is told to come back."""
    expired_s: float = 5.0
    """For how long a client may stay after its token expired, to bring a new one (and
    up to one ping longer, since that is when it is looked at)."""
    anonymous: bool = False
    """Whether strangers may connect, to use the host app's namespaces."""


class Hub:
    """Delivers publications to sessions, and ends sessions that must end."""

    def __init__(
        self,
        *,
        channels: Channels,
        families: Families,
        methods: Mapping[str, Method],
        authenticator: Authenticator,
        tickets: Tickets,
        clock: Clock,
        limits: Limits | None = None,
        limiter: Limiter | None = None,
        budget: Limit | None = None,
        ping_s: float = 25.0,
        audience: Audience | None = None,
        fanout: Fanout | None = None,
        presence: Presence | None = None,
    ) -> None:
        """Without `audience`, `fanout` and `presence`, this is the only process.

        `budget` is what a user may do over HTTP and all sockets together, as `limiter` counts.
        """
        self.channels = channels
        self.families = families
        self.methods = methods
        self.authenticator = authenticator
        self.limits = limits or Limits()
        self.limiter = limiter or Limiter(LocalLimits(), CollectorRegistry())
        self.budget = budget or Budgets().users
        self.node = str(new_id())
        self.ping_s = max(1, ceil(ping_s))
        self.draining = False
        self.loop_budget = LoopBudget()
        self.disconnects: Counter[int] = Counter()
        self.failures = 0
        self._audience = audience or Alone()
        self._fanout = fanout or Alone()
        self._fanout.listen(self.hear)
        self._presence = presence or Alone()
        self._control = Control(self, lambda user: self._users.get(user, ()))
        self._tickets = tickets
        self._clock = clock
        self._began = clock.monotonic()
        self.lanes: dict[str, Lane] = {}
        """Channels with a subscriber here."""
        self._followed: defaultdict[str, set[str]] = defaultdict(set)
        """Channels by family; those with a subscriber here."""
        self._sessions: dict[str, Session] = {}
        self._users: dict[UUID, set[Session]] = {}
        self._wheel: list[set[Session]] = [set() for _ in range(self.ping_s)]
        self._hand = 0
        self._addresses: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        """Sockets that were one too many, by whose: an address's, a user's, or the process's."""
        self._noted: dict[str, float] = {}
        self._arrivals: OrderedDict[Session, float] = OrderedDict()
        """Those that have not said who they are, and until when they have to."""
        self._secrets: dict[str, Session] = {}
        self._ticking: asyncio.Task[None] | None = None

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to ping, and to end what is stale or expired."""
        self._ticking = asyncio.create_task(self._tick_on())

    async def drain(self, seconds: float) -> None:
        """Close all sockets, spread over `seconds`, so that clients do not return all at once."""
        self.draining = True
        await self._close_all(codes.SHUTDOWN, seconds)

    async def recheck(self, seconds: float = 0.3) -> None:
        """Have every client connect anew: its right to be connected cannot be known."""
        await self._close_all(codes.FORCE_RECONNECT, seconds)

    async def _close_all(self, closing: Closing, seconds: float) -> None:
        sessions = list(self._sessions.values())
        random.shuffle(sessions)
        steps = max(1, round(seconds / STEP_S))
        share = max(1, ceil(len(sessions) / steps))
        for start in range(0, len(sessions), share):
            for session in sessions[start : start + share]:
                session.close(closing)
            await asyncio.sleep(STEP_S)

    async def stop(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
        for session in tuple(self._sessions.values()):
            session.close(codes.SHUTDOWN)

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    @property
    def followed(self) -> int:
        """How many channels have a subscriber here."""
        return len(self.lanes)

    @property
    def users(self) -> int:
        return len(self._users)

    @property
    def uptime(self) -> int:
        """In seconds."""
        return int(self._clock.monotonic() - self._began)

    def subscribers(self) -> dict[str, int]:
        """Return how many follow each channel in this process."""
        return {channel: len(lane.subscriptions) for channel, lane in self.lanes.items()}

    # -- sessions ---------------------------------------------------------------------------------

    def admit(self, address: str) -> None:
        """Raise TooManySockets when an address has as many as it may."""
        if address and self._addresses[address] >= self.limits.per_address:
            self._refuse("address", address)
            raise TooManySockets(retry_after=10.0)

    def crowds(self, user: User) -> bool:
        """Whether a user has as many sockets as one may; strangers count by address alone."""
        crowded = len(self._users.get(user.id, ())) >= self.limits.per_user
        if crowded and not user.is_stranger:
            self._refuse("user", str(user.id))
            return True
        return False

    def _refuse(self, whose: str, name: str) -> None:
        """Count a socket that is one too many; log it, once a minute."""
        self.refused[whose] += 1
        now = self._clock.monotonic()
        if now - self._noted.get(whose, float("-inf")) >= NOTED_EVERY_S:
            self._noted[whose] = now
            get_logger().warning("sockets_refused", whose=whose, name=name, setting=BOUNDS[whose])

    def open(
        self, wire: Wire, transport: Transport, *, secret: str = "", address: str = ""
    ) -> Session:
        """Begin a session; it is closed again at once when there is no room for it.

        `address` is the client's, which was admitted. `secret` is by which `find` finds it, for
        transports that only go one way.
        """
        session = Session(self, wire, transport, secret=secret, address=address)
        self._addresses[address] += 1
        self._sessions[session.id] = session
        if secret:
            self._secrets[secret] = session
        self._arrivals[session] = self._clock.monotonic() + STALE_S
        if self.draining:
            session.close(codes.SHUTDOWN)
        elif len(self._sessions) > self.limits.connections:
            self._refuse("process", address)
            session.close(codes.FULL)
        return session

    def find(self, secret: str) -> Session | None:
        return self._secrets.get(secret)

    def enter(self, session: Session, user: User) -> None:
        """The session has said who it is."""
        self._arrivals.pop(session, None)
        self._users.setdefault(user.id, set()).add(session)

    def watch(self, session: Session) -> None:
        """The session was told how it is pinged: clients answer no ping that comes before."""
        if not session.closed:
            session.slot = random.randrange(self.ping_s)  # noqa: S311  # spreads pings, hides nothing
            self._wheel[session.slot].add(session)

    def leave(self, session: Session) -> None:
        """Forget a session that ended."""
        if self._sessions.pop(session.id, None) is not None:
            self._addresses[session.address] -= 1
            if not self._addresses[session.address]:
                del self._addresses[session.address]
        self._arrivals.pop(session, None)
        self._secrets.pop(session.secret, None)
        for subscription in session.subscriptions.values():
            self.left(subscription)
        session.subscriptions.clear()
        if session.user is not None:
            if session.slot >= 0:
                self._wheel[session.slot].discard(session)
            theirs = self._users.get(session.user.id, set())
            theirs.discard(session)
            if not theirs:
                self._users.pop(session.user.id, None)

    def disconnected(self, closing: Closing) -> None:
        self.disconnects[closing.code] += 1

    def failed(self) -> None:
        self.failures += 1

    def has(self, user: UUID) -> bool:
        """Whether a user has a socket here."""
        return user in self._users

    def order(self, order: Order) -> int:
        """Have something done in every process; return to how many connections in this one."""
        self._fanout.tell(order)
        return self._control.obey(order)

    def disconnect_user(self, user: UUID, closing: Closing) -> int:
        """Close the sockets of a user in this process, and return how many there were."""
        sessions = tuple(self._users.get(user, ()))
        for session in sessions:
            session.close(closing)
        return len(sessions)

    def disconnect_token(self, token: str) -> None:
        """End what was opened with a token, named as in User.token: sockets, subscriptions."""
        for session in tuple(self._sessions.values()):
            if session.user is not None and session.user.token == token:
                session.close(codes.INVALID_TOKEN)
            else:
                session.expel_token(token)

    # -- channels ---------------------------------------------------------------------------------

    def deliver(self, publications: Iterable[Publication]) -> None:
        """Hand durable publications to those who follow their channels, each once, in order."""
        for publication in publications:
            lane = self.lanes.get(publication.channel)
            if lane is None:
                continue
            try:
                lane.take(publication)
            except Exception:  # noqa: BLE001  # one publication must not cost others theirs
                get_logger().exception("publication_not_delivered", channel=publication.channel)
                self.failed()
                lane.close_all(codes.SERVER_ERROR)

    async def publish(
        self, channel: str, data: bytes, info: bytes | None = None
    ) -> Position | None:
        """Publish to a channel of the host app; durable before it returns if it has a history."""
        if self.families.rules(channel).retention is not None:
            return await self.channels.publish(channel, data, info=info)
        self.pass_on(channel, data, info)
        return None

    def pass_on(self, channel: str, data: bytes, info: bytes | None = None) -> None:
        """Deliver something that is not stored, in every process."""
        self.deliver([Publication(channel, 0, data, info)])
        told = _encode(data) if self.families.rules(channel).binary else data  # base64
        self._fanout.tell(Published(channel, Raw(told), Raw(info) if info else NOBODY))

    def entered(self, subscription: Subscription) -> None:
        """Tell the others who is there now, where the channel is one to know that of."""
        channel, session = subscription.lane.channel, subscription.session
        if session.subscriptions.get(subscription.name) is not subscription:
            return  # it ended before its answer was out
        rules, info = self.families.rules(channel), session.info(subscription)
        if rules.presence:
            self._presence.enter(channel, session.id, _encode(info))
        if rules.join_leave:
            subscription.lane.announce(Push(channel=channel, join=About(info=info)))
            self._fanout.tell(Came(channel, Raw(_encode(info))))

    async def heard(self, channel: str) -> None:
        """Return once what other processes publish to a channel of this one is heard."""
        await self._audience.heard(channel)

    def lane(self, channel: str) -> Lane:
        """Return the lane of a channel that is about to have a subscriber."""
        lane = self.lanes.get(channel)
        if lane is None:
            in_bytes = self.families.rules(channel).binary
            lane = Lane(channel, partial(self._missed, channel), in_bytes=in_bytes)
            self.lanes[channel] = lane
            self._followed[channel.partition(":")[0]].add(channel)
            self._audience.follow(channel)
        return lane

    def left(self, subscription: Subscription) -> None:
        """Take a subscription out of its lane, and tell the others."""
        lane = subscription.lane
        session = subscription.session
        if lane.subscriptions.get(subscription.key) is not subscription:
            return
        del lane.subscriptions[subscription.key]
        if not lane.subscriptions:
            lane.end()
            if self.lanes.get(lane.channel) is lane:
                del self.lanes[lane.channel]
                self._followed[lane.channel.partition(":")[0]].discard(lane.channel)
                self._audience.unfollow(lane.channel)
        self._presence.leave(lane.channel, session.id)
        if subscription.held is None and self.families.rules(lane.channel).join_leave:
            info = session.info(subscription)
            lane.announce(Push(channel=lane.channel, leave=About(info=info)))
            self._fanout.tell(Went(lane.channel, Raw(_encode(info))))

    def hear(self, word: Word) -> None:
        """Do what another process tells."""
        match word:
            case Published(channel, data, info):
                by = None if info == NOBODY else bytes(info)
                in_bytes = self.families.binary(channel)
                told = msgspec.json.decode(data, type=bytes) if in_bytes else bytes(data)
                self.deliver([Publication(channel, 0, told, by)])
            case Came(channel, info):
                self._announce(Push(channel=channel, join=_about(info)))
            case Went(channel, info):
                self._announce(Push(channel=channel, leave=_about(info)))
            case _:
                self._control.obey(word)

    def _announce(self, push: Push) -> None:
        lane = self.lanes.get(push.channel)
        if lane is not None:
            lane.announce(push)

    def subscribed(self, family: str) -> list[str]:
        """Return the channels of a family that somebody follows in this process."""
        return list(self._followed.get(family, ()))

    async def present(self, channel: str) -> dict[str, ClientInfo]:
        """Return who follows a channel, by client."""
        there = {
            client: msgspec.json.decode(info, type=ClientInfo)
            for client, info in (await self._presence.elsewhere(channel)).items()
        }
        lane = self.lanes.get(channel)
        here = lane.subscriptions.values() if lane is not None else ()
        return there | {each.session.id: each.session.info(each) for each in here}

    async def _missed(self, channel: str, since: Position) -> Sequence[Publication] | None:
        retention = self.families.retention(channel)
        if retention is None:
            return []
        _, missed = await self.channels.recover(channel, since, retention, MOST_RECOVERED)
        return missed

    # -- who and until when -----------------------------------------------------------------------

    @staticmethod
    def name(user: User | None) -> str:
        """Return a user's id as others see it; strangers have none."""
        return "" if user is None or user.is_stranger else str(user.id)

    async def ticket(self, user: User, channel: str, token: str) -> Ticket:
        """Verify a subscription token for this user and this channel."""
        try:
            opened = await self._tickets.subscription(token)
        except TokenExpired as expired:
            raise Failed(codes.TOKEN_EXPIRED) from expired
        except Unauthenticated as wrong:
            raise Failed(codes.PERMISSION_DENIED) from wrong
        if opened.channel != channel or opened.user != user.id:
            raise Failed(codes.PERMISSION_DENIED)
        return opened

    def ttl(self, expires: float | None) -> int:
        """Return in how many seconds something expires: at least one, or 0 for never.

        At most `LONGEST_TTL_S`: a client then asks for a refresh early, which costs nothing.
        """
        if expires is None:
            return 0
        left = ceil(expires - self._clock.now().timestamp())
        return min(max(1, left), LONGEST_TTL_S)

    # -- the timer --------------------------------------------------------------------------------

    async def _tick_on(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            try:
                self.tick()
            except Exception:  # noqa: BLE001  # the edge of a task: others are pinged all the same
                get_logger().exception("socket_timer_failed")
                self.failed()

    def tick(self) -> None:
        """Once a second: ping a share of the sessions, end what is stale or expired."""
        self._hand = (self._hand + 1) % self.ping_s
        wall = self._clock.now().timestamp()
        for session in tuple(self._wheel[self._hand]):
            session.expire(wall - self.limits.expired_s)
            session.ping()
        now = self._clock.monotonic()
        while self._arrivals and next(iter(self._arrivals.values())) <= now:
            session, _ = self._arrivals.popitem(last=False)
            if session.user is None:
                session.close(codes.STALE)


def _about(info: Raw) -> About:
    return About(info=msgspec.json.decode(info, type=ClientInfo))
