"""What happens to users."""

from typing import ClassVar
from uuid import UUID

from nova.kernel.events import Fact


class _AboutUser(Fact, frozen=True, kw_only=True):
    topic: ClassVar[str] = "accounts"

    user: UUID

    @property
    def key(self) -> str:
        return str(self.user)


class UserCreated(_AboutUser, frozen=True, kw_only=True):
    """A user came to be."""

    external_id: str | None = None


class UserChanged(_AboutUser, frozen=True, kw_only=True):
    """Something about a user changed: name, picture, locale, time zone, profile or standing."""


class UserSuspended(_AboutUser, frozen=True, kw_only=True):
    """A user was suspended: what they did is no longer told to anybody."""


class DeviceDied(_AboutUser, frozen=True, kw_only=True):
    """A provider said that a device, or the user's mailbox, is gone."""

    device: UUID | None
    """None: the mailbox."""
    reason: str


class UserDeleted(_AboutUser, frozen=True, kw_only=True):
    """A user is gone; this record goes, too, once what others' data held of them is gone."""
