"""What happens between people, turned into events of Nova's own."""

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TypeAlias
from uuid import UUID

from nova.backbone.database import Tx
from nova.backbone.intake import Offer
from nova.features.graph.events import FollowApproved, Followed, FollowRequested
from nova.features.notifications.events import OWN, EventAccepted, Origin
from nova.features.notifications.posted import let_ring_again
from nova.kernel.clock import Clock
from nova.kernel.events import Fact, Heard
from nova.kernel.ids import new_id

Following: TypeAlias = Followed | FollowRequested | FollowApproved

# The type, and who did it to whom.
RINGS: Mapping[type[Fact], tuple[str, Callable[[Following], tuple[UUID, UUID]]]] = {
    Followed: ("follow", lambda fact: (fact.follower, fact.followee)),
    FollowRequested: ("follow_request", lambda fact: (fact.follower, fact.followee)),
    FollowApproved: ("follow_approved", lambda fact: (fact.followee, fact.follower)),
}


class Social:
    """Accepts an event for each fact, in the transaction that moves the log's cursor.

    Its id names the two people, so who follows, leaves and follows again rings once for as long
    as ids of events are remembered; what was taken back before it told anybody may ring again.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def hear(self, tx: Tx, heard: Sequence[Heard[Following]]) -> None:
        at = self._clock.now()
        offers: dict[str, Offer] = {}
        for each in heard:
            kind, who = RINGS[type(each.fact)]
            actor, recipient = who(each.fact)
            id_ = f"{OWN}{kind}:{actor}:{recipient}"
            digest = blake2b(id_.encode(), digest_size=16).digest()
            event = EventAccepted(
                notification=new_id(),
                id=id_,
                event_type=kind,
                recipient_id=str(recipient),
                actor_id=str(actor),
                timestamp=each.at,
                accepted_at=at,
                origin=Origin(kind, actor, actor),
            )
            offers[id_] = Offer(id_, digest, event.notification, event)
        await let_ring_again(tx, list(offers))
        tx.offer(list(offers.values()), at)
