"""The lane of a platform: to phones, browsers or mailboxes, by a carrier."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec
from msgspec import structs

from nova.features.deliveries.asks import Devices, Inbox, Preferences, Reach
from nova.features.deliveries.lanes import store, untried
from nova.features.deliveries.lanes.gates import Breaker, Gate, State
from nova.features.deliveries.lanes.lane import Lane, first
from nova.features.deliveries.lanes.still_valid import StillValid, Titles
from nova.features.deliveries.lanes.wishes import Wishes
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.store import Noted
from nova.ports.carriers import Carrier, Outcome, Parcel, Target
from nova.ports.database import Queries

Platform: TypeAlias = Literal["ios", "android", "web", "mail"]
Claims: TypeAlias = Sequence[tuple[Claimed, bool]]
"""What was leased, and of each whether it may have arrived."""
RESTS = 6.0
"""How long those rest who release or send in bulk, in times of their work."""
_keys = msgspec.json.Decoder(dict[str, str])
_encode = msgspec.json.Encoder().encode


class Badges(Protocol):
    """Counts that an app's icon shows."""

    async def unread(self, users: Sequence[UUID]) -> Mapping[UUID, int]: ...


class PlatformLane(Lane):
    """The lane of a platform: its carrier takes rendered parcels."""

    def __init__(
        self,
        platform: Platform,
        carrier: Carrier,
        *,
        badges: Badges,
        devices: Devices,
        inbox: Inbox,
        preferences: Preferences,
        titles: Titles,
        **rest: Any,
    ) -> None:
        super().__init__(platform, **rest)
        self._platform: Platform = platform
        self.carrier = carrier
        self._badges = badges
        self._devices = devices
        self._wishes = Wishes(self._db, preferences)
        self._still_valid = StillValid(self._db, self._clock, inbox, titles)
        self._gate = Gate(self._roll, self._pacing.at_once)

    @property
    def carried_by(self) -> str:
        return self.carrier.name

    @property
    def breaker(self) -> Breaker:
        return self._gate.breaker

    def gate(self, one: Claimed) -> Gate:
        del one
        return self._gate

    def state(self, now: float) -> State:
        return self.breaker.state(now)

    async def turn(self) -> None:
        self._bell.clear()
        if not await self._claim(max(1, self._gate.kept)):
            await self._rest(self._bell)

    async def turn_in_bulk(self) -> None:
        """Send a little of what was held or gathered, and rest six times as long as that took.

        It never takes the last quarter of the room: what is live waits for none of it.
        """
        self._bulk_bell.clear()
        started = self._clock.monotonic()
        if await self._claim(self._pacing.in_bulk, bulk=True):
            took = self._clock.monotonic() - started
            await asyncio.sleep(min(self._pacing.wait_s, RESTS * took))
        else:
            await self._rest(self._bulk_bell)

    async def _rest(self, bell: asyncio.Event) -> None:
        """Wait for a ring, but look again when the breaker may have closed."""
        pause = self.breaker.wait_s(self._clock.monotonic())
        await first(bell, min(pause or self._pacing.wait_s, self._pacing.wait_s))

    async def _claim(self, most: int, *, bulk: bool = False) -> int:
        """Start sending what is due, as far as there is room; return how many that were."""
        started = self._clock.monotonic()
        self._meters.breaker.labels(self.name).set(self.state(started) is State.OPEN)
        room = self._gate.reserve(started, most, bulk=bulk)
        if not room:
            self._wants_room = True
            return 0
        try:
            claimed = await self._leased(room, bulk=bulk)
            there, not_tried = await self._sifted(claimed)
            badges = await self._unread([one for one, _ in there])
        finally:
            self._free(room, bulk=bulk)
        self._start(there, badges, started)
        await asyncio.gather(*(self._ledger.record(each, 0.0) for each in not_tried))
        return len(claimed)

    async def _sifted(self, claimed: Claims) -> tuple[Claims, list[Noted]]:
        """Return those to send, and the outcomes of those that are not to be tried."""
        there, gone = await self._found(claimed)
        unwanted = await self._wishes.against([one for one, _ in there], self._clock.now())
        ids = {noted.claimed.id for noted in unwanted}
        fresh, taken_back = await self._still_valid.sifted(
            [one for one, _ in there if one.id not in ids]
        )
        to_send = [(fresh[one.id], again) for one, again in there if one.id in fresh]
        return to_send, [*map(untried.gone, gone), *unwanted, *taken_back]

    async def _found(self, claimed: Claims) -> tuple[list[tuple[Claimed, bool]], list[Claimed]]:
        """Return those that lead somewhere, to where their people are now, and the others.

        Since a delivery was planned, its phone may have changed hands or its token, and its owner
        the mailbox: what waited must not show up at somebody else's.
        """
        if not claimed:
            return [], []
        reach = await self._devices.reach(list({one.user for one, _ in claimed}))
        there, gone = [], []
        for one, again in claimed:
            way = _way(one, reach.get(one.user, ()))
            if way is None or one.cancelled:
                gone.append(one)
            else:
                there.append((_to(one, way), again))
        return there, gone

    def _free(self, room: int, *, bulk: bool) -> None:
        """Give back what was reserved for a claim."""
        self._gate.free(room, bulk=bulk)

    async def _leased(self, room: int, *, bulk: bool) -> Claims:
        """Lease what is due, but no more than all processes together may send."""
        pace = self._pacing.per_s
        if not pace:
            return await self._due(self._db, room, bulk=bulk)
        async with self._db.transaction() as tx:
            now = self._clock.now()
            allowed = await store.allowed(tx, self.name, now, room, per_s=pace, bulk=bulk)
            claims = await self._due(tx, allowed, bulk=bulk) if allowed else []
            if claims:
                await store.charge(tx, self.name, now, len(claims), per_s=pace)
        return claims

    async def _due(self, db: Queries, room: int, *, bulk: bool) -> Claims:
        """Lease up to so many that are due."""
        return await store.claim(db, self.name, self._clock.now(), room, self._lease_s, bulk=bulk)

    async def _unread(self, claimed: Sequence[Claimed]) -> Mapping[UUID, int]:
        """Return what the icons of these users' apps should show."""
        if not claimed:
            return {}
        return await self._badges.unread(list({each.user for each in claimed}))

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        return await self.carrier.send(self._parcel(one, badge))

    def _parcel(self, one: Claimed, badge: int | None) -> Parcel:
        return Parcel(
            id=one.id,
            target=Target(
                device_id=one.device,
                platform=self._platform,
                address=one.address,
                keys=_keys.decode(one.keys),
            ),
            title=one.title,
            body=one.body,
            html=None,
            url=one.url,
            data=_keys.decode(one.data) | {"delivery": str(one.id)},
            collapse_id=one.collapse_id,
            urgent=one.urgent,
            expires_at=one.expires_at,
            locale=one.locale,
            unsubscribe_url=None,
            badge=badge,
        )


def _way(one: Claimed, reach: Sequence[Reach]) -> Reach | None:
    return next((each for each in reach if each.device == one.device), None)


def _to(one: Claimed, way: Reach) -> Claimed:
    keys = _encode(way.keys).decode()
    return structs.replace(one, address=way.address, keys=keys, reader=way.locale)
