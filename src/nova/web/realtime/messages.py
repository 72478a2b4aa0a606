"""What clients and server say to each other, in the terms of the Centrifuge client protocol."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

Data = Raw | UnsetType
Channel = str
"""Bounded where it is looked up (families), so that one bad name ends no connection."""
Offset = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, Meta(max_length=255)]
Token = Annotated[str, Meta(max_length=16_384)]


class Message(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Anything that goes over the socket; fields at their default are left out."""


# -- from the client ------------------------------------------------------------------------------


class SubscribeRequest(Message, frozen=True):
    channel: Channel = ""
    token: Token = ""
    recover: bool = False
    epoch: Text = ""
    offset: Offset = 0
    data: Data = UNSET
    positioned: bool = False
    recoverable: bool = False
    join_leave: bool = False
    delta: Text = ""
    flag: Offset = 0


class ConnectRequest(Message, frozen=True):
    token: Token = ""
    data: Data = UNSET
    subs: dict[Channel, SubscribeRequest] = {}
    name: Text = ""
    version: Text = ""


class ChannelRequest(Message, frozen=True):
    """A command about a channel, with nothing to add."""

    channel: Channel = ""


class PublishRequest(Message, frozen=True):
    channel: Channel = ""
    data: Data = UNSET


class StreamPosition(Message, frozen=True):
    offset: Offset = 0
    epoch: Text = ""


class HistoryRequest(Message, frozen=True):
    channel: Channel = ""
    limit: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = 0
    since: StreamPosition | None = None
    reverse: bool = False


class RPCRequest(Message, frozen=True):
    data: Data = UNSET
    method: Text = ""


class SendRequest(Message, frozen=True):
    data: Data = UNSET


class RefreshRequest(Message, frozen=True):
    token: Token = ""


class SubRefreshRequest(Message, frozen=True):
    channel: Channel = ""
    token: Token = ""


class Empty(Message, frozen=True):
    """A command or a result that says it all by being there."""


class Command(Message, frozen=True):
    """One command; one of the fields but `id` is set. With none it answers a ping."""

    id: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: HistoryRequest | None = None
    ping: Empty | None = None
    send: SendRequest | None = None
    rpc: RPCRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None


# -- from the server ------------------------------------------------------------------------------


class Error(Message, frozen=True):
    code: int
    message: str
    temporary: bool = False


class ClientInfo(Message, frozen=True):
    user: str = ""
    """The user's id; empty for strangers."""
    client: str = ""
    """The connection's id."""
    conn_info: Data = UNSET
    """What the connection's token says of it."""
    chan_info: Data = UNSET
    """What the subscription's token says of it."""


class Pub(Message, frozen=True):
    """A publication; `time` is in milliseconds since 1970."""

    data: Raw
    info: ClientInfo | None = None
    offset: int = 0
    delta: bool = False
    time: int = 0


class SubscribeResult(Message, frozen=True):
    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Pub] = []
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    was_recovering: bool = False
    delta: bool = False


class ConnectResult(Message, frozen=True):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0
    subs: dict[str, SubscribeResult] = {}
    ping: int = 0
    pong: bool = False
    session: str = ""
    node: str = ""


class PresenceResult(Message, frozen=True):
    # Always there, because SDKs index into it.
    presence: dict[str, ClientInfo] | UnsetType = UNSET


class PresenceStatsResult(Message, frozen=True):
    num_clients: int | UnsetType = UNSET
    num_users: int | UnsetType = UNSET


class HistoryResult(Message, frozen=True):
    publications: list[Pub] = []
    epoch: str = ""
    offset: int = 0


class RPCResult(Message, frozen=True):
    data: Data = UNSET


class RefreshResult(Message, frozen=True):
    client: str = ""
    version: str = ""
    expires: bool = False
    ttl: int = 0


class SubRefreshResult(Message, frozen=True):
    expires: bool = False
    ttl: int = 0


class About(Message, frozen=True):
    """A join or a leave."""

    info: ClientInfo


class Unsubscribe(Message, frozen=True):
    code: int
    reason: str


class Disconnect(Message, frozen=True):
    code: int
    reason: str
    reconnect: bool = False


class Subscribe(Message, frozen=True):
    recoverable: bool = False
    epoch: str = ""
    offset: int = 0
    positioned: bool = False
    data: Data = UNSET


class Refresh(Message, frozen=True):
    expires: bool = False
    ttl: int = 0


class Push(Message, frozen=True):
    """Something the client did not ask for just now; one of the fields but `channel` is set."""

    channel: str = ""
    pub: Pub | None = None
    join: About | None = None
    leave: About | None = None
    unsubscribe: Unsubscribe | None = None
    subscribe: Subscribe | None = None
    disconnect: Disconnect | None = None
    refresh: Refresh | None = None


class Reply(Message, frozen=True):
    """An answer to the command `id`, or a push; with nothing set it is a ping."""

    id: int = 0
    error: Error | None = None
    push: Push | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: Empty | None = None
    publish: Empty | None = None
    presence: PresenceResult | None = None
    presence_stats: PresenceStatsResult | None = None
    history: HistoryResult | None = None
    ping: Empty | None = None
    rpc: RPCResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: SubRefreshResult | None = None


PING: Any = Reply()
