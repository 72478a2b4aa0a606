"""The facts of deliveries: the feature's shop window."""

from typing import ClassVar
from uuid import UUID

from nova.kernel.events import Fact


class DeliveryEnded(Fact, frozen=True, kw_only=True):
    """A delivery came to its end; told only where a webhook wants to know."""

    topic: ClassVar[str] = "notifications"

    delivery: UUID
    notification: UUID
    user: UUID
    actor_id: UUID | None = None
    """Who did what it tells of; of a digest nobody in particular."""
    type: str
    channel: str
    kind: str
    phase: str
    """done, failed, dead or dropped."""
    status: str
    reason: str | None = None
    code: str | None = None
    text: str | None = None

    @property
    def key(self) -> str:
        return str(self.user)


class ActorMuted(Fact, frozen=True, kw_only=True):
    """Somebody muted an actor; told again here, where it comes after what the actor did before."""

    topic: ClassVar[str] = "notifications"

    user: UUID
    """Who muted."""
    actor: UUID
    """Who was muted."""

    @property
    def key(self) -> str:
        return str(self.user)
