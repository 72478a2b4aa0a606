"""What happens to posts, turned into events of Nova's own."""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from nova.backbone import intake
from nova.backbone.database import Tx
from nova.backbone.intake import Offer
from nova.features.notifications import subject_store
from nova.features.notifications.events import OWN, EventAccepted, Origin
from nova.features.notifications.still_valid import StillValid
from nova.features.posts.events import Commented, Liked, Mentioned
from nova.kernel.clock import Clock
from nova.kernel.events import Heard
from nova.kernel.ids import new_id
from nova.kernel.subjects import Subject

Posted: TypeAlias = Liked | Commented | Mentioned

_encode = msgspec.json.Encoder().encode


class Ring(Struct, frozen=True):
    """Somebody whom a fact concerns."""

    type: str
    recipient: UUID
    origin: Origin
    post: UUID
    said: str
    """An excerpt of what was posted or said."""
    burst: str | None = None

    @property
    def id(self) -> str:
        """Name the event by what it is about: taken back and done again, it rings once."""
        return f"{OWN}{self.type}:{self.origin.item}:{self.origin.actor}:{self.recipient}"

    @property
    def subject(self) -> Subject:
        return self.origin.subject(self.recipient)


def rings(fact: Posted) -> Iterator[Ring]:
    """Yield whom a fact concerns, besides who did it."""
    match fact:
        case Liked():
            origin = Origin("like", fact.post, fact.person)
            burst = f"like:{fact.post}"
            yield Ring("like", fact.author, origin, fact.post, fact.excerpt, burst)
        case Commented():
            origin = Origin("comment", fact.comment, fact.person)
            if fact.replies_to is not None:
                yield Ring("reply", fact.replies_to, origin, fact.post, fact.excerpt)
            if fact.replies_to != fact.author:
                yield Ring("comment", fact.author, origin, fact.post, fact.excerpt)
        case Mentioned():
            origin = Origin("mention", fact.comment or fact.post, fact.by)
            yield Ring("mention", fact.person, origin, fact.post, fact.excerpt)


class PostRings:
    """Accepts an event for each whom a fact concerns, in the transaction that moves the cursor.

    What was taken back by then is no event at all, and what was by the time of its decision is
    forgotten once it is done again, so that doing it again may ring.
    """

    def __init__(self, clock: Clock, valid: StillValid) -> None:
        self._clock = clock
        self._valid = valid

    async def hear(self, tx: Tx, heard: Sequence[Heard[Any]]) -> None:
        at = self._clock.now()
        found = {
            ring.id: (ring, each)
            for each in heard
            for ring in rings(each.fact)
            if ring.recipient != ring.origin.actor
        }
        standing = await self._valid.standing([ring.subject for ring, _ in found.values()])
        offers = []
        for ring, each in found.values():
            if ring.subject not in standing:
                continue
            event = EventAccepted(
                notification=new_id(),
                id=ring.id,
                event_type=ring.type,
                recipient_id=str(ring.recipient),
                actor_id=str(ring.origin.actor),
                related_entity_id=str(ring.post),
                timestamp=each.at,
                accepted_at=at,
                metadata=_metadata(ring),
                burst=ring.burst,
                origin=ring.origin,
            )
            digest = blake2b(ring.id.encode(), digest_size=16).digest()
            offers.append(Offer(ring.id, digest, event.notification, event))
        if offers:
            await let_ring_again(tx, [offer.id for offer in offers])
            tx.offer(offers, at)


async def let_ring_again(tx: Tx, events: Sequence[str]) -> None:
    """Let those be accepted again that told nobody, or that left a notification that goes on."""
    known = await intake.known(tx, events)
    records = [each.record for each in known.values()]
    gone = await subject_store.may_ring_again(tx, records) if known else ()
    if gone:
        await intake.free(tx, [id_ for id_, each in known.items() if each.record in gone])


def _metadata(ring: Ring) -> Raw:
    item = {} if ring.origin.item == ring.post else {"comment": ring.origin.item}
    said = {"excerpt" if ring.type == "like" else "text": ring.said}
    return Raw(_encode({"post": ring.post} | item | said))
