"""A real server with sockets, and little else."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from nova.kernel.clock import Clock, SystemClock
from nova.kernel.errors import Unauthenticated
from nova.ports.channels import Channels
from nova.ports.fanout import Presence
from nova.web.actors import Authenticator
from nova.web.api import Api, Elsewhere
from nova.web.auth import Subscription
from nova.web.clients import Clients
from nova.web.connections import Guard
from nova.web.limits import Budgets
from nova.web.realtime.emulation import emulation
from nova.web.realtime.endpoint import Origins, WebSocketEndpoint
from nova.web.realtime.families import Families, Family, Method, methods
from nova.web.realtime.http_stream import http_stream
from nova.web.realtime.hub import Hub, OtherProcesses
from nova.web.realtime.namespaces import Namespace
from nova.web.realtime.routes import routes
from nova.web.realtime.socket_limits import Limits
from nova.web.realtime.sse import sse
from nova.web.realtime.tickets import Tickets
from nova.web.realtime.websocket import SocketProtocol
from nova.web.routes import Limit
from nova.web.serve import bound, serve
from nova.web.tokens import Tokens

SECRET = "a secret of thirty-two characters"
ROOM = Namespace(
    name="room",
    publish=True,
    presence=True,
    join_leave=True,
    history_size=100,
    history_ttl_s=60,
    recovery=True,
)
OPEN = Namespace(name="open", publish=True)
CLOSED = Namespace(name="closed", subscribe=False)


class Sockets(Struct):
    """A running server."""

    hub: Hub
    host: str
    port: int

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}/connection/websocket"


def make_hub(
    channels: Channels,
    authenticator: Authenticator,
    *,
    families: Sequence[Family] = (),
    namespaces: Sequence[Namespace] = (),
    rpcs: Sequence[Method] = (),
    limits: Limits | None = None,
    ping_s: float = 25.0,
    clock: Clock | None = None,
    tickets: Tickets | None = None,
    budget: Limit | None = None,
    presence: Presence | None = None,
) -> Hub:
    return Hub(
        channels=channels,
        families=Families(families, namespaces),
        methods=methods(rpcs),
        authenticator=authenticator,
        tickets=tickets or SignedTickets(authenticator),
        clock=clock or SystemClock(),
        limits=replace(limits or Limits(), ping_s=ping_s),
        budget=budget or Limit("users", per_s=1e6, burst=10**6),
        others=OtherProcesses(presence=presence) if presence else None,
    )


class SignedTickets:
    """Subscription tokens under SECRET, for the people of an authenticator."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._tokens = Tokens(clock=SystemClock(), secret=SECRET)
        self._authenticator = authenticator

    async def subscription(self, token: str) -> Subscription:
        verified = await self._tokens.subscription(token)
        claims = verified.claims
        user = await self._authenticator.resolve(claims.sub)
        if user is None:
            raise Unauthenticated("The token is nobody's.")
        channel = claims.channel or ""
        return Subscription(user, channel, verified.id, claims.exp, bytes(claims.info))


@asynccontextmanager
async def sockets(
    hub: Hub,
    authenticator: Authenticator,
    origins: Sequence[str] = (),
    port: int = 0,
    guard: Guard | None = None,
) -> AsyncIterator[Sockets]:
    """Serve a hub; on a free port, unless one is given."""
    api = Api(
        routes(hub),
        authenticator=authenticator,
        registry=CollectorRegistry(),
        limiter=hub.limiter,
        budgets=Budgets(users=hub.budget),
        elsewhere=Elsewhere(
            mounts={
                "/connection/websocket": WebSocketEndpoint(hub, Origins(origins), Clients()),
                "/connection/http_stream": http_stream(hub, Origins(origins), Clients()),
                "/connection/sse": sse(hub, Origins(origins), Clients()),
                "/emulation": emulation(hub, Origins(origins), Clients()),
            }
        ),
    )
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    hub.start()
    running = asyncio.create_task(
        serve(
            api,
            listener=bound(port=port),
            protocol=SocketProtocol,
            listening=lambda host, port: address.set_result((host, port)),
            drain=[lambda: hub.drain(0.1)],
            stop=stop,
            guard=guard,
            budget=hub.loop_budget,
            signals=False,
        )
    )
    try:
        yield Sockets(hub, *await address)
    finally:
        stop.set()
        await running
        await hub.stop()
