"""What each command of a client does."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from nova import __version__
from nova.kernel.choices import choices
from nova.kernel.errors import Refused, TooMany, Unauthenticated, Unavailable
from nova.ports.channels import Position, Unrecoverable
from nova.web.access import owner
from nova.web.actors import NOBODY, User
from nova.web.realtime import codes
from nova.web.realtime.client import Client
from nova.web.realtime.codecs import is_json
from nova.web.realtime.codes import Ended, Failed
from nova.web.realtime.families import Rules
from nova.web.realtime.lanes import Subscription
from nova.web.realtime.messages import (
    ChannelRequest,
    ClientInfo,
    ConnectRequest,
    ConnectResult,
    Empty,
    Error,
    HistoryRequest,
    HistoryResult,
    PresenceResult,
    PresenceStatsResult,
    PublishRequest,
    RefreshRequest,
    RefreshResult,
    Reply,
    RPCRequest,
    RPCResult,
    SubRefreshRequest,
    SubRefreshResult,
    SubscribeRequest,
    SubscribeResult,
)
from nova.web.realtime.wires import NO_DELTA
from nova.web.tokens import TokenExpired

MOST_RECOVERED = 10_000  # publications in one reply; longer gaps are not recovered
TEMPORARY = {429, 503}
"""Statuses of refusals after which the same call may work later."""
FOSSIL = "fossil"
"""The only kind of deltas."""
REJECT_UNRECOVERED = 2
"""Flag of a subscription that is to fail when it cannot recover."""
STRANGER = User(NOBODY)
"""Whoever connected without a token, where that is allowed."""
_DONE = Empty()


async def connect(session: Client, request: ConnectRequest) -> ConnectResult:
    if session.user is not None:
        raise Ended(codes.MALFORMED)
    user = await identify(session, request.token)
    session.alive()
    await charge(session, "connect", user)
    session.alive()
    if session.hub.crowds(user):
        raise Ended(codes.CONNECTION_LIMIT)
    channels = session.hub.families.at_connect(user)
    session.admitted(user)
    # Once more, from memory: a revocation that came meanwhile had no socket to close yet.
    await identify(session, request.token)
    subs = {}
    for channel in channels:
        asked = request.subs.get(channel, SubscribeRequest())
        rules = session.hub.families.rules(channel)
        subscription = session.join(channel, server_side=True)
        try:
            subs[channel] = await begin(session, subscription, rules, asked)
        except (Unavailable, Failed) as gone:
            raise Ended(codes.SERVER_ERROR) from gone
    session.released = [*(session.released or ()), session.begin_pings]
    return ConnectResult(
        client=session.id,
        version=f"nova {__version__}",
        expires=user.expires is not None,
        ttl=session.hub.ttl(user.expires),
        subs=subs,
        ping=session.hub.ping_s,
        pong=not session.secret,
        session=session.secret,
        node=session.hub.node,
    )


async def identify(session: Client, token: str) -> User:
    if not token and session.hub.limits.anonymous:
        return STRANGER
    try:
        return await session.hub.authenticator.user(token)
    except TokenExpired as expired:
        raise Failed(codes.TOKEN_EXPIRED) from expired
    except Unauthenticated as wrong:
        raise Ended(codes.INVALID_TOKEN) from wrong


async def refresh(session: Client, user: User, request: RefreshRequest) -> RefreshResult:
    fresh = await identify(session, request.token)
    if fresh.id != user.id:
        raise Ended(codes.INVALID_TOKEN)
    session.user = fresh
    return RefreshResult(
        client=session.id,
        version=f"nova {__version__}",
        expires=fresh.expires is not None,
        ttl=session.hub.ttl(fresh.expires),
    )


async def rpc(session: Client, number: int, user: User, request: RPCRequest) -> Reply:
    data = request.data
    method = session.hub.methods.get(request.method)
    await charge(session, "rpc", user, method.cost if method else 1)
    if user.is_stranger:
        raise Failed(codes.NOT_AVAILABLE)
    if method is None:
        raise Failed(codes.METHOD_NOT_FOUND if session.hub.methods else codes.NOT_AVAILABLE)
    try:
        raw = b"{}" if data is UNSET or not bytes(data) else bytes(data)
        params = msgspec.json.decode(raw, type=method.params)
        result = await method.handler(user, params)
    except msgspec.ValidationError as wrong:
        says = choices(method.params).named(wrong)
        return Reply(id=number, error=Error(code=400, message=says))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        return Reply(id=number, error=Error(code=400, message=str(wrong)))
    except Refused as refused:
        temporary = refused.status in TEMPORARY
        error = Error(code=refused.status, message=refused.detail, temporary=temporary)
        return Reply(id=number, error=error)
    return Reply(id=number, rpc=RPCResult(data=Raw(msgspec.json.encode(result))))


async def subscribe(session: Client, user: User, request: SubscribeRequest) -> SubscribeResult:
    channel = request.channel
    if channel in session.subscriptions:
        raise Failed(codes.ALREADY_SUBSCRIBED)
    if len(session.subscriptions) >= session.hub.limits.subscriptions:
        raise Failed(codes.LIMIT_EXCEEDED)
    meant = session.hub.families.meant(user, channel)
    rules = await session.hub.families.admit(user, meant)
    ticket = None
    if request.token:
        ticket = await session.hub.tickets.open(user, channel, request.token)
    elif not rules.open:
        raise Failed(codes.PERMISSION_DENIED)
    subscription = session.join(meant, server_side=False, name=channel)
    if ticket is not None:
        subscription.permit(ticket)
    result = await begin(session, subscription, rules, request)
    expires = subscription.expires
    return msgspec.structs.replace(
        result, expires=expires is not None, ttl=session.hub.ttl(expires)
    )


async def unsubscribe(session: Client, _user: User, request: ChannelRequest) -> Empty:
    session.leave(request.channel)
    return _DONE


async def begin(
    session: Client, subscription: Subscription, rules: Rules, asked: SubscribeRequest
) -> SubscribeResult:
    """Find where the subscription starts; what arrives meanwhile is held until the answer."""
    try:
        result = await start(session, subscription, rules, asked)
    except BaseException:
        session.leave(subscription.name)
        raise
    entered = partial(session.hub.entered, subscription)
    session.released = [*(session.released or ()), entered, subscription.release]
    return result


async def start(
    session: Client, subscription: Subscription, rules: Rules, asked: SubscribeRequest
) -> SubscribeResult:
    lane = subscription.lane
    await session.hub.heard(lane.channel)  # before its position is read
    takes_deltas = rules.delta and asked.delta == FOSSIL
    if takes_deltas:
        subscription.base = None
    if rules.retention is None:
        return SubscribeResult(delta=takes_deltas)
    channels, missed = session.hub.channels, None
    if asked.recover:
        since = Position(asked.epoch, asked.offset)
        found, missed = await channels.recover(lane.channel, since, rules.retention, MOST_RECOVERED)
        if sum(len(each.data) for each in missed or ()) > session.hub.limits.queue_bytes // 2:
            missed = None  # the answer alone would cut the client off, again and again
        # The lane may be behind what was just read; it leaves out what the answer holds.
        position = lane.begin_at(found) if missed is None else found
        lane.begin_at(found)
        if missed is None and asked.flag & REJECT_UNRECOVERED:
            raise Failed(codes.UNRECOVERABLE)
    else:
        position = await lane.begin(channels.position)
    subscription.offset = position.offset
    wire = session.wire
    if takes_deltas and missed:
        subscription.base = wire.kept(missed[-1], in_bytes=rules.binary)
    # What is missed comes whole: a text of JSON for those who take deltas.
    base = None if takes_deltas else NO_DELTA
    return SubscribeResult(
        recoverable=rules.recovery or asked.recoverable or asked.recover,
        positioned=True,
        epoch=position.epoch,
        offset=position.offset,
        publications=[wire.pub(each, in_bytes=rules.binary, base=base) for each in missed or ()],
        recovered=missed is not None,
        was_recovering=asked.recover,
        delta=takes_deltas,
    )


async def sub_refresh(session: Client, user: User, request: SubRefreshRequest) -> SubRefreshResult:
    subscription = session.subscriptions.get(request.channel)
    if subscription is None:
        raise Failed(codes.BAD_REQUEST)
    ticket = await session.hub.tickets.open(user, request.channel, request.token)
    subscription.expires, subscription.token = ticket.expires, ticket.token
    return SubRefreshResult(expires=ticket.expires is not None, ttl=session.hub.ttl(ticket.expires))


async def publish(session: Client, user: User, request: PublishRequest) -> Empty:
    rules = await look(session, user, request.channel)
    if not rules.publish:
        raise Failed(codes.PERMISSION_DENIED)
    data = b"" if request.data is UNSET else bytes(request.data)
    if not rules.binary and not is_json(data):  # of Protobuf clients; others may follow in JSON
        raise Failed(codes.BAD_REQUEST)
    subscription = session.subscriptions.get(request.channel)
    info = session.info(subscription)
    await session.hub.publish(request.channel, data, msgspec.json.encode(info))
    return _DONE


async def history(session: Client, user: User, request: HistoryRequest) -> HistoryResult:
    channel = session.hub.families.meant(user, request.channel)
    rules = await look(session, user, channel)
    if rules.retention is None:
        raise Failed(codes.NOT_AVAILABLE)
    since = request.since and Position(request.since.epoch, request.since.offset)
    limit = rules.retention.size if request.limit < 0 else request.limit
    try:
        page = await session.hub.channels.history(
            channel,
            rules.retention,
            limit=min(limit, rules.retention.size),
            since=since or None,
            reverse=request.reverse,
        )
    except Unrecoverable as gone:
        raise Failed(codes.UNRECOVERABLE) from gone
    return HistoryResult(
        publications=[session.wire.pub(each, in_bytes=rules.binary) for each in page.publications],
        epoch=page.position.epoch,
        offset=page.position.offset,
    )


async def presence(session: Client, user: User, request: ChannelRequest) -> PresenceResult:
    return PresenceResult(presence=await present(session, user, request.channel))


async def presence_stats(
    session: Client, user: User, request: ChannelRequest
) -> PresenceStatsResult:
    clients = await present(session, user, request.channel)
    users = {info.user for info in clients.values()}
    return PresenceStatsResult(num_clients=len(clients), num_users=len(users))


async def present(session: Client, user: User, channel: str) -> dict[str, ClientInfo]:
    rules = await look(session, user, channel)
    if not rules.presence:
        raise Failed(codes.NOT_AVAILABLE)
    return await session.hub.present(channel)


async def look(session: Client, user: User, channel: str) -> Rules:
    """Return the rules of a channel that the client is in, or could just enter."""
    if channel in session.subscriptions:
        return session.hub.families.rules(channel)
    rules = await session.hub.families.admit(user, session.hub.families.meant(user, channel))
    if not rules.open:
        raise Failed(codes.PERMISSION_DENIED)
    return rules


async def ping(_session: Client, _user: User, _request: Empty) -> Empty:
    return _DONE


async def charge(session: Client, command: str, user: User, more: int = 1) -> None:
    """Take a command from the budget that its user has for HTTP and all sockets together."""
    key = f"client:{session.id}" if user.is_stranger else owner(user)
    try:
        await session.hub.limiter.charge(session.hub.budget, key, COSTS[command] * more)
    except TooMany as beyond:
        raise Failed(codes.TOO_MANY_REQUESTS) from beyond


COSTS: Mapping[str, int] = {
    "connect": 1,
    "subscribe": 1,
    "unsubscribe": 1,
    "publish": 1,
    "history": 2,
    "presence": 2,
    "presence_stats": 2,
    "refresh": 1,
    "sub_refresh": 1,
    "ping": 1,
    "rpc": 1,  # times the method's own cost
    "send": 1,
}
"""What each command takes from its user's budget; strangers have one per connection."""
ANSWERS: Mapping[str, Callable[[Client, User, Any], Awaitable[Any]]] = {
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "history": history,
    "presence": presence,
    "presence_stats": presence_stats,
    "refresh": refresh,
    "sub_refresh": sub_refresh,
    "ping": ping,
}
