"""Deliveries, put together: from a stored notification to a provider's word, and the log of it."""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova.backbone.database import Database, Tx
from nova.backbone.maintenance_batches import in_portions
from nova.features.deliveries import (
    rules,
    store,
    store_log,
    store_throttles,
    webhooks,
)
from nova.features.deliveries.asks import (
    Devices,
    Graves,
    Inbox,
    Naming,
    People,
    Preferences,
)
from nova.features.deliveries.burial import Burial, Caution
from nova.features.deliveries.delivery_log import DeliveryLog
from nova.features.deliveries.digests import Digests
from nova.features.deliveries.endings import Endings
from nova.features.deliveries.erasure import Erasing
from nova.features.deliveries.explain import Explainer, Rehearsal
from nova.features.deliveries.lanes.browsers import BrowserLane
from nova.features.deliveries.lanes.hooks import HookLane
from nova.features.deliveries.lanes.lane import Lane, Meters, Pacing
from nova.features.deliveries.lanes.mail_bound import MailBound
from nova.features.deliveries.lanes.mailboxes import MailLane
from nova.features.deliveries.lanes.platforms import Badges, PlatformLane
from nova.features.deliveries.ledger import Ledger
from nova.features.deliveries.mail.samples import Samples, Titles
from nova.features.deliveries.mail.templates import MailTemplates
from nova.features.deliveries.models import (
    LANES,
    LaneState,
)
from nova.features.deliveries.planner import Chosen, Planner
from nova.features.deliveries.policies import Policies
from nova.features.deliveries.quiet_hours import QuietBook
from nova.features.deliveries.release import Release
from nova.features.deliveries.rules import Patience
from nova.features.deliveries.throttles import Bounds
from nova.features.deliveries.unsubscribe import Unsubscribe
from nova.features.deliveries.webhooks import Webhooks
from nova.kernel.clock import Clock
from nova.kernel.errors import NotFound
from nova.ports.carriers import Carrier
from nova.ports.hooks import Hooks
from nova.web.cursors import Cursors

PULSE_DAYS = 7


class NoSuchLane(NotFound):
    """There is no such queue; there are ios, android, web and mail."""

    code = "no_such_lane"


class Knobs(Struct, frozen=True, kw_only=True):
    """What a deployment may choose."""

    public_url: str = ""
    sender: str = ""
    """From whom mail comes, as people read it."""
    link_schemes: frozenset[str] = frozenset()
    """Of app links that notifications may lead to."""
    spread_s: float = 60.0
    retention_days: float = 30.0
    bounds: Bounds = Bounds()
    pacing: Mapping[str, Pacing] = {}
    patience: Mapping[str, Patience] = {}
    caution: Caution = Caution()


class Ways(Struct, frozen=True, kw_only=True):
    """How deliveries leave."""

    carriers: Mapping[str, Carrier]
    """By platform: every one of them has one, a provider's or the catcher."""
    catcher: Carrier
    """Keeps what no provider takes."""
    hooks: Hooks


class Reached(Struct, frozen=True, kw_only=True):
    """What accounts answer: who people are, and where they are reached."""

    people: People
    devices: Devices
    graves: Graves


class Notified(Struct, frozen=True, kw_only=True):
    """What notifications answer."""

    preferences: Preferences
    inbox: Inbox
    badges: Badges
    naming: Naming
    rehearsal: Rehearsal
    samples: Titles


class Deliveries:
    """Everything about deliveries; `close()` lets attempts under way end."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        registry: CollectorRegistry,
        *,
        ways: Ways,
        reached: Reached,
        notified: Notified,
        zones: Collection[str],
        signing_secret: bytes,
        knobs: Knobs | None = None,
        roll: Callable[[], float] = random.random,
    ) -> None:
        people, devices, preferences = reached.people, reached.devices, notified.preferences
        self.knobs = knobs = knobs or Knobs()
        self._db = db
        self._clock = clock
        self.carriers = ways.carriers
        self.people = people
        self.unsubscribe = Unsubscribe(preferences, signing_secret, knobs.public_url)
        self.quiet = QuietBook(db, clock, people, zones=zones)
        self.policies = Policies(db, clock)
        self.mails = MailTemplates(db, clock)
        bound = MailBound(db, clock, knobs.bounds.mails_per_hour)
        self.samples = Samples(
            self.mails,
            clock,
            notified.samples,
            carrier=ways.carriers["mail"],
            catcher=ways.catcher,
            schemes=knobs.link_schemes,
            link_of=knobs.public_url,
        )
        self.webhooks = Webhooks(db, clock, ways.hooks, people, rings=self.ring)
        self.log = DeliveryLog(
            db,
            clock,
            self.webhooks,
            self.mails,
            cursors=Cursors(signing_secret, "deliveries", UUID),
            sender=knobs.sender,
            rings=self.ring,
        )
        endings = Endings(self.webhooks.wanted)
        self.ledger = Ledger(db, clock, endings=endings, rings=self.ring)
        self.digests = Digests(
            db,
            clock,
            devices=devices,
            people=people,
            quiet=self.quiet,
            preferences=preferences,
            naming=notified.naming,
            inbox=notified.inbox,
            rings=self.ring,
            spread_s=knobs.spread_s,
        )
        self.erasing = Erasing(db, self.digests)
        self.planner = Planner(
            clock,
            devices=devices,
            people=people,
            policies=self.policies,
            quiet=self.quiet,
            digests=self.digests,
            endings=endings,
            rings=self.ring,
            chosen=Chosen(spread_s=knobs.spread_s, bounds=knobs.bounds, schemes=knobs.link_schemes),
        )
        self.release = Release(
            db,
            clock,
            self.planner,
            preferences,
            notified.inbox,
            endings=endings,
            rings=self.ring,
            spread_s=knobs.spread_s,
        )
        self.explainer = Explainer(
            db,
            clock,
            rehearsal=notified.rehearsal,
            planner=self.planner,
            policies=self.policies,
            links=self.unsubscribe.link,
            mails=self.mails,
            bound=bound,
        )
        self.burial = Burial(db, clock, reached.graves, knobs.caution)
        common: dict[str, Any] = {
            "db": db,
            "ledger": self.ledger,
            "clock": clock,
            "meters": Meters(registry),
            "roll": roll,
        }
        of_mail = {
            "mails": self.mails,
            "people": people,
            "links": self.unsubscribe.link,
            "bound": bound,
        }
        kinds: dict[str, type[PlatformLane]] = {"web": BrowserLane, "mail": MailLane}
        self.platforms: dict[str, PlatformLane] = {
            name: kinds.get(name, PlatformLane)(
                name,
                ways.carriers[name],
                badges=notified.badges,
                devices=devices,
                inbox=notified.inbox,
                preferences=preferences,
                titles=self.digests.titles,
                **(of_mail if name == "mail" else {}),
                pacing=knobs.pacing.get(name),
                patience=knobs.patience.get(name, rules.PATIENCE[name]),
                **common,
            )
            for name in LANES
        }
        self.hooks = HookLane(
            self.webhooks.post,
            targets=self.webhooks.ids,
            pacing=knobs.pacing.get(webhooks.LANE, Pacing(at_once=webhooks.AT_ONCE)),
            patience=knobs.patience.get(webhooks.LANE, webhooks.PATIENCE),
            **common,
        )
        self.lanes: dict[str, Lane] = {**self.platforms, webhooks.LANE: self.hooks}

    def ring(self, lane: str) -> None:
        """Say that something is due in a lane."""
        found = self.lanes.get(lane)
        if found is not None:
            found.ring()

    async def close(self) -> None:
        await asyncio.gather(*(lane.close() for lane in self.lanes.values()))

    async def states(self) -> list[LaneState]:
        now = self._clock.monotonic()
        alive = {
            name: (lane.carried_by, lane.state(now).value, lane.in_flight)
            for name, lane in self.lanes.items()
        }
        return await store_log.lanes(self._db, self._clock.now(), alive)

    async def resume(self, lane: str, suspects: Any) -> None:
        """End a pause, of sending and of purging, and decide about those called dead meanwhile."""
        if lane not in self.lanes:
            raise NoSuchLane
        async with self._db.transaction() as tx:
            await self.burial.resume(tx, lane, suspects)
            tx.after_commit(lambda: self.ring(lane))

    async def sweep(self) -> None:
        """Drop what is not worth sending any more."""
        await in_portions(self.ledger.expire)

    async def forget(self) -> None:
        """Delete what is older than the log's retention."""
        now = self._clock.now()
        before = now - timedelta(days=self.knobs.retention_days)
        await self.digests.forget(before)
        for statement, age in (
            (store.FORGET, before),
            (store.FORGET_OUTBOX, before),
            (store.FORGET_PULSE, now - timedelta(days=PULSE_DAYS)),
            (store_throttles.FORGET, now),
            (store_throttles.FORGET_PAIRS, now),
        ):
            await in_portions(partial(self._db.run, statement, age))

    async def lighten(self, user: UUID) -> None:
        """Remove most of what was delivered to a user who is to be erased, some at a time."""
        await in_portions(lambda most: self._db.run(store.LIGHTEN, user, most))

    async def erase(self, tx: Tx, user: UUID) -> None:
        """Remove all that is held about a user."""
        for statement in store.ERASE:
            await tx.run(statement, user)
        await self.digests.erase(tx, user)
        await self.quiet.erase(tx, user)
        for statement in store_throttles.ERASE:
            await tx.run(statement, user)

    async def export(self, user: UUID) -> Mapping[str, Any]:
        """Return all that is held about a user."""
        return {
            "deliveries": await store_log.everything(self._db, user),
            "quiet_hours": (await self.quiet.of([user]))[user],
        }
