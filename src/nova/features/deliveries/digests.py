"""Digests: gathered while open, closed by one process, each event in exactly one."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any
from uuid import UUID

from msgspec import Struct

from nova.backbone.database import Database, Tx
from nova.backbone.maintenance_batches import in_portions
from nova.features.deliveries import plan, rendering, rules, store, store_digests
from nova.features.deliveries.asks import Ask, Devices, Inbox, Naming, People, Preferences, Said
from nova.features.deliveries.models import CHANNEL_OF, New
from nova.features.deliveries.plan import Choice, Person
from nova.features.deliveries.policies import DigestRule
from nova.features.deliveries.quiet_hours import QuietBook
from nova.features.notifications.events import NotificationEdited
from nova.kernel.clock import Clock
from nova.kernel.ids import new_id
from nova.kernel.locales import words_of
from nova.ports.database import Queries, Row

CLOSED_AT_ONCE = 500
MOST_LINES = 50
"""Lines of a digest; more are counted."""


class Entry(Struct, frozen=True, kw_only=True):
    """A notification as a digest gathers it."""

    notification: UUID
    channel: str
    user: UUID
    number: int
    actor: UUID | None
    actor_name: str | None
    type: str
    about: str | None
    title: str
    body: str
    url: str | None
    locale: str
    at: datetime
    zone: str
    """The recipient's time zone."""


class Digests:
    """Opens, fills and closes digests."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        devices: Devices,
        people: People,
        quiet: QuietBook,
        preferences: Preferences,
        naming: Naming,
        inbox: Inbox,
        rings: Callable[[str], None],
        spread_s: float,
    ) -> None:
        self._db = db
        self._clock = clock
        self._devices = devices
        self._people = people
        self._quiet = quiet
        self._preferences = preferences
        self._naming = naming
        self._inbox = inbox
        self._rings = rings
        self._spread_s = spread_s

    async def take(
        self, tx: Tx, given: Sequence[tuple[Entry, Choice]], now: datetime
    ) -> list[Entry]:
        """Gather entries; return those that go out at once, since nothing else did lately."""
        if not given:
            return []
        known = {
            (row["notification"], row["channel"])
            for row in await tx.fetch(
                store_digests.KNOWN, [entry.notification for entry, _ in given]
            )
        }
        new = [
            (entry, choice.digest)
            for entry, choice in given
            if choice.digest is not None and (entry.notification, entry.channel) not in known
        ]
        at_once = await self._firsts(tx, new, now)
        rest = [(entry, rule) for entry, rule in new if entry not in at_once]
        if rest:
            opened = await self._open(tx, rest, now)
            await _add(tx, [(entry, opened[place(entry, rule)]) for entry, rule in rest])
        return at_once

    async def withdraw(
        self,
        tx: Tx,
        user: UUID,
        notifications: Sequence[UUID] | None = None,
        *,
        actor: UUID | None = None,
        up_to: int | None = None,
    ) -> int:
        """Take entries out of open digests; an empty one then closes without a word."""
        return await tx.run(store_digests.WITHDRAW, user, notifications, actor, up_to)

    async def strike(self, tx: Tx, user: UUID, notifications: Sequence[UUID]) -> list[UUID]:
        """Take entries out of all digests and forget their words; return which digests."""
        rows = await tx.fetch(store_digests.STRIKE, user, notifications)
        return await self._reworded(tx, rows, is_gone=True)

    async def edit(self, tx: Tx, fact: NotificationEdited) -> list[UUID]:
        """Give an entry other words; return in which digests it is."""
        told = (fact.title, fact.body, fact.actor_id, fact.actor_name)
        rows = await tx.fetch(
            store_digests.EDIT, fact.user, fact.notification, *told, *plan.other(fact)
        )
        return await self._reworded(tx, rows, is_gone=fact.is_other)

    async def _reworded(self, tx: Tx, changed: Sequence[Row], *, is_gone: bool) -> list[UUID]:
        """Have the ledger say of digests what is left of them.

        Where something is gone, a digest that is just being sent is recalled afterwards.
        """
        digests = list({row["digest"] for row in changed})
        if not digests:
            return []
        rows = await tx.fetch(store_digests.ENTRIES, digests)
        left = {digest: list(some) for digest, some in groupby(rows, key=lambda row: row["digest"])}
        titles = await self.titles(left)
        said = {digest: worded(entries, titles) for digest, entries in left.items()}
        words = [said.get(each, ("", "")) for each in digests]
        parts = ([title for title, _ in words], [body for _, body in words])
        await tx.run(store_digests.REWORD, digests, *parts, is_gone)
        return digests

    async def close_due(self) -> int:
        """Close what is due, some at a time, and write the deliveries; return how many closed."""
        closed = count = await self._close()
        while count == CLOSED_AT_ONCE:
            count = await self._close()
            closed += count
        return closed

    async def erase(self, tx: Tx, user: UUID) -> None:
        await tx.run(store_digests.ERASE, user)

    async def forget(self, before: datetime) -> None:
        await in_portions(partial(self._db.run, store_digests.FORGET, before))

    async def _firsts(
        self, tx: Tx, new: Sequence[tuple[Entry, DigestRule]], now: datetime
    ) -> list[Entry]:
        """Return those that nothing of their key precedes within the look-back."""
        looking = [(entry, rule) for entry, rule in new if rule.look_back_s is not None]
        if not looking:
            return []
        keys = sorted({place(entry, rule) for entry, rule in looking})
        rows = await tx.fetch(
            store_digests.RECENT, *(list(column) for column in zip(*keys, strict=True))
        )
        last = {(row["user_id"], row["channel"], row["key"]): row["at"] for row in rows}
        firsts = []
        for entry, rule in looking:
            key = place(entry, rule)
            since = now - timedelta(seconds=rule.look_back_s or 0.0)
            if key not in last or last[key] < since:
                last[key] = now
                firsts.append(entry)
                await tx.run(store_digests.MARK, new_id(), *key, entry.type, now)
        return firsts

    async def _open(
        self, tx: Tx, new: Sequence[tuple[Entry, DigestRule]], now: datetime
    ) -> Mapping[tuple[UUID, str, str], UUID]:
        """Return the open digest of each key, locked until the commit."""
        wanted = {place(entry, rule): (entry, rule) for entry, rule in new}
        keys = sorted(wanted)
        rows = await tx.fetch(
            store_digests.OPEN,
            [new_id() for _ in keys],
            [key[0] for key in keys],
            [key[1] for key in keys],
            [key[2] for key in keys],
            [wanted[key][0].type for key in keys],
            [now for _ in keys],
            [
                plan.closes(rule, entry.user, entry.zone, now)
                for entry, rule in (wanted[key] for key in keys)
            ],
        )
        return {(row["user_id"], row["channel"], row["key"]): row["id"] for row in rows}

    async def _close(self) -> int:
        now = self._clock.now()
        async with self._db.transaction() as tx:
            closed = await tx.fetch(store_digests.CLOSE, now, CLOSED_AT_ONCE)
            if not closed:
                return 0
            gathered = await tx.fetch(store_digests.ENTRIES, [row["id"] for row in closed])
            entries = {
                digest: list(some)
                for digest, some in groupby(
                    await self._wanted(gathered), key=lambda row: row["digest"]
                )
            }
            people = await self._persons([row["user_id"] for row in closed if row["id"] in entries])
            titles = await self.titles(entries)
            rows = [
                new
                for row in closed
                if row["id"] in entries
                for new in self._deliveries(
                    row, entries[row["id"]], titles, people[row["user_id"]], now
                )
            ]
            added = await store.add(tx, rows)
            lanes = {row["lane"] for row in added if row["phase"] == "waiting"}

            def ring() -> None:
                for lane in lanes:
                    self._rings(lane)

            tx.after_commit(ring)
        return len(closed)

    async def _wanted(self, entries: Sequence[Row]) -> list[Row]:
        """Return those that stand and that their people still want, in their words of now."""
        said = await self._inbox.current({row["notification"] for row in entries})
        entries = up_to_date(entries, said)
        asks = [Ask(row["user_id"], row["type"], row["about"]) for row in entries]
        answers = await self._preferences.wanted(asks) if asks else []
        return [
            row
            for row, wanted in zip(entries, answers, strict=True)
            if wanted.get(row["channel"], (True, ""))[0]
        ]

    async def titles(self, digests: Mapping[UUID, Sequence[Row]]) -> Mapping[UUID, str]:
        """Return the titles that name several, by the notification that is the newest of them."""
        naming = {
            some[0]["notification"]: names
            for entries in digests.values()
            for some in things(entries)
            if (names := together(some)) is not None
        }
        return await self._naming.titles(naming) if naming else {}

    async def _persons(self, users: Sequence[UUID]) -> Mapping[UUID, Person]:
        wanted = list(dict.fromkeys(users))
        reach = await self._devices.reach(wanted)
        profiles = await self._people.profiles(wanted)
        schedules = await self._quiet.of(wanted)
        return {
            user: Person(
                profiles[user].timezone if user in profiles else "UTC",
                schedules[user],
                reach.get(user, ()),
            )
            for user in wanted
        }

    def _deliveries(
        self,
        digest: Row,
        entries: Sequence[Row],
        titles: Mapping[UUID, str],
        person: Person,
        now: datetime,
    ) -> list[New]:
        channel, user = digest["channel"], digest["user_id"]
        choice = plan.at_once_or_held(
            channel, user, person, now=now, spread_s=self._spread_s, rule="digest"
        )
        newest = entries[0]
        title, body = worded(entries, titles)
        return [
            New(
                id=new_id(),
                notification=digest["id"],
                kind="digest",
                user=user,
                number=newest["number"],
                type=digest["type"],
                channel=channel,
                lane=target.platform,
                target=target.device or user,
                address=target.address,
                keys=plan.json(target.keys),
                title=title,
                body=body,
                url=newest["url"] if len(entries) == 1 else None,
                data=plan.json({"digest": str(digest["id"]), "type": digest["type"]}),
                locale=newest["locale"],
                collapse_id=digest["id"].hex,
                made_at=now,
                expires_at=max(now, choice.due or now)
                + timedelta(seconds=rules.PATIENCE[target.platform].ttl_s),
                phase=choice.phase,
                reason=choice.reason,
                rule=choice.rule,
                due=choice.due,
                priority=1,
            )
            for target in person.reach
            if CHANNEL_OF[target.platform] == channel
        ]


def up_to_date(entries: Sequence[Row], said: Mapping[UUID, Said]) -> list[Row]:
    """Return those entries that still stand, in their words of now."""
    return [
        dict(row)
        | {
            "title": now.title,
            "body": now.body,
            "actor_id": now.actor,
            "actor_name": now.actor_name,
        }
        for row in entries
        if (now := said.get(row["notification"])) is not None
    ]


def place(entry: Entry, rule: DigestRule) -> tuple[UUID, str, str]:
    """Return what an entry is gathered by."""
    key = entry.type if rule.by == "type" else f"{entry.type}/{entry.about or ''}"
    return entry.user, entry.channel, key


def things(entries: Sequence[Row]) -> list[list[Row]]:
    """Return the entries by what they are about, the newest first."""
    found: dict[Any, list[Row]] = {}
    for entry in entries:
        about = (entry["type"], entry["about"] or entry["notification"])
        found.setdefault(about, []).append(entry)
    return list(found.values())


def together(entries: Sequence[Row]) -> str | None:
    """Return everybody's names where several did the same to one thing; None where one did."""
    who = list(dict.fromkeys(row["actor_name"] for row in entries if row["actor_name"]))
    total = len({row["actor_id"] or row["notification"] for row in entries})
    if total < 2 or not entries[0]["actor_name"]:  # noqa: PLR2004  # more than one
        return None
    return rendering.names(who, total, entries[0]["locale"])


def worded(entries: Sequence[Row], titles: Mapping[UUID, str]) -> tuple[str, str]:
    """Return a digest's title and body: a line for each thing, with who did it put together.

    `titles` has those of notifications that are to name several.
    """
    newest = [some[0] for some in things(entries)]
    lines = [titles.get(row["notification"], row["title"]) for row in newest]
    if len(lines) == 1:
        only = entries[0]["body"] if len(entries) == 1 else ""
        return lines[0], only
    title = words_of(rendering.SUMMARY, entries[0]["locale"]).format(n=len(entries))
    body = lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], "…"]
    return title, "\n".join(body)


async def _add(db: Queries, entries: Sequence[tuple[Entry, UUID]]) -> None:
    await db.run(
        store_digests.ADD,
        [entry.notification for entry, _ in entries],
        [entry.channel for entry, _ in entries],
        [digest for _, digest in entries],
        [entry.user for entry, _ in entries],
        [entry.number for entry, _ in entries],
        [entry.actor for entry, _ in entries],
        [entry.actor_name for entry, _ in entries],
        [entry.type for entry, _ in entries],
        [entry.about for entry, _ in entries],
        [entry.title for entry, _ in entries],
        [entry.body for entry, _ in entries],
        [entry.url for entry, _ in entries],
        [entry.locale for entry, _ in entries],
        [entry.at for entry, _ in entries],
    )
