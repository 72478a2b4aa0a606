"""A rehearsal: decides about an event as the pipeline does, and does nothing about it."""

from datetime import datetime

from msgspec import Raw, Struct

from nova.features.notifications.events import EventAccepted, NotificationStored
from nova.features.notifications.pipeline import People, Pipeline
from nova.features.notifications.traces import REASONS
from nova.kernel.ids import new_id
from nova.web.people import UnknownPerson, unknown


class Rehearsed(Struct, frozen=True):
    """What would become of an event."""

    reason: str | None
    says: str
    rule: str
    fact: NotificationStored | None
    warnings: list[UnknownPerson]


class Rehearsal:
    """Asks the pipeline."""

    def __init__(self, pipeline: Pipeline, people: People) -> None:
        self._pipeline = pipeline
        self._people = people

    async def rehearse(
        self,
        *,
        kind: str,
        recipient: str,
        actor: str | None,
        about: str | None,
        metadata: bytes,
        at: datetime,
        locale: str | None = None,
    ) -> Rehearsed:
        """`locale` puts it into another language than the recipient's."""
        fact = EventAccepted(
            notification=new_id(),
            id="rehearsal",
            event_type=kind,
            recipient_id=recipient,
            actor_id=actor,
            related_entity_id=about,
            timestamp=at,
            accepted_at=at,
            metadata=Raw(metadata),
        )
        named = {recipient, actor or recipient}
        strangers = named - (await self._people.resolve(list(named))).keys()
        warnings = unknown(recipient, actor, strangers)
        decision, told = await self._pipeline.rehearse(fact, at, locale)
        if told is None:
            reason = decision.reason or ""
            return Rehearsed(reason, REASONS.get(reason, reason), decision.rule, None, warnings)
        return Rehearsed(None, "It would be in the inbox.", decision.rule, told, warnings)
