"""What all lanes do: try what was claimed, once, and write down how it went."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge
from structlog import get_logger

from nova.backbone.database import Database
from nova.features.deliveries import rules
from nova.features.deliveries.lanes import store
from nova.features.deliveries.lanes.gates import Gate, State
from nova.features.deliveries.ledger import Ledger
from nova.features.deliveries.models import Claimed
from nova.features.deliveries.rules import Patience
from nova.features.deliveries.store import Noted
from nova.kernel.clock import Clock
from nova.kernel.errors import Unavailable
from nova.kernel.text import beginning
from nova.ports.carriers import Outcome, Verdict

_log = get_logger()

LATELY_S = 600.0
"""For so long after something was sent, tokens of other apps are not blamed on our settings."""
RECORD_PAUSES_S = (0.2, 1.0, 3.0)


class Pacing(Struct, frozen=True, kw_only=True):
    """How much a lane takes at once."""

    at_once: int = 64
    """Attempts under way in one process, at most: the bulkhead of a lane, or of one webhook."""
    in_bulk: int = 8
    """Of what was held, so many are claimed at a time."""
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
        self._pacing = pacing or Pacing()
        self._db = db
        self._ledger = ledger
        self._clock = clock
        self._meters = meters
        self._roll = roll
        self._blamed: set[UUID] = set()
        self._sent_at = -LATELY_S
        self._bell, self._bulk_bell = asyncio.Event(), asyncio.Event()
        self._wants_room = False
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def carried_by(self) -> str:
        """What takes it on from here."""
        raise NotImplementedError

    def gate(self, one: Claimed) -> Gate:
        """Return the gate that an attempt passes."""
        raise NotImplementedError

    def state(self, now: float) -> State:
        """Return how its breaker is; the worst of several."""
        raise NotImplementedError

    async def turn(self) -> None:
        """Start sending what is due and live; wait when there is nothing to do."""
        raise NotImplementedError

    async def _out(self, one: Claimed, badge: int | None) -> Outcome:
        """Hand one over."""
        raise NotImplementedError

    @property
    def in_flight(self) -> int:
        return len(self._sending)

    def ring(self) -> None:
        """Say that something is due."""
        self._bell.set()
        self._bulk_bell.set()

    async def close(self, within_s: float = 5.0) -> None:
        """Let attempts end; those that take longer are left, with an unknown outcome."""
        if self._sending:
            _, late = await asyncio.wait(self._sending, timeout=within_s)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @property
    def _lease_s(self) -> float:
        return self.patience.timeout_s + 2 * self._pacing.margin_s

    def _start(
        self,
        claimed: Sequence[tuple[Claimed, bool]],
        badges: Mapping[UUID, int],
        started: float,
    ) -> None:
        """Start sending what was claimed."""
        for one, again in claimed:
            if again:
                self._meters.resends.labels(self.name).inc()
            gate = self.gate(one)
            gate.begin(self._clock.monotonic())
            task = asyncio.create_task(self._send(one, badges.get(one.user), started))
            self._sending.add(task)
            task.add_done_callback(partial(self._sent, gate))
        self._meters.in_flight.labels(self.name).set(len(self._sending))

    def _sent(self, gate: Gate, task: asyncio.Task[None]) -> None:
        gate.end()
        self._sending.discard(task)
        self._meters.in_flight.labels(self.name).set(len(self._sending))
        if self._wants_room:
            self._wants_room = False
            self.ring()
        if not task.cancelled() and task.exception() is not None:
            _log.error("delivery_not_recorded", lane=self.name, error=repr(task.exception()))

    async def _send(self, one: Claimed, badge: int | None, started: float) -> None:
        """Try once, and write down how it went."""
        if self._clock.monotonic() - started > self._pacing.margin_s:
            # This process stood still meanwhile, so the lease may be over by the time of sending.
            self.gate(one).breaker.untried()
            await store.give_back(self._db, [one])
            return
        began = self._clock.now()
        outcome = await self._tried(one, badge)
        now = self._clock.monotonic()
        self.gate(one).went(sick=rules.sick(outcome, self.patience), now=now)
        self._meters.attempts.labels(self.name, outcome.verdict.value).inc()
        noted, pause_s = self._noted(one, outcome, began), self._pause(one, outcome)
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
        now = self._clock.monotonic()
        if outcome.verdict is Verdict.MISCONFIGURED:
            self._blamed.add(one.user)
            if len(self._blamed) < self._pacing.blame:
                return 0.0
            if outcome.code in self.patience.about_one and now - self._sent_at < LATELY_S:
                return 0.0  # others get through: our settings are right
        else:
            self._blamed.clear()
            if outcome.verdict is Verdict.SENT:
                self._sent_at = now
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

    def _noted(self, one: Claimed, outcome: Outcome, began: datetime) -> Noted:
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
            provider_id=_clean(outcome.provider_id or "", 2_048) or None,
            doubtful=step.doubtful,
            counts=step.counts,
            # Whoever registers the address while the attempt is under way knows better.
            gone_since=outcome.gone_since or began,
        )


def _clean(text: str, most: int) -> str:
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
    return beginning(clean, most)


async def first(event: asyncio.Event, within_s: float) -> None:
    """Wait for an event, or for so long."""
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return
