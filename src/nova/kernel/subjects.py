"""The subject of a notification: the like, comment or follow that caused it."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from msgspec import Struct

ACTOR = "actor"
"""The kind of a notification of which no more is known than who did it."""


class Subject(NamedTuple):
    """What a notification stands on. It stands, or it does not, for one recipient."""

    kind: str
    """As the feature calls it that answers for it: `like`, `comment`, `follow` and so on."""
    item: UUID
    """The thing: the post that is liked, the comment; of a follow, who did it."""
    actor: UUID
    """Who did it."""
    recipient: UUID
    """Whom it is told."""


class Stands(Struct, frozen=True):
    """What is known of a subject that stands."""

    owner: UUID
    """Whose thing it belongs to: the author of the post under which a comment is written."""
    within: UUID
    """What it belongs to: the post; the item itself if it belongs to nothing."""
    words: Mapping[str, str] = {}
    """What it says now, by the key of the event's metadata."""


class Touched(Struct, frozen=True, kw_only=True):
    """Which subjects have to be asked about again. What is None leaves them unbounded.

    One of `owner`, `recipient` and `actor` is needed. A recipient comes with an actor, and means
    all that the recipient was told of what that person did or owns.
    """

    owner: UUID | None = None
    within: UUID | None = None
    items: tuple[UUID, ...] | None = None
    actor: UUID | None = None
    recipient: UUID | None = None
