"""Bodies and answers of Centrifugo's server API, as Nova takes and gives them."""

from typing import Annotated, Generic, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from nova.kernel.text import NO_NUL
from nova.web.realtime.families import LONGEST
from nova.web.realtime.messages import ClientInfo
from nova.web.realtime.publishing import MOST

Wanted = Annotated[str, Meta(max_length=LONGEST), NO_NUL]
Words = Annotated[str, Meta(max_length=1024), NO_NUL]
Whole = Annotated[int, Meta(ge=-(2**53), le=2**53)]
Unsupported = Raw | UnsetType
"""A member that Nova has no use for: refused, unless it says nothing."""
NOTHING = frozenset({b"null", b"{}", b"[]", b'""', b"0", b"false"})
MOST_CHANNELS = 10_000
"""Channels of one answer."""

T = TypeVar("T")


class ServerApiError(Struct, frozen=True):
    """Why a call was refused."""

    code: int
    """The number that clients of this API know."""
    message: str
    """The same in words."""


class ServerApiReply(Struct, Generic[T], frozen=True, omit_defaults=True):
    """The answer to a call: a result or an error; both have status 200."""

    result: T | UnsetType = UNSET
    """What was done, or found."""
    error: ServerApiError | UnsetType = UNSET
    """Why nothing was done."""


class PublishCall(Struct, frozen=True):
    """A message for everybody who follows the channel."""

    channel: Wanted = ""
    """Where it goes."""
    data: Raw | UnsetType = UNSET
    """What subscribers get: any JSON."""
    b64data: Annotated[str, Meta(max_length=1 << 20)] = ""
    """The same in base64, in place of `data`."""
    skip_history: bool = False
    """Whether the channel's history is left alone."""
    idempotency_key: Words = ""
    """Publishes once within five minutes; for channels with a history."""
    tags: Unsupported = UNSET
    """Refused: publications have no tags here."""
    version: Unsupported = UNSET
    """Refused: publications have no versions here."""

    def each(self) -> list["PublishCall"]:
        """Return the message for each channel: here for one."""
        return [self]


class BroadcastCall(Struct, frozen=True):
    """One message for many channels."""

    channels: Annotated[list[Wanted], Meta(max_length=MOST)] = []
    """Where it goes."""
    data: Raw | UnsetType = UNSET
    """What subscribers get: any JSON."""
    b64data: Annotated[str, Meta(max_length=1 << 20)] = ""
    """The same in base64, in place of `data`."""
    skip_history: bool = False
    """Whether the channels' histories are left alone."""
    idempotency_key: Words = ""
    """Publishes once within five minutes and channel; for channels with a history."""
    tags: Unsupported = UNSET
    """Refused: publications have no tags here."""
    version: Unsupported = UNSET
    """Refused: publications have no versions here."""

    def each(self) -> list["PublishCall"]:
        """Return the message for each channel."""
        fields = PublishCall.__struct_fields__[1:]
        more = {name: getattr(self, name) for name in fields}
        return [PublishCall(channel, **more) for channel in self.channels]


class ChannelCall(Struct, frozen=True):
    """Which channel it is about."""

    channel: Wanted = ""
    """The channel's whole name."""


class Since(Struct, frozen=True):
    """A position in a channel's history."""

    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    """The number of a publication."""
    epoch: Words = ""
    """Names the history that the number belongs to."""


class HistoryCall(Struct, frozen=True):
    """Which part of a channel's history."""

    channel: Wanted = ""
    """The channel's whole name."""
    limit: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = 0
    """How many publications at most; 0 shows the position alone, -1 everything that is kept."""
    since: Since | None = None
    """The position after which to begin."""
    reverse: bool = False
    """Whether the newest come first."""


class ChannelsCall(Struct, frozen=True):
    """Which channels."""

    pattern: Wanted = ""
    """Only those of this pattern, where `*` stands for any characters."""


class Closes(Struct, frozen=True):
    """What clients learn when they are disconnected."""

    code: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0
    """3000 to 4999: clients reconnect after 3000 to 3499 and 4000 to 4499. Others are refused."""
    reason: Words = ""
    """The same in words: up to 123 bytes of UTF-8."""


class DisconnectCall(Struct, frozen=True):
    """Whose connections are to be closed."""

    user: Words = ""
    """Either id of the user."""
    client: Words = ""
    """The one connection that is meant; all of the user's without it."""
    whitelist: Annotated[list[Words], Meta(max_length=100)] = []
    """Connections that are not meant."""
    disconnect: Closes | None = None
    """What the clients learn; without it, that they are to stay away."""
    session: Unsupported = UNSET
    """Refused: a session's name is a secret of its client here."""


class UnsubscribeCall(Struct, frozen=True):
    """Who is to be taken out of which channel."""

    user: Words = ""
    """Either id of the user."""
    channel: Wanted = ""
    """The channel's whole name."""
    client: Words = ""
    """The one connection that is meant; all of the user's without it."""
    session: Unsupported = UNSET
    """Refused: a session's name is a secret of its client here."""


class SubscribeCall(Struct, frozen=True):
    """Whose connections are to be put into which channel."""

    user: Words = ""
    """Either id of the user."""
    channel: Wanted = ""
    """The channel's whole name."""
    client: Words = ""
    """The one connection that is meant; all of the user's without it."""
    info: Raw | UnsetType = UNSET
    """Shown with the connection in presence: any JSON."""
    data: Raw | UnsetType = UNSET
    """What the client gets with the subscription: any JSON."""
    expire_at: Whole = 0
    """When the subscription ends, in seconds since 1970; 0 for never."""
    session: Unsupported = UNSET
    """Refused: a session's name is a secret of its client here."""
    recover_since: Unsupported = UNSET
    """Refused."""
    override: Unsupported = UNSET
    """Refused: the namespace decides."""


class RefreshCall(Struct, frozen=True):
    """Until when a user's connections may stay open."""

    user: Words = ""
    """Either id of the user."""
    client: Words = ""
    """The one connection that is meant; all of the user's without it."""
    expired: bool = False
    """Whether the sockets are closed now, and the clients reconnect with a new token."""
    expire_at: Whole = 0
    """When they end, in seconds since 1970; 0 for never."""
    session: Unsupported = UNSET
    """Refused: a session's name is a secret of its client here."""


class PublishDone(Struct, frozen=True, omit_defaults=True):
    """Where the publication stands in the channel's history, if it has one."""

    offset: int = 0
    """The position; absent without a history."""
    epoch: str = ""
    """Names the history; absent without one."""


class BroadcastDone(Struct, frozen=True):
    """What became of the message in each channel."""

    responses: list[ServerApiReply[PublishDone]]
    """One for each channel, in order."""


class PresenceFound(Struct, frozen=True):
    """Who follows the channel."""

    presence: dict[str, ClientInfo]
    """By client id, who is there."""


class PresenceStatsFound(Struct, frozen=True):
    """How many follow the channel."""

    num_clients: int
    """Connections."""
    num_users: int
    """Different users."""


class HistoryItem(Struct, frozen=True, omit_defaults=True):
    """One publication of a channel's history."""

    data: Raw
    """What was published."""
    offset: int
    """Its position."""
    info: ClientInfo | UnsetType = UNSET
    """Who published it, if that was a client."""


class HistoryFound(Struct, frozen=True):
    """A part of a channel's history, and where the channel stands."""

    publications: list[HistoryItem]
    """What is kept, in the order that was asked for."""
    epoch: str
    """Names the history."""
    offset: int
    """The newest position."""


class NodeFound(Struct, frozen=True):
    """The process that answers."""

    uid: str
    """Names the process, as clients learn it."""
    name: str
    """The same."""
    version: str
    """Nova's."""
    num_clients: int
    """Open connections."""
    num_users: int
    """Different users."""
    num_subs: int
    """Subscriptions."""
    num_channels: int
    """Channels with a subscriber."""
    uptime: int
    """Seconds since the process began."""


class InfoFound(Struct, frozen=True):
    """The process that answers; of others it does not know this."""

    nodes: list[NodeFound]
    """One process."""


class ChannelFound(Struct, frozen=True):
    """A channel that somebody follows."""

    num_clients: int
    """Subscribers in the process that answers."""


class ChannelsFound(Struct, frozen=True):
    """Channels of the app's own that somebody follows, in the process that answers."""

    channels: dict[str, ChannelFound]
    """By channel; of more than 10,000, some."""


class NothingFound(Struct, frozen=True):
    """It was done."""


class NoCall(Struct, frozen=True):
    """A call that needs no more than its name."""


class BatchCommand(Struct, frozen=True):
    """One call; one of the members is set."""

    publish: PublishCall | UnsetType = UNSET
    """See `/api/publish`."""
    broadcast: BroadcastCall | UnsetType = UNSET
    """See `/api/broadcast`."""
    subscribe: SubscribeCall | UnsetType = UNSET
    """See `/api/subscribe`."""
    unsubscribe: UnsubscribeCall | UnsetType = UNSET
    """See `/api/unsubscribe`."""
    disconnect: DisconnectCall | UnsetType = UNSET
    """See `/api/disconnect`."""
    refresh: RefreshCall | UnsetType = UNSET
    """See `/api/refresh`."""
    presence: ChannelCall | UnsetType = UNSET
    """See `/api/presence`."""
    presence_stats: ChannelCall | UnsetType = UNSET
    """See `/api/presence_stats`."""
    history: HistoryCall | UnsetType = UNSET
    """See `/api/history`."""
    history_remove: ChannelCall | UnsetType = UNSET
    """See `/api/history_remove`."""
    info: NoCall | UnsetType = UNSET
    """See `/api/info`."""
    channels: ChannelsCall | UnsetType = UNSET
    """See `/api/channels`."""


class BatchCall(Struct):
    """Calls that are made one after the other."""

    commands: Annotated[list[BatchCommand], Meta(max_length=MOST)] = []
    """Up to 1,000 calls."""
    parallel: bool = False
    """Without meaning here: the order is always kept."""


class BatchReply(Struct, frozen=True, omit_defaults=True):
    """What one call was answered: under its name, or an error."""

    publish: PublishDone | UnsetType = UNSET
    """See `/api/publish`."""
    broadcast: BroadcastDone | UnsetType = UNSET
    """See `/api/broadcast`."""
    subscribe: NothingFound | UnsetType = UNSET
    """See `/api/subscribe`."""
    unsubscribe: NothingFound | UnsetType = UNSET
    """See `/api/unsubscribe`."""
    disconnect: NothingFound | UnsetType = UNSET
    """See `/api/disconnect`."""
    refresh: NothingFound | UnsetType = UNSET
    """See `/api/refresh`."""
    presence: PresenceFound | UnsetType = UNSET
    """See `/api/presence`."""
    presence_stats: PresenceStatsFound | UnsetType = UNSET
    """See `/api/presence_stats`."""
    history: HistoryFound | UnsetType = UNSET
    """See `/api/history`."""
    history_remove: NothingFound | UnsetType = UNSET
    """See `/api/history_remove`."""
    info: InfoFound | UnsetType = UNSET
    """See `/api/info`."""
    channels: ChannelsFound | UnsetType = UNSET
    """See `/api/channels`."""
    error: ServerApiError | UnsetType = UNSET
    """Why nothing was done."""


class BatchDone(Struct, frozen=True):
    """What each call was answered."""

    replies: list[BatchReply]
    """One for each call, in order."""
