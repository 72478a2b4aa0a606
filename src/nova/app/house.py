"""One process's parts, put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from zoneinfo import available_timezones

from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova.adapters.local.outbox import OutboxSink
from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.app import access, erasure_steps, graph, sockets
from nova.app import deliveries as app_deliveries
from nova.app.carriers import carriers, hooks
from nova.app.demo import DemoApp
from nova.app.starting import CannotStart
from nova.app.truth import all_rooms, check_prepared, clocks, database_named, truth
from nova.backbone.backbone import Backbone
from nova.backbone.groups import Pace
from nova.backbone.migrations import Unmigratable, migrate
from nova.feature import Feature
from nova.features import accounts, deliveries, notifications, operations, posts
from nova.features.accounts import Accounts, Credentials, Devices, People
from nova.features.deliveries import Deliveries, Tale
from nova.features.demo import Demo
from nova.features.demo import plug as plug_demo
from nova.features.graph import EdgeImport, Graph, Sights, Silences
from nova.features.graph import subjects as between_people
from nova.features.notifications import Notifications
from nova.kernel.clock import Clock, SystemClock
from nova.ports.channels import Retention
from nova.ports.database import DatabaseUnavailable, Pool
from nova.ports.graph import KeptGraphIndex
from nova.settings import Settings
from nova.web import file_descriptors
from nova.web.auth import Auth
from nova.web.jwks import RemoteKeys
from nova.web.limits import Budgets, Limiter, LocalLimits
from nova.web.probes import Readiness
from nova.web.realtime import metrics as socket_metrics
from nova.web.realtime.families import Families, methods
from nova.web.realtime.hub import BOUNDS, Hub, Limits
from nova.web.watchdog import Watchdog
from nova.wire.addresses import Guard


class House(Struct, kw_only=True):
    """Everything of one process, built and running."""

    pool: Pool
    backbone: Backbone
    people: People
    accounts: Accounts
    credentials: Credentials
    notifications: Notifications
    deliveries: Deliveries
    graph: Graph
    edges: EdgeImport
    outside: KeptGraphIndex | None
    """The graph index, when it is not in this process."""
    auth: Auth
    keys: RemoteKeys | None
    """Where public keys of user tokens are fetched from, if they are."""
    hub: Hub
    limiter: Limiter
    budgets: Budgets
    features: Sequence[Feature]
    readiness: Readiness
    watchdog: Watchdog
    registry: CollectorRegistry


@asynccontextmanager
async def built(
    settings: Settings, pool: Pool, clock: Clock | None = None, *, demo: bool = False
) -> AsyncIterator[House]:
    """Build every part over a migrated database. Nothing runs in the background yet.

    Raises Misconfigured with all that is wrong with providers of push and mail.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        yield await _built(settings, pool, clock, stack, demo=demo)


async def _built(
    settings: Settings, pool: Pool, clock: Clock, stack: AsyncExitStack, *, demo: bool
) -> House:
    ways = await stack.enter_async_context(carriers(settings, clock))
    webhooks = await stack.enter_async_context(hooks(settings, clock))
    outside = await stack.enter_async_context(graph.outside(settings))
    registry = CollectorRegistry()
    retention = _Retention()
    backbone = Backbone(
        pool,
        clock=clock,
        registry=registry,
        broadcast=PostgresBroadcast(pool),
        pace=_pace(settings),
        retention_days=settings.log.retention_days,
        retention_of=retention,
    )
    db = backbone.db
    people = People(db)
    tokens, keys = access.verifier(settings, clock)
    if keys is not None:
        stack.push_async_callback(keys.close)
    credentials = Credentials(db, people, tokens=tokens, secret=settings.tokens.secret, clock=clock)
    relations = Graph(db, clock, Silences(db, clock))
    sights = Sights(db, clock, relations.followees, relations.silences)
    auth = Auth(
        tokens=tokens,
        keys=credentials,
        people=people,
        revocations=credentials,
        sights=sights,
        clock=clock,
        token_creates_users=settings.tokens.create_users,
    )
    features: list[Feature] = []
    signing = settings.tokens.signing_secret.encode()
    guard = Guard(also=settings.outgoing.allowed_networks)
    zones, devices = available_timezones(), Devices(db, guard=guard)
    backbone.signals.on(accounts.SIGNAL, devices.forget_user)
    owners = Accounts(
        db, people, clock=clock, zones=zones, features=lambda: features, devices=devices
    )
    written = posts.House(
        db,
        clock,
        people,
        sights,
        cursor_secret=signing,
        knobs=posts.Knobs(
            most_authors=settings.feeds.authors,
            push=settings.feeds.push,
            most_followers=settings.feeds.followers,
        ),
    )
    notifier = Notifications(
        db,
        clock,
        people,
        backbone.signals,
        registry,
        blocks=relations.silences,
        subjects=[
            accounts.subjects(db),
            *between_people(db),
            posts.subjects(db, sights),
        ],
        burst_s=settings.notifications.burst_s,
        signing_secret=signing,
        dead_letters=backbone.dead_letters,
        failures=backbone.dead_letters,
        reach=devices,
        afterwards=Tale(db),
        retention_days=settings.notifications.retention_days,
        dedupe_days=settings.notifications.dedupe_days,
    )
    stack.push_async_callback(notifier.close)
    edges = EdgeImport(db, clock, people)
    lanes = app_deliveries.lanes(ways, OutboxSink(pool, clock))
    courier = Deliveries(
        db,
        clock,
        backbone.signals,
        registry,
        carriers=lanes,
        hooks=webhooks,
        people=people,
        devices=devices,
        graves=devices,
        preferences=notifier.preferences,
        inbox=notifier.reviews,
        badges=notifier.inbox,
        naming=notifier.naming,
        zones=zones,
        signing_secret=signing,
        rehearsal=notifier.rehearsal,
        samples=notifier.rehearsal,
        catcher=OutboxSink(pool, clock),
        knobs=app_deliveries.knobs(settings),
    )
    stack.push_async_callback(courier.close)
    stack.push_async_callback(written.close)
    connected, index = graph.feature(
        settings, outside, backbone, people, relations, clock=clock, registry=registry
    )
    features += [
        accounts.plug(
            owners,
            credentials,
            accounts.Erasures(
                db, clock, owners, steps=lambda: erasure_steps.steps(backbone, features, notifier)
            ),
            cursor_secret=signing,
        ),
        connected,
        notifications.plug(notifier),
        notifications.plug_subjects(notifier),
        posts.plug(written),
        deliveries.plug(courier),
    ]
    backbone.project("feed", posts.HEARS, fill=written.feed.source.fill, hear=written.feed.hear)
    if demo:
        host = DemoApp(
            owners,
            credentials,
            notifications=notifier,
            deliveries=courier,
            edges=edges,
            written=written,
        )
        features.append(plug_demo(Demo(host, clock)))
    limiter, budgets = Limiter(LocalLimits(), registry), access.budgets(settings)
    families = Families(
        [channel for feature in features for channel in feature.channels],
        settings.namespaces,
        at_connect=settings.socket.own_channels,
    )
    retention.families = families
    hub = Hub(
        channels=backbone.channels,
        families=families,
        methods=methods([rpc for feature in features for rpc in feature.rpcs]),
        authenticator=auth,
        tickets=auth,
        clock=clock,
        limits=_limits(settings),
        limiter=limiter,
        budget=budgets.users,
        ping_s=settings.socket.ping_s,
        audience=backbone.broadcasting,
        fanout=backbone.broadcasting,
        presence=backbone.presence,
    )
    sockets.connect(backbone, hub)
    written.live.sockets = hub
    access.listen(backbone, people, auth, hub)
    needed = {"database": pool.ping} | ({"jwks": keys.ping} if keys else {})
    spared = {"graph": index}
    carried = {name: lane.ping for name, lane in lanes.items()}
    features.append(
        operations.plug(
            backbone,
            operations.Engines(
                {**needed, "database": database_named(settings, pool)},
                {**spared, "clock": clocks(pool, clock), **carried},
            ),
            operations.Watch(
                registry,
                clock,
                lambda: features,
                lambda: hub.sessions,
                lambda: {BOUNDS[whose]: number for whose, number in hub.refused.items()},
            ),
        )
    )
    _employ(backbone, features)
    backbone.turns.append(("auth.uses", auth.turn))
    socket_metrics.register(hub, registry)
    watchdog = Watchdog(registry)
    return House(
        pool=pool,
        backbone=backbone,
        people=people,
        accounts=owners,
        credentials=credentials,
        notifications=notifier,
        deliveries=courier,
        graph=relations,
        edges=edges,
        outside=outside,
        auth=auth,
        keys=keys,
        hub=hub,
        limiter=limiter,
        budgets=budgets,
        features=features,
        readiness=Readiness(needed, spared={**spared, "loop": watchdog.ping}),
        watchdog=watchdog,
        registry=registry,
    )


def _employ(backbone: Backbone, features: Sequence[Feature]) -> None:
    """Have what features hear, and do beside requests, done."""
    for feature in features:
        if feature.hears:
            backbone.group(feature.name, feature.hears, feature.directly)
        backbone.jobs += feature.jobs
        backbone.turns += [(turn.name, turn.run) for turn in feature.turns]


@asynccontextmanager
async def visited(
    settings: Settings, *, statement_s: float | None = None, creates: bool = False
) -> AsyncIterator[House]:
    """Build the house for one errand, beside a running server or without one.

    Raises CannotStart where there is no Nova, unless it `creates` one.
    """
    async with AsyncExitStack() as stack:
        try:
            pool = await stack.enter_async_context(
                truth(settings, statement_s=statement_s, creates=creates)
            )
            await (migrate(pool, all_rooms()) if creates else check_prepared(pool))
        except (DatabaseUnavailable, Unmigratable) as reason:
            raise CannotStart(str(reason)) from reason
        yield await stack.enter_async_context(built(settings, pool))


def _pace(settings: Settings) -> Pace:
    log = settings.log
    return Pace(
        batch=min(log.batch, log.most),
        most=log.most,
        readers=log.readers,
        wait_s=log.wait_s,
        attempts=log.attempts,
    )


def _limits(settings: Settings) -> Limits:
    most = file_descriptors.limit()
    for_sockets = max(
        1, most - 2 * file_descriptors.reserve(most)
    )  # what is left is for plain HTTP
    return Limits(
        connections=min(settings.socket.connections, for_sockets),
        per_user=settings.socket.per_user,
        per_address=min(settings.socket.per_address, max(1, most // 2)),
        subscriptions=settings.socket.subscriptions,
        message_bytes=settings.socket.max_message_bytes,
        queue_bytes=settings.socket.queue_bytes,
        anonymous=settings.socket.anonymous,
    )


class _Retention:
    """How much history a channel keeps, once the families of channels are known."""

    families: Families | None = None

    def __call__(self, channel: str) -> Retention | None:
        return self.families.retention(channel) if self.families else None
