"""What commands ask of the client that sent them, and of the hub that it is connected to."""

from collections.abc import Callable, Mapping
from typing import Protocol

from nova.ports.channels import Channels, Position
from nova.web.actors import Authenticator, User
from nova.web.limits import Limiter
from nova.web.realtime.families import Families, Method
from nova.web.realtime.lanes import Follower, Lane, Subscription
from nova.web.realtime.messages import ClientInfo
from nova.web.realtime.socket_limits import Limits
from nova.web.realtime.tickets import OpenedTickets
from nova.web.routes import Limit


class Home(Protocol):
    """The hub, as far as commands and orders need it."""

    channels: Channels
    families: Families
    methods: Mapping[str, Method]
    authenticator: Authenticator
    tickets: OpenedTickets
    limits: Limits
    limiter: Limiter
    budget: Limit
    node: str
    ping_s: int

    def crowds(self, user: User) -> bool: ...

    def ttl(self, expires: float | None) -> int: ...

    def failed(self) -> None: ...

    def lane(self, channel: str) -> Lane: ...

    def left(self, subscription: Subscription) -> None: ...

    def entered(self, subscription: Subscription) -> None: ...

    async def heard(self, channel: str) -> None: ...

    async def publish(
        self, channel: str, data: bytes, info: bytes | None = None
    ) -> Position | None: ...

    async def present(self, channel: str) -> dict[str, ClientInfo]: ...


class Client(Follower, Protocol):
    """A connection whose commands are answered (nova.web.realtime.session.Session)."""

    secret: str
    user: User | None
    released: list[Callable[[], None]] | None
    """What is to be done once the answer to the present command is out."""

    @property
    def hub(self) -> Home: ...

    def alive(self) -> None:
        """Raise Ended if the client went away while it was being answered."""

    def admitted(self, user: User) -> None:
        """Tell that the client has said who it is."""

    def begin_pings(self) -> None:
        """Ping from now on: the client was told how."""

    def join(self, channel: str, *, server_side: bool, name: str = "") -> Subscription: ...

    def leave(self, channel: str) -> bool: ...
