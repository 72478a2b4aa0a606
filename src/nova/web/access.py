"""Who is calling, and whether this route is theirs to call."""

from collections.abc import Mapping
from uuid import UUID

from nova.kernel.errors import Forbidden, NotFound, Unauthenticated
from nova.web.actors import Actor, Anonymous, Authenticator, Rule, ServerKey, User

ANONYMOUS = Anonymous()


class ServerKeyNeeded(Forbidden):
    """This route is for the host app's backend."""

    code = "server_key_needed"
    hint = "Send a server key (nova_sk_…) from your backend; never give one to a client."


class UserTokenNeeded(Forbidden):
    """This route is for a user, and a server key is nobody's."""

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
    authenticator: Authenticator, actor: Actor, rule: Rule, path: Mapping[str, str]
) -> UUID | None:
    """Return the user whom `{user}` in the path names, if the actor may act on that user.

    For a user under Rule.SELF, everybody else is as if they were not there.
    """
    reference = path.get("user")
    if reference is None:
        return None
    if isinstance(actor, User) and reference in {"me", str(actor.id)}:
        return actor.id
    if reference == "me":
        raise NotFound("With a server key nobody is 'me'; name the user in the path.")
    user = await authenticator.resolve(reference)
    if user is None or (rule is Rule.SELF and isinstance(actor, User) and user != actor.id):
        raise NotFound("There is no such user.")
    return user
