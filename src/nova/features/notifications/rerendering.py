"""Render a stored notification again, as the group that it is now: its people and their names."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from nova.features.notifications.catalogue import Ready, others_in, someone
from nova.features.notifications.models import Notification, Profile
from nova.features.notifications.templates import MOST_BODY, MOST_TITLE
from nova.web.people import shown

_metadata = msgspec.json.Decoder(dict[str, Any])


def rerendered(
    one: Notification,
    kind: Ready | None,
    user: UUID,
    locale: str,
    profiles: Mapping[UUID, Profile],
) -> Notification:
    """Return a recipient's notification in its words of now, with its actor.

    Of a type that is no longer registered, the words stay.
    """
    actor = profiles.get(one.actor_id) if one.actor_id is not None else None
    one = replace(one, actor=shown(actor))
    if kind is None:
        return one
    reader = profiles.get(user)
    values = {
        "actor.name": actor.name if actor else None,
        "actor.id": str(one.actor_id) if one.actor_id is not None else None,
        "recipient.name": reader.name if reader else None,
        "event.type": one.type,
        "event.id": one.event_id,
        "related_entity_id": one.related_entity_id,
        "count": str(one.others + 1),
        "others": others_in(locale, one.others),
        "someone": someone(locale),
    }
    _, title, body = kind.worded(locale)
    if one.others:
        title = kind.titled_for_many(locale)
    metadata = _metadata.decode(one.metadata)
    return replace(
        one,
        title=title.fill(values, metadata, MOST_TITLE),
        body=body.fill(values, metadata, MOST_BODY),
    )
