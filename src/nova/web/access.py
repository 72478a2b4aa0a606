"""Who is calling, whether this route is theirs to call, and whom they may name."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol
from uuid import UUID

from nova.kernel.errors import (
    Forbidden,
    NoSuchUser,
    NotFound,
    ServerKeyNeeded,
    Unauthenticated,
)
from nova.web.actors import NOBODY, Actor, Anonymous, Authenticator, Meeting, Rule, ServerKey, User

ANONYMOUS = Anonymous()
ME = "me"
"""Stands in paths and channels for whoever asks."""


class UserTokenNeeded(Forbidden):
    """This route needs a user's token; a server key belongs to no user."""

    code = "user_token_needed"
    hint = "Send the user's own token; `nova token mint` makes one."


def owner(actor: Actor) -> str:
    """Return the name under which an actor's limits and idempotency keys are kept."""
    match actor:
        case User():
            return f"user:{actor.id}"
        case ServerKey():
            return f"key:{actor.key}"
    return ""


def admit(actor: Actor, rule: Rule) -> None:
    """Refuse actors of the wrong kind."""
    if rule is Rule.PUBLIC:
        return
    if isinstance(actor, User):
        if rule is Rule.SERVER:
            raise ServerKeyNeeded
    elif isinstance(actor, ServerKey):
        if rule is Rule.USER:
            raise UserTokenNeeded
    else:
        raise Unauthenticated(f"No credentials came with the request. Who may call: {rule.value}.")


async def named(
    authenticator: Authenticator,
    actor: Actor,
    rule: Rule,
    path: Mapping[str, str],
    looks_into: Collection[str] = ("user",),
) -> tuple[UUID | None, UUID | None]:
    """Return the users whom `{user}` and `{other}` in the path name, if the actor may know them.

    For a user under Rule.SELF, `{user}` is that user alone. `looks_into` names the segments whose
    people's own lists are shown. Raises NoSuchUser, which never tells why.
    """
    user = other = None
    if "user" in path:
        reference = path["user"]
        if reference == ME and not isinstance(actor, User):
            raise NotFound("A server key has no 'me'; name the user in the path.")
        meeting = Meeting.SELF if rule is Rule.SELF else Meeting.INSIDE
        if isinstance(actor, User) and reference in {ME, str(actor.id)}:
            user = actor.id
        else:
            user = await _met(authenticator, actor, reference, meeting)
    if "other" in path:
        meeting = Meeting.INSIDE if "other" in looks_into else Meeting.REACH
        if isinstance(actor, User) and path["other"] == ME:
            other = actor.id
        else:
            other = await _met(authenticator, actor, path["other"], meeting)
    return user, other


async def _met(
    authenticator: Authenticator, actor: Actor, reference: str, meeting: Meeting
) -> UUID:
    viewer = actor.id if isinstance(actor, User) else None
    found = (
        await authenticator.resolve(reference)
        if viewer is None
        else await authenticator.find_for(viewer, reference, meeting)
    )
    if found is None:
        raise NoSuchUser
    return found


class Person(Protocol):
    """Somebody whom a reference names."""

    @property
    def id(self) -> UUID: ...
    @property
    def suspended(self) -> bool: ...


class People(Protocol):
    """Who is who."""

    def remembered(self, reference: str) -> Person | None:
        """Return the user that a reference names, if that is known without asking."""

    async def look(self, reference: str) -> Person | None:
        """Ask the database for the user that a reference names."""


class Sight(Protocol):
    """What lies between somebody who looks and somebody who is looked at."""

    @property
    def follows(self) -> bool: ...
    @property
    def close_friend(self) -> bool: ...
    @property
    def separated(self) -> bool:
        """Whether a block stands between them, of either side."""

    @property
    def blocks(self) -> bool:
        """Whether the one who looks blocks the other."""

    @property
    def private(self) -> bool: ...


class Sights(Protocol):
    """What stands between people."""

    async def seen(
        self, pairs: Sequence[tuple[UUID, UUID]]
    ) -> Mapping[tuple[UUID, UUID], Sight]: ...


async def find_for(
    people: People, sights: Sights, viewer: UUID, reference: str, meeting: Meeting
) -> UUID | None:
    """Return whom a reference names, if that person is there for the viewer.

    None has one meaning to the outside, and takes one look-up of the person and one of what stands
    between the two, whether nobody has this id, or somebody who is suspended, blocks the viewer,
    or keeps an account closed to the viewer.
    """
    person = people.remembered(reference)
    looked = person is None
    if person is None:
        person = await people.look(reference)
    if person is not None and person.id == viewer:
        return viewer
    pair = (viewer, NOBODY if person is None else person.id)
    sight = (await sights.seen([pair]))[pair]
    if person is None or person.suspended or not _there(sight, meeting):
        if not looked:
            await people.look(reference)
        return None
    return person.id


def _there(sight: Sight, meeting: Meeting) -> bool:
    """Tell whether somebody is there for who looks.

    Whoever blocks somebody knows them, and must not learn from an answer that they block back.
    """
    match meeting:
        case Meeting.SELF:
            return False
        case Meeting.REACH:
            return sight.blocks or not sight.separated
        case Meeting.INSIDE:
            is_open = sight.follows or sight.close_friend or not sight.private
            return is_open and not sight.separated
