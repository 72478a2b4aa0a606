"""The public fields of a person in API answers, and warnings of people who are not known."""

from collections.abc import Container
from typing import Literal, Protocol
from uuid import UUID

from msgspec import Struct


class Person(Struct, frozen=True, kw_only=True):
    """A person, as others see them."""

    id: UUID
    """Nova's id of the person."""
    external_id: str | None
    """The app's own id of the person, if it gave one."""
    name: str
    """The name that others see."""
    avatar_url: str | None
    """Address of a picture; absent if there is none."""


class Profile(Protocol):
    """What is known of a person and may be shown."""

    @property
    def id(self) -> UUID: ...
    @property
    def external_id(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def avatar_url(self) -> str | None: ...
    @property
    def suspended(self) -> bool: ...


def person(profile: Profile) -> Person:
    return Person(
        id=profile.id,
        external_id=profile.external_id,
        name=profile.name,
        avatar_url=profile.avatar_url,
    )


def shown(profile: Profile | None) -> Person | None:
    """Return what others see: nothing of who is not there, or is suspended."""
    return None if profile is None or profile.suspended else person(profile)


class UnknownPerson(Struct, frozen=True, kw_only=True):
    """A warning: the request names somebody whom nobody knows; it was taken all the same."""

    code: Literal["unknown_recipient", "unknown_actor"]
    """What follows. `unknown_recipient`: nobody is told. `unknown_actor`: no name is shown."""
    field: Literal["recipient_id", "actor_id"]
    """The member that names the person."""
    message: str
    """What it means, in a sentence."""
    hint: str
    """What to do about it."""


_CREATE = "Create the user first (POST /v1/users/bulk). {field} takes Nova's id or your own."
UNKNOWN_RECIPIENT = UnknownPerson(
    code="unknown_recipient",
    field="recipient_id",
    message="There is no user with the recipient's id: nobody is told.",
    hint=_CREATE.format(field="recipient_id"),
)
UNKNOWN_ACTOR = UnknownPerson(
    code="unknown_actor",
    field="actor_id",
    message="There is no user with the actor's id: the words say Someone, and no actor is shown.",
    hint=_CREATE.format(field="actor_id"),
)


def unknown(recipient: str, actor: str | None, strangers: Container[str]) -> list[UnknownPerson]:
    """Return the warnings of something that names these, of whom `strangers` are not known."""
    found = [UNKNOWN_RECIPIENT] if recipient in strangers else []
    return [*found, UNKNOWN_ACTOR] if actor is not None and actor in strangers else found
