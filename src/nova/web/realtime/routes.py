"""What the host app's backend may do with channels and open sockets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from nova.kernel.errors import Invalid, Refused, problem_of
from nova.kernel.text import NO_NUL, Count, Name, NameOrNone
from nova.ports.channels import Page, Position, Unrecoverable
from nova.ports.fanout import Refreshed, SentAway, Unsubscribed
from nova.web.actors import Rule
from nova.web.intake import BadItem
from nova.web.realtime import codes, server_api
from nova.web.realtime.codecs import as_json
from nova.web.realtime.hub import Hub
from nova.web.realtime.messages import ClientInfo
from nova.web.realtime.publishing import MOST, MOST_BYTES, Message, Publisher, message
from nova.web.routes import Call, Route


class NotKept(Invalid):
    """The channel's namespace keeps no history or presence."""

    code = "not_kept"
    hint = "Set `history_size` and `history_ttl_s`, or `presence`, for its namespace."


Base64 = Annotated[str, Meta(max_length=4 * (MOST_BYTES // 3 + 1))]


class ToPublish(Struct, frozen=True, forbid_unknown_fields=True):
    """A message for everybody who follows the channel."""

    data: Raw | UnsetType = UNSET
    """What subscribers get: any JSON."""
    b64data: Base64 = ""
    """The same in base64, in place of `data`: where the namespace is `binary`, any bytes."""
    idempotency_key: Name | None = None
    """Publishes once within five minutes; for channels with a history."""


ChannelName = Annotated[str, Meta(min_length=1, max_length=255), NO_NUL]


class BatchItem(ToPublish, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message for one channel."""

    channel: ChannelName
    """Where it goes: a channel of the app's own."""


class ManyToPublish(Struct, forbid_unknown_fields=True):
    """Messages for any number of channels, in the order in which each channel gets its own."""

    publications: Annotated[list[BatchItem], Meta(min_length=1, max_length=MOST)]
    """1 to 1,000 messages."""


class BatchPublished(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one message."""

    index: int
    """Its place in the request, from 0."""
    channel: str | None
    """Where it went, or was to go."""
    status: Literal["published", "refused"]
    """What was done."""
    epoch: str | UnsetType = UNSET
    """Names the channel's history; absent for channels without one."""
    offset: int | UnsetType = UNSET
    """The position in it; absent for channels without one."""
    problem: Mapping[str, Any] | None = None
    """Of a message that was refused: status, code, detail, hint, and where in the item (`at`)."""


class ManyPublished(Struct, frozen=True):
    """What became of each message, in their order."""

    results: list[BatchPublished]
    """One result for each message, in the order of the request."""


class Published(Struct, frozen=True, omit_defaults=True):
    """Where the publication stands in the channel's history, if it has one."""

    epoch: str | UnsetType = UNSET
    """Names the channel's history; absent for channels without one."""
    offset: int | UnsetType = UNSET
    """The position in it; absent for channels without one."""


class HistoryQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Which part of a channel's history."""

    limit: Annotated[int, Meta(ge=0, le=1000)] = 100
    epoch: Name | None = None
    """The history that `offset` belongs to; another one is a conflict."""
    offset: Count = 0
    """The position after which to begin."""
    reverse: bool = False
    """Whether the newest come first."""


class Kept(Struct, frozen=True):
    """One publication of a channel's history."""

    offset: int
    """The position."""
    data: Raw
    """What was published."""


class History(Struct, frozen=True):
    """A part of a channel's history, and where the channel stands."""

    epoch: str
    """Names the history; another one means that positions of before are void."""
    offset: int
    """The newest position."""
    publications: list[Kept]
    """What is kept, in the order that was asked for."""


class Present(Struct, frozen=True):
    """Who follows the channel, by client."""

    presence: dict[str, ClientInfo]
    """By client id, who is there."""


MOST_REASON = 123
Reason = Annotated[str, Meta(max_length=123), NO_NUL]
DisconnectCode = Annotated[int, Meta(ge=3000, le=4999)]
UnsubscribeCode = Annotated[int, Meta(ge=2000, le=2999)]


class Disconnecting(Struct, frozen=True, forbid_unknown_fields=True):
    """How to end a user's sockets."""

    reconnect: bool = False
    """Whether the clients reconnect, if no code is given."""
    code: DisconnectCode | None = None
    """The close code. Clients reconnect after 3000 to 3499 and 4000 to 4499, and do not reconnect
    after the others. Those from 4000 on are yours; 3000 sends no close frame and no reason."""
    reason: Reason = ""
    """The same in words: up to 123 bytes of UTF-8; only with a code."""
    client: NameOrNone = ""
    """The one connection that is meant; all of the user's without it."""
    spare: Annotated[list[Name], Meta(max_length=100)] = []
    """Connections that are not meant."""


class Disconnected(Struct, frozen=True):
    """How many sockets were closed in the process that answered; others close theirs, too."""

    sockets: int
    """How many were closed."""


class Unsubscribing(Struct, frozen=True, forbid_unknown_fields=True):
    """Which channel a user is to be taken out of."""

    channel: ChannelName
    """A channel of the app's own."""
    code: UnsubscribeCode = codes.UNSUBSCRIBED
    """What the clients learn: they subscribe again by themselves from 2500 on."""
    reason: Reason = "server unsubscribe"
    """The same in words: up to 123 bytes of UTF-8."""
    client: NameOrNone = ""
    """The one connection that is meant; all of the user's without it."""


class UnsubscribeDone(Struct, frozen=True):
    """How many connections left it in the process that answered; others do the same, too."""

    sockets: int
    """How many left it."""


class Refreshing(Struct, frozen=True, forbid_unknown_fields=True):
    """Until when a user's sockets may stay open."""

    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    """When they end, unless a new token comes; null for never."""
    expired: bool = False
    """Whether the sockets are closed now, and the clients reconnect with a new token."""
    client: NameOrNone = ""
    """The one connection that is meant; all of the user's without it."""


class RefreshDone(Struct, frozen=True):
    """How many sockets were refreshed in the process that answered; others do the same, too."""

    sockets: int
    """How many were refreshed."""


class ReasonTooLong(Invalid):
    """The reason is longer than a close frame holds: 123 bytes of UTF-8 (RFC 6455 5.5)."""

    code = "reason_too_long"


class Channels:
    """Answers the routes over the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._publisher = Publisher(hub)

    async def publish(self, call: Call[ToPublish, None]) -> Published:
        item = _message(call.path["channel"], call.body)
        if isinstance(item, Refused):
            raise item
        [result] = await self._publisher.publish([item])
        if isinstance(result, Refused):
            raise result
        return Published(result.epoch, result.offset) if result else Published()

    async def publish_many(self, call: Call[ManyToPublish, None]) -> ManyPublished:
        items: Sequence[BatchItem | BadItem] = call.body.publications
        results = await self._publisher.publish(
            [
                item.refused if isinstance(item, BadItem) else _message(item.channel, item)
                for item in items
            ]
        )
        return ManyPublished([_told(*each) for each in zip(count(), items, results, strict=False)])

    async def history(self, call: Call[None, HistoryQuery]) -> History:
        channel, query = call.path["channel"], call.query
        rules = self._publisher.rules(channel)
        retention = rules.retention
        if retention is None:
            raise NotKept
        since = Position(query.epoch, query.offset) if query.epoch else None
        try:
            page: Page = await self._hub.channels.history(
                channel, retention, limit=query.limit, since=since, reverse=query.reverse
            )
        except Unrecoverable as gone:
            raise Invalid("The epoch is not the channel's; its history began anew.") from gone
        kept = [
            Kept(each.offset, Raw(as_json(each.data) if rules.binary else each.data))
            for each in page.publications
        ]
        return History(page.position.epoch, page.position.offset, kept)

    async def presence(self, call: Call[None, None]) -> Present:
        channel = call.path["channel"]
        if not self._publisher.rules(channel).presence:
            raise NotKept
        return Present(await self._hub.present(channel))

    async def disconnect(self, call: Call[Disconnecting, None]) -> Disconnected:
        body = call.body
        order = SentAway(
            call.subject(),
            body.reconnect,
            body.code or 0,
            _fitting(body.reason),
            body.client,
            body.spare,
        )
        return Disconnected(self._hub.order(order))

    async def unsubscribe(self, call: Call[Unsubscribing, None]) -> UnsubscribeDone:
        body = call.body
        self._publisher.rules(body.channel)
        order = Unsubscribed(
            call.subject(), body.channel, body.code, _fitting(body.reason), body.client
        )
        return UnsubscribeDone(self._hub.order(order))

    async def refresh(self, call: Call[Refreshing, None]) -> RefreshDone:
        body = call.body
        expires = body.expires_at.timestamp() if body.expires_at else None
        order = Refreshed(call.subject(), body.client, expires, body.expired)
        return RefreshDone(self._hub.order(order))


def _fitting(reason: str) -> str:
    if len(reason.encode()) > MOST_REASON:
        raise ReasonTooLong
    return reason


def _message(channel: str, body: ToPublish) -> Message | Refused:
    try:
        return message(channel, body.data, body.b64data, body.idempotency_key)
    except Refused as wrong:
        return wrong


def _told(
    index: int, item: BatchItem | BadItem, result: Position | Refused | None
) -> BatchPublished:
    channel = item.text("channel") if isinstance(item, BadItem) else item.channel
    if isinstance(result, Refused):
        return BatchPublished(
            index=index, channel=channel, status="refused", problem=problem_of(result)
        )
    return BatchPublished(
        index=index,
        channel=channel,
        status="published",
        epoch=result.epoch if result else UNSET,
        offset=result.offset if result else UNSET,
    )


def routes(hub: Hub) -> Sequence[Route]:
    channels = Channels(hub)
    server: dict[str, Any] = {"rule": Rule.SERVER}
    return [
        *server_api.routes(hub),
        Route(
            method="POST",
            path="/v1/channels/{channel}/publications",
            handler=channels.publish,
            summary="Publish to a channel of the app's own",
            body=ToPublish,
            example={"data": {"text": "Hello"}, "idempotency_key": "hello-1"},
            returns=Published,
            max_body=2 * MOST_BYTES,
            **server,
        ),
        Route(
            method="POST",
            path="/v1/publications",
            handler=channels.publish_many,
            summary="Publish up to 1,000 messages to channels of the app's own",
            description=(
                "Each message has its own result, in order: one that is refused keeps no other "
                "out. Those for channels with a history are stored in one transaction, and are "
                "durable when the answer comes."
            ),
            body=ManyToPublish,
            example={"publications": [{"channel": "room:lobby", "data": {"text": "Hello"}}]},
            each="publications",
            returns=ManyPublished,
            max_body=8 << 20,
            **server,
        ),
        Route(
            method="GET",
            path="/v1/channels/{channel}/history",
            handler=channels.history,
            summary="Read a channel's history",
            query=HistoryQuery,
            returns=History,
            **server,
        ),
        Route(
            method="GET",
            path="/v1/channels/{channel}/presence",
            handler=channels.presence,
            summary="See who follows a channel",
            returns=Present,
            **server,
        ),
        Route(
            method="POST",
            path="/v1/users/{user}/disconnect",
            handler=channels.disconnect,
            summary="Close a user's sockets",
            body=Disconnecting,
            returns=Disconnected,
            **server,
        ),
        Route(
            method="POST",
            path="/v1/users/{user}/unsubscribe",
            handler=channels.unsubscribe,
            summary="Take a user out of a channel of the app's own",
            body=Unsubscribing,
            returns=UnsubscribeDone,
            **server,
        ),
        Route(
            method="POST",
            path="/v1/users/{user}/refresh",
            handler=channels.refresh,
            summary="Set until when a user's sockets may stay open",
            body=Refreshing,
            returns=RefreshDone,
            **server,
        ),
    ]
