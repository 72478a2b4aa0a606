"""A rehearsal: decides about an event as the pipeline does, and does nothing about it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Raw, Struct

from nova.features.notifications.catalogue import someone
from nova.features.notifications.events import EventAccepted, NotificationStored
from nova.features.notifications.pipeline import People, Pipeline
from nova.features.notifications.templates import MOST_BODY, MOST_TITLE
from nova.features.notifications.traces import REASONS
from nova.features.notifications.types import Types
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

    def __init__(self, pipeline: Pipeline, people: People, types: Types) -> None:
        self._pipeline = pipeline
        self._people = people
        self._types = types

    async def sample(
        self, kind: str, locale: str, actor: str, metadata: Mapping[str, object]
    ) -> tuple[str, str, str] | None:
        """Return locale, title and body of a notification; None for a type that nobody knows."""
        known = (await self._types.known()).get(kind)
        if known is None:
            return None
        best, title, body = known.worded(locale)
        values = {"actor.name": actor, "event.type": kind, "someone": someone(best)}
        said = title.fill(values, metadata, MOST_TITLE), body.fill(values, metadata, MOST_BODY)
        return best, *said

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
