"""Every open socket of this process, the channels they follow, and their timers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import ceil
from uuid import UUID

import msgspec
from msgspec import Raw, Struct
from prometheus_client import CollectorRegistry
from structlog import get_logger

from nova.kernel.clock import Clock
from nova.kernel.ids import new_id
from nova.ports.broadcast import Audience
from nova.ports.channels import Channels, Position, Publication
from nova.ports.fanout import Came, Fanout, Order, Presence, Published, Said, Went, Word
from nova.web.actors import Authenticator, User
from nova.web.event_loop_budget import LoopBudget
from nova.web.limits import Budgets, Limiter, LocalLimits
from nova.web.realtime import codes
from nova.web.realtime.alone import Alone
from nova.web.realtime.channel_presence import ChannelPresence
from nova.web.realtime.codes import Closing
from nova.web.realtime.commands import MOST_RECOVERED
from nova.web.realtime.control import Control
from nova.web.realtime.families import Families, Method
from nova.web.realtime.lanes import Lane, Subscription
from nova.web.realtime.messages import ClientInfo
from nova.web.realtime.registry import Registry
from nova.web.realtime.session import Session
from nova.web.realtime.socket_limits import Limits
from nova.web.realtime.tickets import OpenedTickets, Tickets
from nova.web.realtime.timers import Timers
from nova.web.realtime.wires import Transport, Wire
from nova.web.routes import Limit

LONGEST_TTL_S = 2**31 - 1
"""The protocol has 32 bits for it, and some SDKs one of them less."""
NOBODY = Raw(b"null")
_encode = msgspec.json.Encoder().encode


class OtherProcesses(Struct, frozen=True, kw_only=True):
    """How this process and others hear of each other; as it is, there are none."""

    audience: Audience = Alone()
    fanout: Fanout = Alone()
    presence: Presence = Alone()


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
        others: OtherProcesses | None = None,
    ) -> None:
        """Without `others`, this is the only process.

        `budget` is what a user may do over HTTP and all sockets together, as `limiter` counts.
        """
        self.channels = channels
        self.families = families
        self.methods = methods
        self.authenticator = authenticator
        self.tickets = OpenedTickets(tickets)
        self.limits = limits or Limits()
        self.limiter = limiter or Limiter(LocalLimits(), CollectorRegistry())
        self.budget = budget or Budgets().users
        self.node = str(new_id())
        self.draining = False
        self.loop_budget = LoopBudget()
        self.disconnects: Counter[int] = Counter()
        self.failures = 0
        self.registry = Registry(self.limits, clock)
        self.refused = self.registry.refused
        self.timers = Timers(self.limits, clock, self.failed)
        self.ping_s = self.timers.ping_s
        self.lanes: dict[str, Lane] = {}
        """Channels with a subscriber here."""
        others = others or OtherProcesses()
        self._audience = others.audience
        self.fanout = others.fanout
        self.fanout.listen(self.hear)
        self._presence = ChannelPresence(families, self.lanes, others.fanout, others.presence)
        self._control = Control(self, self.registry.of)
        self._clock = clock
        self._began = clock.monotonic()
        self._followed: defaultdict[str, set[str]] = defaultdict(set)
        """Channels by family; those with a subscriber here."""

    # -- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to ping, and to end what is stale or expired."""
        self.timers.start()

    async def drain(self, seconds: float) -> None:
        """Close all sockets, spread over `seconds`, so that clients do not return all at once."""
        self.draining = True
        await self.registry.close_all(codes.SHUTDOWN, seconds)

    async def recheck(self, seconds: float = 0.3) -> None:
        """Have every client connect anew: its right to be connected cannot be known."""
        await self.registry.close_all(codes.FORCE_RECONNECT, seconds)

    async def stop(self) -> None:
        self.timers.stop()
        for session in tuple(self.registry.sessions.values()):
            session.close(codes.SHUTDOWN)

    @property
    def sessions(self) -> int:
        return len(self.registry.sessions)

    @property
    def followed(self) -> int:
        """How many channels have a subscriber here."""
        return len(self.lanes)

    @property
    def uptime(self) -> int:
        """In seconds."""
        return int(self._clock.monotonic() - self._began)

    # -- sessions ---------------------------------------------------------------------------------

    def crowds(self, user: User) -> bool:
        """Whether a user has as many sockets as one may; strangers count by address alone."""
        return self.registry.crowds(user)

    def open(
        self, wire: Wire, transport: Transport, *, secret: str = "", address: str = ""
    ) -> Session:
        """Begin a session; it is closed again at once when there is no room for it.

        `address` is the client's, which was admitted. `secret` is by which `find` finds it, for
        transports that only go one way.
        """
        session = Session(self, wire, transport, secret=secret, address=address)
        there_is_room = self.registry.add(session)
        self.timers.arrive(session)
        if self.draining:
            session.close(codes.SHUTDOWN)
        elif not there_is_room:
            session.close(codes.FULL)
        return session

    def enter(self, session: Session, user: User) -> None:
        """The session has said who it is."""
        self.timers.enter(session)
        self.registry.enter(session, user)

    def watch(self, session: Session) -> None:
        """The session was told how it is pinged: clients answer no ping that comes before."""
        self.timers.watch(session)

    def leave(self, session: Session) -> None:
        """Forget a session that ended."""
        self.timers.remove(session)
        for subscription in session.subscriptions.values():
            self.left(subscription)
        session.subscriptions.clear()
        self.registry.remove(session)

    def disconnected(self, closing: Closing) -> None:
        self.disconnects[closing.code] += 1

    def failed(self) -> None:
        self.failures += 1

    def order(self, order: Order) -> int:
        """Have something done in every process; return to how many connections in this one."""
        self.fanout.tell(order)
        return self._control.obey(order)

    def disconnect_user(self, user: UUID, closing: Closing) -> int:
        """Close the sockets of a user in this process, and return how many there were."""
        sessions = self.registry.of(user)
        for session in sessions:
            session.close(closing)
        return len(sessions)

    def disconnect_token(self, token: str) -> None:
        """End what was opened with a token, named as in User.token: sockets, subscriptions."""
        for session in tuple(self.registry.sessions.values()):
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
        self.fanout.tell(Published(channel, Raw(told), Raw(info) if info else NOBODY))

    def entered(self, subscription: Subscription) -> None:
        """Tell the others who is there now, where the channel is one to know that of."""
        self._presence.entered(subscription)

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
        if lane.subscriptions.get(subscription.key) is not subscription:
            return
        del lane.subscriptions[subscription.key]
        if not lane.subscriptions:
            lane.end()
            if self.lanes.get(lane.channel) is lane:
                del self.lanes[lane.channel]
                self._followed[lane.channel.partition(":")[0]].discard(lane.channel)
                self._audience.unfollow(lane.channel)
        self._presence.left(subscription)

    def hear(self, word: Word) -> None:
        """Do what another process tells."""
        match word:
            case Published(channel, data, info):
                by = None if info == NOBODY else bytes(info)
                in_bytes = self.families.binary(channel)
                told = msgspec.json.decode(data, type=bytes) if in_bytes else bytes(data)
                self.deliver([Publication(channel, 0, told, by)])
            case Came() | Went():
                self._presence.hear(word)
            case Said(self.node, secret, commands):
                if (session := self.registry.find(secret)) is not None:
                    session.receive(commands)
            case Said():
                pass  # for another process
            case _:
                self._control.obey(word)

    def subscribed(self, family: str) -> list[str]:
        """Return the channels of a family that somebody follows in this process."""
        return list(self._followed.get(family, ()))

    async def present(self, channel: str) -> dict[str, ClientInfo]:
        """Return who follows a channel, by client."""
        return await self._presence.present(channel)

    async def _missed(self, channel: str, since: Position) -> Sequence[Publication] | None:
        retention = self.families.retention(channel)
        if retention is None:
            return []
        _, missed = await self.channels.recover(channel, since, retention, MOST_RECOVERED)
        return missed

    # -- who and until when -----------------------------------------------------------------------

    def ttl(self, expires: float | None) -> int:
        """Return in how many seconds something expires: at least one, or 0 for never.

        At most `LONGEST_TTL_S`: a client then asks for a refresh early, which costs nothing.
        """
        if expires is None:
            return 0
        left = ceil(expires - self._clock.now().timestamp())
        return min(max(1, left), LONGEST_TTL_S)
