"""The facts of notifications: the feature's shop window."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Raw

from nova.kernel.events import Fact


class EventAccepted(Fact, frozen=True, kw_only=True):
    """An event that may become a notification was accepted, once."""

    topic: ClassVar[str] = "notifications"

    notification: UUID
    """The id of the notification, or of the suppressed one, that it will become."""
    id: str
    """The sender's own id of the event."""
    event_type: str
    recipient_id: str
    """Either id of the recipient, as it was sent."""
    actor_id: str | None = None
    related_entity_id: str | None = None
    timestamp: datetime
    """When it happened, by the sender's clock."""
    accepted_at: datetime
    metadata: Raw = Raw(b"{}")

    @property
    def key(self) -> str:
        """One recipient's events are decided in the order in which they were accepted."""
        return self.recipient_id
