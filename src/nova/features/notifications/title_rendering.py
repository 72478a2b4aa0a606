"""Render titles again with other text in place of `{actor.name}`; digests use it."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from nova.backbone.database import Database
from nova.features.notifications import subject_store
from nova.features.notifications.catalogue import someone
from nova.features.notifications.pipeline import People
from nova.features.notifications.templates import MOST_TITLE
from nova.features.notifications.types import Types


class Naming:
    """Names others, too, where titles name an actor."""

    def __init__(self, db: Database, types: Types, people: People) -> None:
        self._db = db
        self._types = types
        self._people = people

    async def titles(self, naming: Mapping[UUID, str]) -> Mapping[UUID, str]:
        """Return the titles of notifications, with these words where their actors' names stand.

        The words are put in as they are. What is in no inbox, or of no known type, is left out.
        """
        rows = await subject_store.rows(self._db, list(naming))
        types = await self._types.known()
        readers = await self._people.profiles([row["user_id"] for row in rows])
        found = {}
        for row in rows:
            kind, reader = types.get(row["type"]), readers.get(row["user_id"])
            if kind is None:
                continue
            values = {
                "actor.id": str(row["actor_id"]),
                "recipient.name": reader.name if reader else None,
                "event.type": row["type"],
                "event.id": row["event_id"],
                "related_entity_id": row["related_entity_id"],
                "count": "1",
                "someone": someone(row["locale"]),
            }
            _, title, _ = kind.worded(row["locale"])
            found[row["id"]] = title.fill(
                values,
                msgspec.json.decode(row["metadata"]),
                MOST_TITLE,
                ready={"actor.name": naming[row["id"]]},
            )
        return found
