"""Rewrite the stored history of a user's channel after notifications changed or were removed."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from nova.backbone import channel_history
from nova.features.notifications.models import Notification
from nova.features.notifications.store import CHANNEL
from nova.ports.database import Queries

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


async def retell(db: Queries, user: UUID, now: Mapping[UUID, Notification | None]) -> None:
    """Have what is kept say what these notifications say now; None for one that is gone.

    One that is gone comes as its own removal, with the counts that it came with: who hears all
    that is kept ends with what a fresh look shows.
    """
    said = {str(id_): new for id_, new in now.items()}

    def anew(data: bytes) -> bytes:
        told = _decode(data)
        id_ = told.get("notification", {}).get("id")
        if id_ not in said:
            return data
        if (new := said[id_]) is not None:
            return _encode(told | {"notification": new})
        counts = {name: told[name] for name in ("unseen", "unread")}
        return _encode({"type": "removed", "ids": [id_], **counts})

    await channel_history.rewrite(db, f"{CHANNEL}{user}", list(said), anew)
