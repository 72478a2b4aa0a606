"""Whether what is about to go out is still wanted: it may have waited for days."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from nova.features.deliveries.asks import Ask, Preferences
from nova.features.deliveries.lanes import store_wishes
from nova.features.deliveries.lanes.untried import outdated, untried
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.store import Noted
from nova.ports.database import Queries

NOT_WANTED = "It was turned off while it waited."


class _Part(NamedTuple):
    """What a delivery says, or a part of it."""

    of: UUID
    ask: Ask
    channel: str


class Wishes:
    """Asks for preferences anew; what is critical, or takes something back, goes in any case."""

    def __init__(self, db: Queries, preferences: Preferences) -> None:
        self._db = db
        self._preferences = preferences

    async def against(self, claims: Sequence[Claimed], now: datetime) -> list[Noted]:
        """Return the outcomes of those that are not to be sent as they are."""
        asked = [one for one in claims if not one.critical and one.kind != "recall"]
        off = await self._off(asked)
        parting = await self._outdated([one for one in asked if one.id not in off])
        return [
            untried(one, "dropped", "preference", "not_wanted", NOT_WANTED, rule=off[one.id])
            if one.id in off
            else outdated(one, now)
            for one in asked
            if one.id in off or one.id in parting
        ]

    async def _off(self, asked: Sequence[Claimed]) -> dict[UUID, str]:
        """Return the rule against each of those that are not wanted at all."""
        own = await self._rules(
            [_Part(one.id, Ask(one.user, one.type, one.about), one.channel) for one in asked]
        )
        off = {id_: rule for id_, (rule,) in own.items() if rule is not None}
        digests = [one.id for one in asked if one.kind == "digest" and one.id in off]
        for id_, rules in (await self._rules_of_parts(store_wishes.GATHERED, digests)).items():
            if None in rules:
                del off[id_]
        return off

    async def _outdated(self, asked: Sequence[Claimed]) -> set[UUID]:
        """Return those that speak for something that is not wanted."""
        speakers = [one.id for one in asked if one.summary]
        parts = await self._rules_of_parts(store_wishes.MERGED, speakers)
        return {id_ for id_, rules in parts.items() if any(rules)}

    async def _rules_of_parts(self, sql: str, ids: Sequence[UUID]) -> dict[UUID, list[str | None]]:
        rows = await self._db.fetch(sql, ids) if ids else []
        return await self._rules(
            [
                _Part(row["of"], Ask(row["user_id"], row["type"], row["about"]), row["channel"])
                for row in rows
            ]
        )

    async def _rules(self, parts: Sequence[_Part]) -> dict[UUID, list[str | None]]:
        """Return of each delivery the rules against its parts; None for one that is wanted."""
        if not parts:
            return {}
        found: dict[UUID, list[str | None]] = {}
        answers = await self._preferences.wanted([part.ask for part in parts])
        for part, wanted in zip(parts, answers, strict=True):
            on, rule = wanted.get(part.channel, (True, ""))
            found.setdefault(part.of, []).append(None if on else rule)
        return found
