"""The public fields of a person in API answers."""

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
