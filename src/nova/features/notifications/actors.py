"""Add to notifications the person who did what they tell of, from cached profiles."""

from collections.abc import Mapping, Sequence
from typing import Protocol
from uuid import UUID

from msgspec.structs import replace

from nova.features.notifications.models import Notification, Profile
from nova.web.people import shown


class People(Protocol):
    """Who is who."""

    async def profiles(self, users: Sequence[UUID]) -> Mapping[UUID, Profile]: ...


async def with_actors(people: People, found: Sequence[Notification]) -> list[Notification]:
    """Return notifications with their actors as they are called now; they are asked for at once."""
    actors = {each.actor_id for each in found if each.actor_id is not None}
    if not actors:
        return list(found)
    profiles = await people.profiles(list(actors))
    persons = {actor: shown(profiles.get(actor)) for actor in actors}
    return [
        each if each.actor_id is None else replace(each, actor=persons[each.actor_id])
        for each in found
    ]
