"""Lanes: one per platform, each with its own room, pace, breaker and patience."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, Protocol, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog import get_logger

from nova.backbone.database import Database
from nova.features.deliveries import rendering, rules, store
from nova.features.deliveries.breaker import Breaker, State
from nova.features.deliveries.ledger import Ledger
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.rules import Patience
from nova.features.deliveries.store import Noted
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.ports.carriers import Carrier, Outcome, Parcel, Target, Verdict

_log = get_logger()
Platform: TypeAlias = Literal["ios", "android", "web", "mail"]
_keys = msgspec.json.Decoder(dict[str, str])

RECORD_PAUSES_S = (0.2, 1.0, 3.0)


class Badges(Protocol):
    """Counts that an app's icon shows."""

    async def unread(self, users: Sequence[UUID]) -> Mapping[UUID, int]: ...


class Pacing(Struct, frozen=True, kw_only=True):
    """How much a lane takes at once."""

    at_once: int = 64
    """Attempts under way in one process, at most: the lane's bulkhead."""
    per_s: float = 0.0
    """Attempts per second of all processes together; 0: as fast as it goes."""
    margin_s: float = 5.0
    """A lease outlives the timeout of an attempt by twice that; who wakes up later sends not."""
    blame: int = 3
    """People in a row whose deliveries say that we are misconfigured, before the lane is paused:
    one person's app may have registered nonsense."""
    wait_s: float = 1.0
    """Longest time between two looks when nothing rings."""


class Meters:
    """What lanes count."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.attempts = Counter(
            "nova_delivery_attempts",
            "Attempts to deliver, by lane and verdict.",
            ["lane", "verdict"],
            registry=registry,
        )
        self.resends = Counter(
            "nova_delivery_resends",
            "Attempts after one whose outcome was unknown; they carry the same collapse id.",
            ["lane"],
            registry=registry,
        )
        self.overtaken = Counter(
            "nova_delivery_overtaken",
            "Outcomes that came after the lease had passed to another process.",
            ["lane"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "nova_delivery_in_flight", "Attempts under way.", ["lane"], registry=registry
        )
        self.breaker = Gauge(
            "nova_delivery_breaker_open",
            "Whether a lane leaves its provider alone.",
            ["lane"],
            registry=registry,
        )


class Lane:
    """Sends what is due on one way out. What happens to it is no other lane's affair.

    An attempt is written down before it is made and again after it: a process that dies in
    between leaves an attempt of unknown outcome, and the next one carries the same collapse id.
    """

    def __init__(
        self,
        name: str,
        *,
        db: Database,
        ledger: Ledger,
        clock: Clock,
        meters: Meters,
        roll: Callable[[], float],
        pacing: Pacing | None = None,
        patience: Patience,
    ) -> None:
        self.name = name
        self.patience = patience
        self.breaker = Breaker(roll)
        self._pacing = pacing or Pacing()
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._meters = meters
        self._roll = roll
        self._blamed: set[UUID] = set()
        self._bell = asyncio.Event()
        self._room = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def carried_by(self) -> str:
        """What takes it on from here."""
        raise NotImplementedError

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        """Hand one over."""
        raise NotImplementedError

    async def _counted(self, claimed: Sequence[Claimed]) -> Mapping[UUID, int]:
        """Return what the icons of these users' apps should show."""
        del claimed
        return {}

    @property
    def in_flight(self) -> int:
        return len(self._sending)

    def ring(self) -> None:
        """Say that something is due."""
        self._bell.set()

    async def turn(self) -> None:
        """Claim what there is room for and start sending it; wait when there is nothing to do."""
        now = self._clock.monotonic()
        self._meters.breaker.labels(self.name).set(self.breaker.state(now) is State.OPEN)
        if pause := self.breaker.wait_s(now):
            await asyncio.sleep(min(pause, self._pacing.wait_s))
            return
        room = self.breaker.room(now, self._pacing.at_once - len(self._sending))
        if room <= 0:
            self._room.clear()
            await _first(self._room, self._pacing.wait_s)
            return
        self._bell.clear()
        if not await self._claim(room):
            await _first(self._bell, self._pacing.wait_s)

    async def close(self, within_s: float = 5.0) -> None:
        """Let attempts end; those that take longer are left, with an unknown outcome."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=within_s)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _claim(self, room: int) -> int:
        now = self._clock.now()
        # The last quarter of the room is for what is live: a flood of what was held never fills it.
        for_all = self._pacing.at_once - self._pacing.at_once // 4 - len(self._sending)
        live = for_all <= 0
        room = room if live else min(room, for_all)
        lease_s = self.patience.timeout_s + 2 * self._pacing.margin_s
        started = self._clock.monotonic()
        if per_s := self._pacing.per_s:
            async with self._db.transaction() as tx:
                claimed = await store.claim_paced(
                    tx, self.name, now, room, lease_s, per_s=per_s, live=live
                )
        else:
            claimed = await store.claim(self._db, self.name, now, room, lease_s, live=live)
        if not claimed:
            return 0
        badges = await self._counted([each for each, _ in claimed])
        for one, again in claimed:
            if again:
                self._meters.resends.labels(self.name).inc()
            self.breaker.began(self._clock.monotonic())
            task = asyncio.create_task(self._send(one, badges.get(one.user), started))
            self._sending.add(task)
            task.add_done_callback(self._sent)
        self._meters.in_flight.labels(self.name).set(len(self._sending))
        return len(claimed)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._meters.in_flight.labels(self.name).set(len(self._sending))
        self._room.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("delivery_not_recorded", lane=self.name, error=repr(task.exception()))

    async def _send(self, one: Claimed, badge: int | None, started: float) -> None:
        """Try once, and write down how it went."""
        if self._clock.monotonic() - started > self._pacing.margin_s:
            # This process stood still meanwhile, so the lease may be over by the time of sending.
            await store.give_back(self._db, [one])
            return
        outcome = await self._tried(one, badge)
        now = self._clock.monotonic()
        self.breaker.went(sick=rules.sick(outcome, self.patience), now=now)
        self._meters.attempts.labels(self.name, outcome.verdict.value).inc()
        noted, pause_s = self._noted(one, outcome), self._pause(one, outcome)
        for wait_s in (*RECORD_PAUSES_S, None):
            try:
                held = await self._ledger.record(noted, pause_s)
            except Unavailable:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
            else:
                if not held:
                    self._meters.overtaken.labels(self.name).inc()
                return

    def _pause(self, one: Claimed, outcome: Outcome) -> float:
        """Return for how long the whole lane is to be left alone."""
        if outcome.verdict is Verdict.MISCONFIGURED:
            self._blamed.add(one.user)
            if len(self._blamed) < self._pacing.blame:
                return 0.0
        else:
            self._blamed.clear()
        return rules.pause(outcome, self.patience)

    async def _tried(self, one: Claimed, badge: int | None) -> Outcome:
        try:
            async with asyncio.timeout(self.patience.timeout_s):
                return await self._out(one, badge)
        except TimeoutError:
            says = f"No answer within {self.patience.timeout_s:g} s."
            return Outcome(Verdict.UNKNOWN, "timeout", says, None, None, None)
        except Exception as wrong:  # noqa: BLE001  # a bug in a carrier must not stop the lane
            _log.exception("carrier_failed", lane=self.name, carrier=self.carried_by)
            says = f"The carrier failed: {type(wrong).__name__}."
            return Outcome(Verdict.UNKNOWN, "carrier_failed", says, None, None, None)

    def _noted(self, one: Claimed, outcome: Outcome) -> Noted:
        now = self._clock.now()
        step = rules.after(
            outcome,
            self.patience,
            tries=one.tries,
            spent_s=(now - one.tries_from).total_seconds(),
            left_s=(one.expires_at - now).total_seconds(),
            roll=self._roll(),
        )
        return Noted(
            claimed=one,
            phase=step.phase,
            status=step.status,
            reason=step.reason,
            due=None if step.delay_s is None else now + timedelta(seconds=step.delay_s),
            verdict=outcome.verdict.value,
            code=_clean(outcome.code, 128),
            says=_clean(outcome.text, 1_000),
            provider_id=outcome.provider_id,
            doubtful=step.doubtful,
            counts=step.counts,
            gone_since=outcome.gone_since,
        )


def _clean(text: str, most: int) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:most]


async def _first(event: asyncio.Event, within_s: float) -> Any:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return


class PlatformLane(Lane):
    """The lane of a platform: its carrier takes rendered parcels."""

    def __init__(
        self,
        platform: Platform,
        carrier: Carrier,
        *,
        badges: Badges,
        links: Callable[[UUID, str], str | None],
        **rest: Any,
    ) -> None:
        """`links` makes the address that unsubscribes a user from a type's mail."""
        super().__init__(platform, **rest)
        self._platform: Platform = platform
        self.carrier = carrier
        self._badges = badges
        self._links = links

    @property
    def carried_by(self) -> str:
        return self.carrier.name

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        return await self.carrier.send(self._parcel(one, badge))

    async def _counted(self, claimed: Sequence[Claimed]) -> Mapping[UUID, int]:
        if self._platform == "mail":
            return {}
        return await self._badges.unread(list({each.user for each in claimed}))

    def _parcel(self, one: Claimed, badge: int | None) -> Parcel:
        mail = self._platform == "mail"
        link = self._links(one.user, one.type) if mail else None
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
            html=rendering.html(one.title, one.body, one.url, link, one.locale) if mail else None,
            url=one.url,
            data=_keys.decode(one.data) | {"delivery": str(one.id)},
            collapse_id=one.collapse_id,
            urgent=one.urgent,
            expires_at=one.expires_at,
            locale=one.locale,
            unsubscribe_url=link,
            badge=badge,
        )


class HookLane(Lane):
    """The lane of webhooks: everything about retries is the same, the way out is a POST."""

    def __init__(self, post: Callable[[Claimed], Awaitable[Outcome]], **rest: Any) -> None:
        super().__init__("hook", **rest)
        self._post = post

    @property
    def carried_by(self) -> str:
        return "webhooks"

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        del badge
        return await self._post(one)
