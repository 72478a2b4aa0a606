"""Check before each attempt that a delivery is still valid, and use the current text."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from uuid import UUID

import msgspec
from msgspec import Struct, structs

from nova.features.deliveries import plan, rendering
from nova.features.deliveries.asks import Inbox, Said
from nova.features.deliveries.digests import up_to_date, worded
from nova.features.deliveries.lanes import store_still_valid
from nova.features.deliveries.lanes.untried import outdated, untried
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.store import Noted
from nova.features.deliveries.store_digests import ENTRIES
from nova.kernel.clock import Clock
from nova.ports.database import Queries, Row

TAKEN_BACK = "What it tells of was taken back while it waited."


Titles = Callable[[Mapping[UUID, Sequence[Row]]], Awaitable[Mapping[UUID, str]]]
"""Returns the titles of digests' entries that name several, by the newest notification."""

_data = msgspec.json.Decoder(dict[str, str])


class _Parts(Struct, frozen=True):
    """What is told in one delivery."""

    entries: Mapping[UUID, Sequence[Row]]
    """Of digests, by their id."""
    merged: Mapping[UUID, Sequence[Row]]
    """Of deliveries that speak for others, by theirs."""

    @property
    def notifications(self) -> set[UUID]:
        rows = [*self.entries.values(), *self.merged.values()]
        return {row["notification"] for some in rows for row in some}


class StillValid:
    """Asks the inbox before every attempt: a delivery may have waited for days."""

    def __init__(self, db: Queries, clock: Clock, inbox: Inbox, titles: Titles) -> None:
        self._db = db
        self._clock = clock
        self._inbox = inbox
        self._titles = titles

    async def sifted(self, claims: Sequence[Claimed]) -> tuple[dict[UUID, Claimed], list[Noted]]:
        """Return those to send, by id, as they read now; and the outcomes of the others.

        What takes something back goes in any case.
        """
        asked = [one for one in claims if one.kind != "recall"]
        there = {one.id: one for one in claims if one.kind == "recall"}
        parts = await self._parts(asked)
        single = {one.notification for one in asked if one.kind == "single"}
        said = await self._inbox.current(single | parts.notifications) if asked else {}
        entries = {digest: up_to_date(some, said) for digest, some in parts.entries.items()}
        titles = await self._titles(entries) if entries else {}
        not_sent: list[Noted] = []
        for one in asked:
            if one.kind == "digest":
                fresh = _digest(one, entries.get(one.notification, ()), titles)
                if one.summary:
                    own = fresh.title if isinstance(fresh, Claimed) else None
                    fresh = self._together(one, own, parts, said)
            else:
                fresh = self._fresh(one, parts, said)
            if isinstance(fresh, Claimed):
                there[one.id] = fresh
            else:
                not_sent.append(fresh)
        return there, not_sent

    async def _parts(self, asked: Sequence[Claimed]) -> _Parts:
        digests = [one.notification for one in asked if one.kind == "digest"]
        speakers = [one.id for one in asked if one.summary]
        return _Parts(
            _by("digest", await self._db.fetch(ENTRIES, digests) if digests else ()),
            _by(
                "into_id",
                await self._db.fetch(store_still_valid.SPOKEN_FOR, speakers) if speakers else (),
            ),
        )

    def _fresh(self, one: Claimed, parts: _Parts, said: Mapping[UUID, Said]) -> Claimed | Noted:
        mine = said.get(one.notification)
        if one.summary:
            return self._together(one, mine.title if mine else None, parts, said)
        return _taken_back(one) if mine is None else _saying(one, mine)

    def _together(
        self, one: Claimed, own: str | None, parts: _Parts, said: Mapping[UUID, Said]
    ) -> Claimed | Noted:
        """Return one that speaks for others; all are put together anew if one of them is gone."""
        titles = [own]
        for row in parts.merged.get(one.id, ()):
            now = said.get(row["notification"])
            titles.append(row["title"] if row["kind"] == "digest" else now.title if now else None)
        told = [title for title in titles if title]
        if len(told) < len(titles) or len(told) == 1:
            return outdated(one, self._clock.now())
        title, body = rendering.summary(told, one.locale, one.channel)
        return structs.replace(one, title=title, body=body, count=len(told))


def _digest(one: Claimed, entries: Sequence[Row], titles: Mapping[UUID, str]) -> Claimed | Noted:
    if not entries:
        return _taken_back(one)
    title, body = worded(entries, titles)
    return structs.replace(one, title=title, body=body, count=len(entries))


def _saying(one: Claimed, said: Said) -> Claimed:
    body = plan.cut(said.body, one.channel)
    if one.channel == "email":
        one = structs.replace(one, actor_name=said.actor_name, metadata=said.metadata)
    if (one.title, one.body) == (said.title, body):
        return one
    data = _data.decode(one.data)
    if said.actor is not None:
        data["actor_id"] = str(said.actor)
    return structs.replace(one, title=said.title, body=body, data=plan.json(data))


def _taken_back(one: Claimed) -> Noted:
    return untried(one, "dropped", "removed", "taken_back", TAKEN_BACK)


def _by(key: str, rows: Collection[Row]) -> Mapping[UUID, Sequence[Row]]:
    found: dict[UUID, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found
