"""Pure decisions: whether a notification is made, and through which channels."""

from collections.abc import Mapping
from uuid import UUID

from msgspec import Struct

from nova.features.notifications.catalogue import Ready
from nova.features.notifications.models import Choices

IN_APP = "in_app"
CHANNELS = (IN_APP, "push", "email", "web_push")


class Decision(Struct, frozen=True):
    """What is done with an event. `reason` says why nothing is; `rule` names what decided."""

    channels: frozenset[str]
    rule: str
    reason: str | None = None


UNKNOWN_RECIPIENT = Decision(frozenset(), "recipient", "unknown_recipient")
SELF = Decision(frozenset(), "self", "self_notification")
SILENCED = {
    "blocked": Decision(frozenset(), "blocks", "blocked"),
    "muted": Decision(frozenset(), "mutes", "muted"),
}
"""By what the recipient has against the actor."""
GONE = Decision(frozenset(), "origin", "gone")
"""What was done is undone, or hidden from the recipient by now."""
SUSPENDED = Decision(frozenset(), "actor", "gone")
UNKNOWN_TYPE = Decision(frozenset(), "type", "unknown_type")


def decide(
    recipient: UUID | None,
    actor: UUID | None,
    kind: Ready | None,
    choices: Choices | None,
    defaults: Mapping[str, bool],
    *,
    about: str | None = None,
) -> Decision:
    """Decide about one event; `choices` is None for a person who chose nothing."""
    if recipient is None:
        return UNKNOWN_RECIPIENT
    if recipient == actor:
        return SELF
    if kind is None:
        return UNKNOWN_TYPE
    return allowed(kind, choices, defaults, about)


def allowed(
    kind: Ready,
    choices: Choices | None,
    defaults: Mapping[str, bool],
    about: str | None = None,
) -> Decision:
    """Decide by preferences alone; the rule named is the one for the inbox."""
    on = frozenset(each for each in CHANNELS if chosen(each, kind, choices, defaults, about)[0])
    wanted, rule = chosen(IN_APP, kind, choices, defaults, about)
    return Decision(on, rule, None if wanted else "preference")


def chosen(
    channel: str,
    kind: Ready,
    choices: Choices | None,
    defaults: Mapping[str, bool],
    about: str | None = None,
) -> tuple[bool, str]:
    """Return whether a channel is on, and the rule that says so: the most particular one.

    `about` is what the event is about, which a person may have chosen to hear nothing more of.
    """
    if kind.kind.critical:
        return True, f"{kind.name} is critical"
    if choices is not None:
        by_object = choices.objects.get(about) if about is not None else None
        if by_object is not None and channel in by_object:
            return by_object[channel], f"objects.{about}.{channel}"
        by_type = choices.types.get(kind.name)
        if by_type is not None and channel in by_type:
            return by_type[channel], f"types.{kind.name}.{channel}"
        if channel in choices.channels:
            return choices.channels[channel], f"channels.{channel}"
    if channel in kind.kind.channels:
        return kind.kind.channels[channel], f"type default of {channel}"
    return defaults.get(channel, True), f"default of {channel}"
