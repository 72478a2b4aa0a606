"""A small world whose notifications leave the app: devices, carriers that play along, a ledger."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import httpx
from prometheus_client import CollectorRegistry

from nova.adapters.local.outbox import OutboxSink
from nova.adapters.postgres.pool import PostgresPool
from nova.adapters.webhooks.poster import Poster
from nova.app.installing import listen
from nova.features.accounts import SIGNAL, Accounts, Credentials, Devices, Erasures
from nova.features.accounts import plug as plug_accounts
from nova.features.accounts.models import Change, NewDevice, SubscriptionKeys, WebSubscription
from nova.features.deliveries import (
    LANES,
    Deliveries,
    Knobs,
    Notified,
    Reached,
    Tale,
    Ways,
    plug,
)
from nova.features.deliveries.models import Delivery, Which
from nova.features.deliveries.policies import Policy
from nova.features.graph.models import Act
from nova.kernel.clock import Clock, SystemClock
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.ports.hooks import Hooks
from nova.web.tokens import Tokens
from nova.wire.addresses import Guard
from support.http import api_client
from support.notified import World
from support.postgres import patient_pool
from support.waiting import until


def outcome(verdict: Verdict, code: str = "", **more: Any) -> Outcome:
    fields: dict[str, Any] = {
        "text": "",
        "retry_after_s": None,
        "gone_since": None,
        "provider_id": None,
    }
    return Outcome(verdict, code, **(fields | more))


BROWSER = SubscriptionKeys(
    # The generator of P-256 (SEC 2, 2.4.2): a point of the curve as good as any.
    p256dh="BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
    auth="AAECAwQFBgcICQoLDA0ODw",
)
"""The keys of every browser here."""


def apns(name: str) -> str:
    """Return a token as APNs might give it, for a name that tells it from others."""
    return name.encode().ljust(32, b"\0").hex()


SENT = outcome(Verdict.SENT)
DUE = """
select exists (select from deliveries.digests where closed_at is null and closes_at <= $1)
    or exists (select from deliveries.deliveries
                where phase in ('held', 'standby') and due <= $1 and expires_at > $1)
"""


class Post:
    """A carrier that answers as it is told, and remembers what it was given."""

    name = "post"

    def __init__(self) -> None:
        self.parcels: list[Parcel] = []
        self.answers: list[Outcome] = []
        """What it says to the next parcels, in order; then `always`."""
        self.always = SENT
        self.open = asyncio.Event()
        """While it is not set, nobody gets an answer."""
        self.open.set()
        self.busy = 0
        self.most_busy = 0

    async def send(self, parcel: Parcel) -> Outcome:
        self.parcels.append(parcel)
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            await self.open.wait()
        finally:
            self.busy -= 1
        return self.answers.pop(0) if self.answers else self.always

    async def ping(self) -> str:
        return "post"

    @property
    def titles(self) -> list[str]:
        return [parcel.title for parcel in self.parcels]


class Delivered(World):
    """The world of notifications, with phones in it."""

    def __init__(
        self,
        pool: PostgresPool,
        clock: Clock,
        *,
        knobs: Knobs | None = None,
        hooks: Hooks | None = None,
        posts: Mapping[str, Post] | None = None,
        **more: Any,
    ) -> None:
        self.devices: Devices | None = None
        self.carriers: dict[str, Post] = {lane: Post() for lane in LANES} | dict(posts or {})
        super().__init__(pool, clock, reach=self, afterwards=Tale(pool), **more)
        self.clock = clock
        self.hooks = hooks or Poster(clock, networks=["127.0.0.0/8"])
        self.devices = Devices(self.db, guard=Guard(also=["127.0.0.0/8"]))
        self.backbone.signals.on(SIGNAL, self.devices.forget_user)
        zones = available_timezones()
        self.accounts = Accounts(
            self.db,
            self.people,
            clock=clock,
            zones=zones,
            features=lambda: [self.feature, self.deliveries_feature],
            devices=self.devices,
        )
        self.deliveries = Deliveries(
            self.db,
            clock,
            CollectorRegistry(),
            ways=Ways(carriers=self.carriers, catcher=OutboxSink(pool, clock), hooks=self.hooks),
            reached=Reached(people=self.people, devices=self.devices, graves=self.devices),
            notified=Notified(
                preferences=self.all.preferences,
                inbox=self.all.reviews,
                badges=self.all.inbox,
                naming=self.all.naming,
                rehearsal=self.all.rehearsal,
                samples=self.all.rehearsal,
            ),
            zones=zones,
            signing_secret=b"of the tests",
            knobs=knobs or Knobs(spread_s=0.0, public_url="https://nova.example"),
            roll=lambda: 0.0,
        )
        self.deliveries_feature = plug(self.deliveries)
        listen(self.deliveries_feature, self.backbone)
        self.backbone.turns += [(turn.name, turn.run) for turn in self.deliveries_feature.turns]

    async def reachable(self, users: Sequence[UUID]) -> set[UUID]:
        assert self.devices is not None
        return await self.devices.reachable(users)

    @property
    def ios(self) -> Post:
        return self.carriers["ios"]

    @property
    def mail(self) -> Post:
        return self.carriers["mail"]

    async def phone(self, who: str, token: str = "", platform: Any = "ios") -> UUID:
        """Register a device and return its id."""
        token = token or f"token-of-{who}"
        if platform == "web":
            new = NewDevice(
                platform="web",
                subscription=WebSubscription(
                    endpoint=token if "://" in token else f"https://push.example/{token}",
                    keys=BROWSER,
                ),
            )
        else:
            if platform == "ios":
                token = apns(token)
            new = NewDevice(platform=platform, token=token)
        device = await self.accounts.register(self.ids[who], new)
        return device.id

    async def mailbox(self, who: str, address: str = "") -> None:
        change = Change(email=address or f"{who}@example.org")
        await self.accounts.change(self.ids[who], change, by_server=True)

    async def lives_in(self, who: str, zone: str) -> None:
        await self.accounts.change(self.ids[who], Change(timezone=zone), by_server=True)

    async def block(self, who: str, whom: str) -> None:
        await self.graph.change(Act.BLOCK, self.ids[who], self.ids[whom])

    async def policy(self, kind: str, **fields: Any) -> None:
        await self.deliveries.policies.put(kind, Policy(**fields))

    async def ledger(self, who: str = "ben", **which: Any) -> list[Delivery]:
        """Return somebody's deliveries, oldest first."""
        page = await self.deliveries.log.page(Which(limit=200, **which), self.ids[who])
        return page.data[::-1]

    async def planned(self, count: int, who: str = "ben", **which: Any) -> list[Delivery]:
        """Wait until the ledger has that many, and return them."""

        async def enough() -> bool:
            return len(await self.ledger(who, **which)) >= count

        await until(enough)
        return await self.ledger(who, **which)

    async def ended(self, count: int = 1, who: str = "ben", **which: Any) -> list[Delivery]:
        """Wait until that many need nothing more."""
        found: list[Delivery] = []

        async def enough() -> bool:
            found[:] = [each for each in await self.ledger(who, **which) if each.next_at is None]
            return len(found) >= count

        await until(enough)
        return found

    async def due(self) -> None:
        """Close and release what is due: also what something else is just at, as jobs do later."""

        async def nothing_left() -> bool:
            await self.deliveries.digests.close_due()
            await self.deliveries.release.due()
            return not await self.pool.value(DUE, self.clock.now())

        await until(nothing_left)

    async def sees(self, holds: Callable[[], object]) -> None:
        await until(holds)


@asynccontextmanager
async def delivered(
    dsn: str, *, clock: Clock | None = None, **more: Any
) -> AsyncIterator[Delivered]:
    """Yield a running world with Ada, Ben and Cleo; nobody has a device yet."""
    async with patient_pool(dsn) as pool:
        one = Delivered(pool, clock or SystemClock(), **more)
        async with one.backbone.run():
            try:
                await one.meet("Ada", "Ben", "Cleo")
                yield one
            finally:
                await one.deliveries.close()
                if isinstance(one.hooks, Poster):
                    await one.hooks.close()
                await one.all.close()


@asynccontextmanager
async def api_of_world(world: Delivered) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the routes of notifications, deliveries and accounts."""
    tokens = Tokens(clock=world.clock, secret="s" * 32)
    credentials = Credentials(
        world.db, world.people, tokens=tokens, secret="s" * 32, clock=world.clock
    )
    erasures = Erasures(world.db, world.clock, world.accounts, steps=list)
    feature = plug_accounts(world.accounts, credentials, erasures, cursor_secret=b"cursors")
    routes = [*world.feature.routes, *world.deliveries_feature.routes, *feature.routes]
    async with api_client(routes, world) as client:
        yield client


def sink(world: Delivered, at: Clock) -> OutboxSink:
    return OutboxSink(world.pool, at)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text)
