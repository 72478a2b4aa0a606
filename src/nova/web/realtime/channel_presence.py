"""Who is in a channel, in all processes: joins, leaves, and presence."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from nova.ports.fanout import Came, Fanout, Presence, Went
from nova.web.realtime.families import Families
from nova.web.realtime.lanes import Lane, Subscription
from nova.web.realtime.messages import About, ClientInfo, Push

_encode = msgspec.json.Encoder().encode


class ChannelPresence:
    """Tells subscribers and other processes who joins and leaves."""

    def __init__(
        self, families: Families, lanes: Mapping[str, Lane], fanout: Fanout, presence: Presence
    ) -> None:
        self._families = families
        self._lanes = lanes
        self._fanout = fanout
        self._presence = presence

    def entered(self, subscription: Subscription) -> None:
        """Tell the others who is there now, where the channel is one to know that of."""
        channel, session = subscription.lane.channel, subscription.session
        if session.subscriptions.get(subscription.name) is not subscription:
            return  # it ended before its answer was out
        rules, info = self._families.rules(channel), session.info(subscription)
        if rules.presence:
            self._presence.enter(channel, session.id, _encode(info))
        if rules.join_leave:
            subscription.lane.announce(Push(channel=channel, join=About(info=info)))
            self._fanout.tell(Came(channel, Raw(_encode(info))))

    def left(self, subscription: Subscription) -> None:
        """Tell the others who is there no more."""
        lane, session = subscription.lane, subscription.session
        self._presence.leave(lane.channel, session.id)
        if subscription.held is None and self._families.rules(lane.channel).join_leave:
            info = session.info(subscription)
            lane.announce(Push(channel=lane.channel, leave=About(info=info)))
            self._fanout.tell(Went(lane.channel, Raw(_encode(info))))

    def hear(self, word: Came | Went) -> None:
        """Announce here what another process tells."""
        lane = self._lanes.get(word.channel)
        if lane is None:
            return
        about = About(info=msgspec.json.decode(word.info, type=ClientInfo))
        if isinstance(word, Came):
            lane.announce(Push(channel=word.channel, join=about))
        else:
            lane.announce(Push(channel=word.channel, leave=about))

    async def present(self, channel: str) -> dict[str, ClientInfo]:
        """Return who follows a channel, by client."""
        there = {
            client: msgspec.json.decode(info, type=ClientInfo)
            for client, info in (await self._presence.elsewhere(channel)).items()
        }
        lane = self._lanes.get(channel)
        here = lane.subscriptions.values() if lane is not None else ()
        return there | {each.session.id: each.session.info(each) for each in here}
