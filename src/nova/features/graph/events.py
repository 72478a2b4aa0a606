"""What happens between people: the feature's shop window."""

from typing import ClassVar
from uuid import UUID

from nova.kernel.events import Fact


class _Between(Fact, frozen=True, kw_only=True):
    """One person did something that concerns another one."""

    topic: ClassVar[str] = "graph"

    @property
    def pair(self) -> tuple[UUID, UUID]:
        """The two, the one who did it first."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        return str(self.pair[0])


class _Following(_Between, frozen=True, kw_only=True):
    """Something about one person's following another."""

    follower: UUID
    followee: UUID

    @property
    def pair(self) -> tuple[UUID, UUID]:
        return self.follower, self.followee


class Followed(_Following, frozen=True, kw_only=True):
    """Somebody began to follow a public account."""


class Unfollowed(_Following, frozen=True, kw_only=True):
    """A person no longer follows another: one of them ended it, or a block did."""


class FollowRequested(_Following, frozen=True, kw_only=True):
    """Somebody asked to follow a private account."""


class FollowApproved(_Following, frozen=True, kw_only=True):
    """A request was approved: from here on the follower follows."""


class FollowDeclined(_Following, frozen=True, kw_only=True):
    """A request was declined."""


class FollowCancelled(_Following, frozen=True, kw_only=True):
    """A request was taken back, or ended by a block."""


class _About(_Between, frozen=True, kw_only=True):
    """Something that only the one who did it gets to know."""

    person: UUID
    other: UUID

    @property
    def pair(self) -> tuple[UUID, UUID]:
        return self.person, self.other


class Blocked(_About, frozen=True, kw_only=True):
    """A person blocked another; what there was of follows and requests is over."""


class Unblocked(_About, frozen=True, kw_only=True):
    """A person lifted a block; follows are not restored."""


class Muted(_About, frozen=True, kw_only=True):
    """A person no longer wants to hear of another, for a while or for good."""


class Unmuted(_About, frozen=True, kw_only=True):
    """A person wants to hear of another again."""


class CloseFriendAdded(_About, frozen=True, kw_only=True):
    """A person counts another among the close friends."""


class CloseFriendRemoved(_About, frozen=True, kw_only=True):
    """A person no longer counts another among the close friends."""


class SuggestionDismissed(_About, frozen=True, kw_only=True):
    """A person does not want another suggested."""


class PrivacyChanged(Fact, frozen=True, kw_only=True):
    """An account became private, or public."""

    topic: ClassVar[str] = "graph"

    user: UUID
    private: bool

    @property
    def key(self) -> str:
        return str(self.user)


class EdgesImported(Fact, frozen=True, kw_only=True):
    """The import of a file of edges came to its end; its single edges have no facts."""

    topic: ClassVar[str] = "graph"

    name: str
    added: int

    @property
    def key(self) -> str:
        return self.name


class RebuildAsked(Fact, frozen=True, kw_only=True):
    """An operator asked for the graph index to be filled from the database again."""

    topic: ClassVar[str] = "graph"

    @property
    def key(self) -> str:
        return "index"


class PersonForgotten(Fact, frozen=True, kw_only=True):
    """A user was erased, with every edge from and to them; the number is no longer in use."""

    topic: ClassVar[str] = "graph"

    number: int

    @property
    def key(self) -> str:
        return str(self.number)


FACTS: tuple[type[Fact], ...] = (
    Followed,
    Unfollowed,
    FollowRequested,
    FollowApproved,
    FollowDeclined,
    FollowCancelled,
    Blocked,
    Unblocked,
    Muted,
    Unmuted,
    CloseFriendAdded,
    CloseFriendRemoved,
    SuggestionDismissed,
    PrivacyChanged,
    EdgesImported,
    RebuildAsked,
    PersonForgotten,
)
