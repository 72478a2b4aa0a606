"""People and what they have with each other, on the wire and in the store."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from nova.web.people import Person


class Follows(StrEnum):
    """Whom a list holds: those who follow a person, whom the person follows, or both at once."""

    FOLLOWERS = "followers"
    FOLLOWING = "following"
    MUTUALS = "mutuals"


class Tie(StrEnum):
    """What one person may have with another, besides following."""

    REQUEST = "request"
    BLOCK = "block"
    MUTE = "mute"
    CLOSE_FRIEND = "close_friend"
    DISMISSED = "dismissed"


class Act(StrEnum):
    """What one person may do about another."""

    FOLLOW = "follow"
    UNFOLLOW = "unfollow"
    APPROVE = "approve"
    DECLINE = "decline"
    REMOVE = "remove"
    BLOCK = "block"
    UNBLOCK = "unblock"
    MUTE = "mute"
    UNMUTE = "unmute"
    BEFRIEND = "befriend"
    UNFRIEND = "unfriend"
    DISMISS = "dismiss"


class Bond(Struct, frozen=True):
    """What one person has with another, in this direction."""

    follows: bool = False
    ties: frozenset[Tie] = frozenset()
    until: datetime | None = None
    """When the mute ends."""


class Change(Struct, frozen=True, kw_only=True):
    """Something that `actor` does about `other`."""

    act: Act
    actor: UUID
    other: UUID
    until: datetime | None = None


class Node(Struct, frozen=True):
    """A person, as edges know them."""

    number: int
    user: UUID
    private: bool
    followers: int
    following: int


class Relation(Struct, frozen=True, kw_only=True):
    """What two people are to each other, seen by the first one."""

    follows: bool
    """The first one follows the other."""
    followed_by: bool
    """The other follows the first one."""
    requested: bool
    """The first one asked to follow the other."""
    requested_by: bool
    """The other asked to follow the first one."""
    blocks: bool
    """The first one blocks the other."""
    mutes: bool
    """The first one does not want to hear of the other."""
    muted_until: datetime | None
    """When the mute ends by itself; absent if never."""
    close_friend: bool
    """The first one counts the other among the close friends."""
    blocked_by: bool
    """Only a server key ever sees it true: to who is blocked, the other is not there."""


class Connection(Struct, frozen=True, kw_only=True):
    """A person in a list, and since when."""

    person: Person
    """Who it is."""
    since: datetime
    """Since when they stand in this list."""
    until: datetime | None = None
    """When a mute ends by itself."""


class Connections(Struct, frozen=True, kw_only=True):
    """How many follow a person, and how many the person follows."""

    followers: int
    """How many follow the person."""
    following: int
    """How many the person follows."""
    private: bool
    """Whether who wants to follow has to ask first."""


class Privacy(Struct, frozen=True, forbid_unknown_fields=True):
    """Whether who wants to follow has to ask first."""

    private: bool
    """Whether who wants to follow has to ask first."""


class Mute(Struct, frozen=True, forbid_unknown_fields=True):
    """For how long to mute; for good when it does not say."""

    until: Annotated[datetime, Meta(tz=True, examples=["2100-01-01T00:00:00Z"])] | None = None
    """When it ends by itself; never when absent."""


class Path(Struct, frozen=True):
    """How one person knows another: each follows the next."""

    hops: int
    """How many steps lie between the two; absent if there is no path."""
    people: list[Person]
    """Everybody on the path, the two ends included."""


class Reason(Struct, frozen=True, kw_only=True):
    """Why somebody is suggested."""

    says: str
    """The reason in words."""
    followed_by: list[Person]
    """Some of those whom you follow and who follow this person."""
    more: int
    """How many more of those one follows do so, besides the named ones."""


class Suggestion(Struct, frozen=True, kw_only=True):
    """Somebody whom a person may know."""

    person: Person
    """Who is suggested."""
    score: float
    """How well they fit; only to be compared within one answer."""
    reason: Reason
    """Why they are suggested."""


class Suggestions(Struct, frozen=True):
    """People whom a person may know, the likeliest first."""

    data: list[Suggestion]
    """The suggestions, the best first."""
