"""The HTTP form of Centrifugo's server API: `/api/publish` and others, under a server key.

Backends that are written for Centrifugo (v5, v6) call it with their own client. Members that Nova
does not know are ignored, as there. Source: https://centrifugal.dev/docs/server/server_api
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, Raw, UnsetType

from nova import __version__
from nova.kernel.errors import Refused
from nova.ports.channels import Position, Unrecoverable
from nova.ports.fanout import Refreshed, SentAway, Subscribed, Unsubscribed
from nova.web.actors import Rule
from nova.web.intake import BadItem
from nova.web.realtime import codes
from nova.web.realtime import server_api_calls as calls
from nova.web.realtime.codecs import as_json, one_line
from nova.web.realtime.codes import Failed
from nova.web.realtime.families import Rules
from nova.web.realtime.hub import Hub
from nova.web.realtime.messages import ClientInfo, Error
from nova.web.realtime.publishing import (
    Message,
    MessageTooLarge,
    NoSuchChannel,
    Publisher,
    message,
)
from nova.web.routes import Call, Route

OfUser = calls.DisconnectCall | calls.UnsubscribeCall | calls.SubscribeCall | calls.RefreshCall
FIRST_CODE, LAST_CODE = 3000, 4999
MOST_REASON = 123
"""Bytes of UTF-8 (RFC 6455 5.5)."""
NOTHING = Raw(b"null")


class ServerApi:
    """Answers each call; what it refuses are `Failed`, with the numbers that clients know."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._publisher = Publisher(hub)

    async def publish(self, call: calls.PublishCall) -> calls.PublishDone:
        [result] = await self._publish([call])
        if isinstance(result, Error):
            raise Failed(result)
        return result

    async def broadcast(self, call: calls.BroadcastCall) -> calls.BroadcastDone:
        if not call.channels:
            raise Failed(codes.BAD_REQUEST)
        return _broadcast(await self._publish(call.each()))

    async def presence(self, call: calls.ChannelCall) -> calls.PresenceFound:
        return calls.PresenceFound(await self._present(call.channel))

    async def presence_stats(self, call: calls.ChannelCall) -> calls.PresenceStatsFound:
        clients = (await self._present(call.channel)).values()
        return calls.PresenceStatsFound(len(clients), len({each.user for each in clients}))

    async def history(self, call: calls.HistoryCall) -> calls.HistoryFound:
        rules = self._rules(call.channel)
        retention = rules.retention
        if retention is None:
            raise Failed(codes.NOT_AVAILABLE)
        since = call.since and Position(call.since.epoch, call.since.offset)
        try:
            page = await self._hub.channels.history(
                call.channel,
                retention,
                limit=retention.size if call.limit < 0 else min(call.limit, retention.size),
                since=since or None,
                reverse=call.reverse,
            )
        except Unrecoverable as gone:
            raise Failed(codes.UNRECOVERABLE) from gone
        kept = [
            calls.HistoryItem(
                Raw(as_json(each.data) if rules.binary else each.data),
                each.offset,
                msgspec.json.decode(each.info, type=ClientInfo) if each.info else UNSET,
            )
            for each in page.publications
        ]
        return calls.HistoryFound(kept, page.position.epoch, page.position.offset)

    async def history_remove(self, call: calls.ChannelCall) -> calls.NothingFound:
        if self._rules(call.channel).retention is None:
            raise Failed(codes.NOT_AVAILABLE)
        await self._hub.channels.forget(call.channel)
        return calls.NothingFound()

    async def disconnect(self, call: calls.DisconnectCall) -> calls.NothingFound:
        told = call.disconnect or calls.Closes()
        is_known = not told.code or FIRST_CODE <= told.code <= LAST_CODE
        if not is_known or len(told.reason.encode()) > MOST_REASON:
            raise Failed(codes.BAD_REQUEST)
        if user := await self._user(call):
            self._hub.order(
                SentAway(user, False, told.code, told.reason, call.client, call.whitelist)
            )
        return calls.NothingFound()

    async def unsubscribe(self, call: calls.UnsubscribeCall) -> calls.NothingFound:
        self._rules(call.channel)
        if user := await self._user(call):
            code, reason = codes.UNSUBSCRIBED, "server unsubscribe"
            self._hub.order(Unsubscribed(user, call.channel, code, reason, call.client))
        return calls.NothingFound()

    async def subscribe(self, call: calls.SubscribeCall) -> calls.NothingFound:
        self._rules(call.channel)
        if not (_says_nothing(call.recover_since) and _says_nothing(call.override)):
            raise Failed(codes.NOT_AVAILABLE)
        if user := await self._user(call):
            expires = float(call.expire_at) if call.expire_at else None
            info, data = _line(call.info), _line(call.data)
            self._hub.order(Subscribed(user, call.channel, call.client, expires, info, data))
        return calls.NothingFound()

    async def refresh(self, call: calls.RefreshCall) -> calls.NothingFound:
        if user := await self._user(call):
            expires = float(call.expire_at) if call.expire_at else None
            self._hub.order(Refreshed(user, call.client, expires, call.expired))
        return calls.NothingFound()

    async def _user(self, call: OfUser) -> UUID | None:
        """Return whom a call is about; nobody, when Nova knows no such user: nothing is open."""
        if not call.user or "\0" in call.user:
            raise Failed(codes.BAD_REQUEST)
        if not _says_nothing(call.session):
            raise Failed(codes.NOT_AVAILABLE)
        return await self._hub.authenticator.resolve(call.user)

    async def info(self, _call: calls.NoCall) -> calls.InfoFound:
        hub = self._hub
        return calls.InfoFound(
            [
                calls.NodeFound(
                    uid=hub.node,
                    name=hub.node,
                    version=__version__,
                    num_clients=hub.sessions,
                    num_users=len(hub.registry.users),
                    num_subs=sum(len(each.subscriptions) for each in hub.lanes.values()),
                    num_channels=hub.followed,
                    uptime=hub.uptime,
                )
            ]
        )

    async def channels(self, call: calls.ChannelsCall) -> calls.ChannelsFound:
        found: dict[str, calls.ChannelFound] = {}
        for channel, lane in self._hub.lanes.items():
            is_own = self._hub.families.rules(channel).may_subscribe is None
            if is_own and (not call.pattern or fnmatchcase(channel, call.pattern)):
                found[channel] = calls.ChannelFound(len(lane.subscriptions))
            if len(found) >= calls.MOST_CHANNELS:
                break
        return calls.ChannelsFound(found)

    async def batch(self, commands: Sequence[calls.BatchCommand | BadItem]) -> calls.BatchDone:
        """Answer many calls in order; those in a row that publish do so together."""
        replies: list[calls.BatchReply] = []
        publishing: list[tuple[str, calls.BroadcastCall | calls.PublishCall]] = []
        for command in commands:
            name, call = _named(command)
            if isinstance(call, calls.PublishCall | calls.BroadcastCall):
                publishing.append((name, call))
                continue
            replies += await self._published(publishing)
            publishing.clear()
            replies.append(await self._reply(name, call))
        replies += await self._published(publishing)
        return calls.BatchDone(replies)

    async def _reply(self, name: str, call: Any) -> calls.BatchReply:
        if not name:
            return calls.BatchReply(error=_error(codes.BAD_REQUEST))
        try:
            return calls.BatchReply(**{name: await getattr(self, name)(call)})
        except Failed as failed:
            return calls.BatchReply(error=_error(failed.error))

    async def _published(
        self, publishing: Sequence[tuple[str, calls.BroadcastCall | calls.PublishCall]]
    ) -> list[calls.BatchReply]:
        """Publish what stands in a row of a batch; return the reply to each call."""
        each = [call.each() for _, call in publishing]
        results = iter(await self._publish([one for all_ in each for one in all_]))
        replies: list[calls.BatchReply] = []
        for (name, _), messages in zip(publishing, each, strict=True):
            done = [next(results) for _ in messages]
            if name == "broadcast":
                reply = (
                    calls.BatchReply(broadcast=_broadcast(done))
                    if done
                    else calls.BatchReply(error=_error(codes.BAD_REQUEST))
                )
            elif isinstance(done[0], Error):
                reply = calls.BatchReply(error=_error(done[0]))
            else:
                reply = calls.BatchReply(publish=done[0])
            replies.append(reply)
        return replies

    async def _publish(
        self, messages: Sequence[calls.PublishCall]
    ) -> list[calls.PublishDone | Error]:
        items = [_message(each) for each in messages]
        good = [each for each in items if isinstance(each, Message)]
        results = iter(await self._publisher.publish(good) if good else ())
        return [each if isinstance(each, Error) else _done(next(results)) for each in items]

    async def _present(self, channel: str) -> dict[str, ClientInfo]:
        if not self._rules(channel).presence:
            raise Failed(codes.NOT_AVAILABLE)
        return await self._hub.present(channel)

    def _rules(self, channel: str) -> Rules:
        if not channel:
            raise Failed(codes.BAD_REQUEST)
        try:
            return self._publisher.rules(channel)
        except NoSuchChannel as missing:
            raise Failed(codes.UNKNOWN_CHANNEL) from missing


def _named(command: calls.BatchCommand | BadItem) -> tuple[str, Any]:
    """Return the name of a batch's call and what it says; no name if it is none."""
    if isinstance(command, BadItem):
        return "", None
    for name in command.__struct_fields__:
        if (call := getattr(command, name)) is not UNSET:
            return name, call
    return "", None


def _message(call: calls.PublishCall) -> Message | Error:
    if not call.channel:
        return codes.BAD_REQUEST
    if not (_says_nothing(call.tags) and _says_nothing(call.version)):
        return codes.NOT_AVAILABLE
    try:
        return message(
            call.channel,
            call.data,
            call.b64data,
            call.idempotency_key or None,
            skips_history=call.skip_history,
        )
    except Refused:
        return codes.BAD_REQUEST


def _line(member: Raw | UnsetType) -> Raw:
    return NOTHING if isinstance(member, UnsetType) else Raw(one_line(bytes(member)))


def _says_nothing(member: calls.Unsupported) -> bool:
    return isinstance(member, UnsetType) or bytes(member) in calls.NOTHING


def _done(result: Position | Refused | None) -> calls.PublishDone | Error:
    match result:
        case NoSuchChannel():
            return codes.UNKNOWN_CHANNEL
        case MessageTooLarge():
            return codes.LIMIT_EXCEEDED
        case Refused():
            return codes.BAD_REQUEST
        case None:
            return calls.PublishDone()
    return calls.PublishDone(result.offset, result.epoch)


def _broadcast(results: Sequence[calls.PublishDone | Error]) -> calls.BroadcastDone:
    return calls.BroadcastDone(
        [
            calls.ServerApiReply(error=_error(each))
            if isinstance(each, Error)
            else calls.ServerApiReply(result=each)
            for each in results
        ]
    )


def _error(error: Error) -> calls.ServerApiError:
    return calls.ServerApiError(error.code, error.message)


class Operation(NamedTuple):
    """A call as a route."""

    summary: str
    body: Any
    returns: Any


OPERATIONS: Mapping[str, Operation] = {
    "publish": Operation(
        "Publish to a channel", calls.PublishCall, calls.ServerApiReply[calls.PublishDone]
    ),
    "broadcast": Operation(
        "Publish one message to many channels",
        calls.BroadcastCall,
        calls.ServerApiReply[calls.BroadcastDone],
    ),
    "subscribe": Operation(
        "Put a user's connections into a channel",
        calls.SubscribeCall,
        calls.ServerApiReply[calls.NothingFound],
    ),
    "unsubscribe": Operation(
        "Take a user out of a channel",
        calls.UnsubscribeCall,
        calls.ServerApiReply[calls.NothingFound],
    ),
    "disconnect": Operation(
        "Close a user's connections",
        calls.DisconnectCall,
        calls.ServerApiReply[calls.NothingFound],
    ),
    "refresh": Operation(
        "Set until when a user's connections may stay open",
        calls.RefreshCall,
        calls.ServerApiReply[calls.NothingFound],
    ),
    "presence": Operation(
        "See who follows a channel", calls.ChannelCall, calls.ServerApiReply[calls.PresenceFound]
    ),
    "presence_stats": Operation(
        "Count who follows a channel",
        calls.ChannelCall,
        calls.ServerApiReply[calls.PresenceStatsFound],
    ),
    "history": Operation(
        "Read a channel's history", calls.HistoryCall, calls.ServerApiReply[calls.HistoryFound]
    ),
    "history_remove": Operation(
        "Remove a channel's history", calls.ChannelCall, calls.ServerApiReply[calls.NothingFound]
    ),
    "info": Operation(
        "See what the process holds", calls.NoCall, calls.ServerApiReply[calls.InfoFound]
    ),
    "channels": Operation(
        "List the channels that somebody follows",
        calls.ChannelsCall,
        calls.ServerApiReply[calls.ChannelsFound],
    ),
}


def routes(hub: Hub) -> Sequence[Route]:
    api = ServerApi(hub)
    made = [_route(api, name, operation) for name, operation in OPERATIONS.items()]

    async def batch(call: Call[calls.BatchCall, None]) -> calls.BatchDone:
        return await api.batch(call.body.commands)

    return [
        *made,
        Route(
            method="POST",
            path="/api/batch",
            rule=Rule.SERVER,
            handler=batch,
            summary="Make many calls in one request (Centrifugo)",
            body=calls.BatchCall,
            each="commands",
            returns=calls.BatchDone,
            max_body=8 << 20,
        ),
    ]


def _route(api: ServerApi, name: str, operation: Operation) -> Route:
    answer: Callable[[Any], Awaitable[Any]] = getattr(api, name)

    async def handler(call: Call[Any, None]) -> calls.ServerApiReply[Any]:
        try:
            return calls.ServerApiReply(result=await answer(call.body))
        except Failed as failed:
            return calls.ServerApiReply(error=_error(failed.error))

    return Route(
        method="POST",
        path=f"/api/{name}",
        rule=Rule.SERVER,
        handler=handler,
        summary=f"{operation.summary} (Centrifugo)",
        body=operation.body,
        returns=operation.returns,
    )
