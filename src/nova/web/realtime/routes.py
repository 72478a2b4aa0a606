"""What the host app's backend may do with channels and open sockets."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from nova.kernel.errors import Invalid, NotFound
from nova.kernel.text import Count, Name
from nova.ports.channels import Page, Position, Unrecoverable
from nova.web.actors import Rule
from nova.web.realtime.codes import Failed
from nova.web.realtime.families import Rules
from nova.web.realtime.hub import Hub
from nova.web.realtime.messages import ClientInfo
from nova.web.routes import Call, Route

MOST_BYTES = 65_536


class NoSuchChannel(NotFound):
    """The channel is of no namespace that is configured."""

    code = "unknown_channel"
    hint = "Add the namespace to `namespaces` in nova.toml; features' channels are their own."


class NotKept(Invalid):
    """The channel's namespace keeps no history or presence."""

    code = "not_kept"
    hint = "Set `history_size` and `history_ttl_s`, or `presence`, for its namespace."


class ToPublish(Struct, frozen=True, forbid_unknown_fields=True):
    """A message for everybody who follows the channel."""

    data: Raw
    """What subscribers get: any JSON."""
    idempotency_key: Name | None = None
    """Publishes once within five minutes; for channels with a history."""


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


class Disconnecting(Struct, frozen=True, forbid_unknown_fields=True):
    """How to end a user's sockets."""

    reconnect: bool = False
    """Whether the clients are to come back."""


class Disconnected(Struct, frozen=True):
    """How many sockets were closed in the process that answered; others close theirs, too."""

    sockets: int
    """How many were closed."""


class Channels:
    """Answers the routes over the hub."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def publish(self, call: Call[ToPublish, None]) -> Published:
        channel = call.path["channel"]
        rules = self._rules(channel)
        data = bytes(call.body.data)
        if rules.retention is None:
            await self._hub.publish(channel, data)
            return Published()
        position = await self._hub.channels.publish(channel, data, key=call.body.idempotency_key)
        return Published(position.epoch, position.offset)

    async def history(self, call: Call[None, HistoryQuery]) -> History:
        channel, query = call.path["channel"], call.query
        retention = self._rules(channel).retention
        if retention is None:
            raise NotKept
        since = Position(query.epoch, query.offset) if query.epoch else None
        try:
            page: Page = await self._hub.channels.history(
                channel, retention, limit=query.limit, since=since, reverse=query.reverse
            )
        except Unrecoverable as gone:
            raise Invalid("The epoch is not the channel's; its history began anew.") from gone
        kept = [Kept(each.offset, Raw(each.data)) for each in page.publications]
        return History(page.position.epoch, page.position.offset, kept)

    async def presence(self, call: Call[None, None]) -> Present:
        channel = call.path["channel"]
        if not self._rules(channel).presence:
            raise NotKept
        return Present(await self._hub.present(channel))

    async def disconnect(self, call: Call[Disconnecting, None]) -> Disconnected:
        if call.user is None:
            raise NotFound
        return Disconnected(self._hub.send_away(call.user, returns=call.body.reconnect))

    def _rules(self, channel: str) -> Rules:
        try:
            rules = self._hub.families.rules(channel)
        except Failed as failed:
            raise NoSuchChannel from failed
        if rules.may_subscribe is not None:
            raise NoSuchChannel("The channel belongs to a feature of Nova.")
        return rules


def routes(hub: Hub) -> Sequence[Route]:
    channels = Channels(hub)
    server: dict[str, Any] = {"rule": Rule.SERVER}
    return [
        Route(
            method="POST",
            path="/v1/channels/{channel}/publications",
            handler=channels.publish,
            summary="Publish to a channel of the app's own",
            body=ToPublish,
            returns=Published,
            max_body=MOST_BYTES,
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
    ]
