"""The facts of notifications: the feature's shop window."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import UNSET, Raw, Struct, UnsetType

from nova.kernel.events import Fact
from nova.kernel.subjects import Subject

OWN = "nova:"
"""What the ids of Nova's own events begin with, and no id of the host app's."""


class Origin(Struct, frozen=True):
    """What an event of Nova's own stands on, to be asked about before it is told."""

    kind: str
    """`like`, `comment`, `mention`, `follow` and so on."""
    item: UUID
    """The post or comment; of a follow, who did it."""
    actor: UUID

    def subject(self, recipient: UUID) -> Subject:
        return Subject(self.kind, self.item, self.actor, recipient)


class EventAccepted(Fact, frozen=True, kw_only=True, omit_defaults=True):
    """An event that may become a notification was accepted, once.

    There is one in the log for each: what is as usual is left out.
    """

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
    burst: str | None = None
    """What it rings together with: it joins an unread notification of the same burst."""
    origin: Origin | None = None

    @property
    def key(self) -> str:
        """One recipient's events are decided in the order in which they were accepted."""
        return self.recipient_id


class _OfUser(Fact, frozen=True, kw_only=True):
    """Something about a person's inbox; of one person they are read in their order."""

    topic: ClassVar[str] = "notifications"

    user: UUID

    @property
    def key(self) -> str:
        return str(self.user)


class NotificationStored(_OfUser, frozen=True, kw_only=True):
    """A notification is in the inbox of somebody who has a device or a mailbox, too."""

    notification: UUID
    number: int
    type: str
    title: str
    body: str
    locale: str
    event_id: str
    actor_id: UUID | None = None
    actor_name: str | None = None
    related_entity_id: str | None = None
    metadata: Raw = Raw(b"{}")
    critical: bool = False
    """Preferences, quiet hours and throttles do not hold it back."""
    channels: dict[str, bool]
    """Which channels besides the inbox the recipient wants."""
    rules: dict[str, str]
    """By channel, the preference that said so."""
    created_at: datetime
    expires_at: datetime


class NotificationsMarked(_OfUser, frozen=True, kw_only=True):
    """A person saw, read or archived notifications: those named, or all up to a number."""

    mark: str
    """seen, read or archive."""
    ids: list[UUID] | None = None
    up_to: int | None = None


class NotificationsRemoved(_OfUser, frozen=True, kw_only=True):
    """Notifications were taken away."""

    ids: list[UUID]
    reason: str
    """`deleted` by the person, `retracted` by who sent the event, `withdrawn` since what it stood
    on is gone, or `expired`."""


class NotificationEdited(_OfUser, frozen=True, kw_only=True):
    """A notification says something else than it did."""

    notification: UUID
    title: str
    body: str
    actor_id: UUID | None = None
    actor_name: str | None = None
    is_other: bool = False
    """Whether it names somebody else: what it named before is gone."""
    related_entity_id: str | None = None
    metadata: Raw | UnsetType = UNSET
    """Where it tells of another event; else absent, and `related_entity_id` says nothing."""


class SubjectsTouched(Fact, frozen=True, kw_only=True):
    """The subject of some notifications may have changed; they are checked again.

    The fields are those of `nova.kernel.subjects.Touched`.
    """

    topic: ClassVar[str] = "notifications"

    owner: UUID | None = None
    within: UUID | None = None
    items: tuple[UUID, ...] | None = None
    actor: UUID | None = None
    recipient: UUID | None = None
    after: UUID | None = None
    """Those up to this one have been looked at."""

    @property
    def key(self) -> str:
        return str(self.owner or self.recipient or self.actor)
