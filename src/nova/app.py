"""The composition root: the only module that knows everybody."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import available_timezones

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova import __version__, secrets
from nova.adapters.local.graph import LocalGraph
from nova.adapters.local.outbox import OutboxSink
from nova.adapters.postgres import metrics as postgres_metrics
from nova.adapters.postgres.embedded import attach, embedded
from nova.adapters.postgres.idempotency import PostgresIdempotency
from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.adapters.postgres.refusals import CannotEmbed
from nova.backbone.backbone import Backbone
from nova.backbone.groups import Pace
from nova.backbone.migrations import Room, Unmigratable, migrate, rooms
from nova.carriers import PLATFORMS, carriers, hooks
from nova.feature import Feature, Job
from nova.features import accounts, deliveries, graph, notifications
from nova.features.accounts import Accounts, Credentials, Devices, People
from nova.features.accounts.models import NewToken, Upsert
from nova.features.deliveries import LANES, Deliveries, Knobs, Pacing, Tale
from nova.features.demo import Demo, Person
from nova.features.demo import plug as plug_demo
from nova.features.graph import EdgeImport, Feed, Graph, Lists, Silences, Suggester
from nova.features.notifications import Notifications
from nova.kernel.clock import Clock, SystemClock
from nova.ports.carriers import Carrier
from nova.ports.channels import Retention
from nova.ports.database import DatabaseUnavailable, Pool
from nova.ports.hooks import Hooks
from nova.settings import Settings
from nova.web import openapi
from nova.web.api import Api
from nova.web.auth import Auth
from nova.web.connections import Guard
from nova.web.jwks import RemoteKeys
from nova.web.probes import Readiness, healthz, metrics
from nova.web.realtime import metrics as socket_metrics
from nova.web.realtime.emulation import emulation
from nova.web.realtime.endpoint import Origins, WebSocketEndpoint
from nova.web.realtime.families import Families, methods
from nova.web.realtime.http_stream import http_stream
from nova.web.realtime.hub import Hub, Limits
from nova.web.realtime.routes import routes as channel_routes
from nova.web.realtime.sse import sse
from nova.web.realtime.watch import Watch
from nova.web.realtime.websocket import SocketProtocol
from nova.web.routes import Route
from nova.web.serve import serve as serve_http
from nova.web.static import Site
from nova.web.tokens import Tokens

EMBEDDED = "embedded:"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
PACKAGE = Path(__file__).parent
MIGRATING_S = 3600.0
"""Statements of a migration may run for this long; locks are never waited for that long."""


class CannotStart(Exception):
    """Something Nova needs is not there; the message says what, and how to mend it."""


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
    auth: Auth
    hub: Hub
    features: Sequence[Feature]
    readiness: Readiness
    registry: CollectorRegistry


@asynccontextmanager
async def truth(
    settings: Settings, *, statement_s: float | None = None, alone: bool = False
) -> AsyncIterator[PostgresPool]:
    """Open the database: the server given, the one that runs in the data folder, or a new one.

    `alone` refuses the one that runs already, since it ends with the process that started it.
    """
    async with AsyncExitStack() as stack:
        address = settings.database
        try:
            if address == EMBEDDED:
                folder = settings.data / "postgres"
                running = None if alone else await attach(folder)
                address = running or (await stack.enter_async_context(embedded(folder))).dsn
            yield await stack.enter_async_context(
                open_pool(
                    address,
                    size=settings.postgres.connections,
                    wait_s=settings.postgres.wait_s,
                    statement_timeout_s=statement_s or settings.postgres.statement_timeout_s,
                )
            )
        except CannotEmbed as reason:
            raise CannotStart(str(reason)) from reason


def all_rooms() -> list[Room]:
    return rooms(PACKAGE)


async def prepare(settings: Settings) -> int:
    """Apply pending migrations and return how many there were."""
    async with truth(settings, statement_s=MIGRATING_S) as pool:
        return len(await migrate(pool, all_rooms()))


@asynccontextmanager
async def built(
    settings: Settings, pool: Pool, clock: Clock | None = None, *, demo: bool = False
) -> AsyncIterator[House]:
    """Build every part over a migrated database. Nothing runs in the background yet.

    Raises Misconfigured with all that is wrong with providers of push and mail.
    """
    clock = clock or SystemClock()
    async with (
        carriers(settings, clock) as ways,
        hooks(settings, clock) as posts,
        _built(settings, pool, clock, ways, posts, demo=demo) as house,
    ):
        yield house


@asynccontextmanager
async def _built(
    settings: Settings,
    pool: Pool,
    clock: Clock,
    ways: Mapping[str, Carrier],
    posts: Hooks,
    *,
    demo: bool,
) -> AsyncIterator[House]:
    registry = CollectorRegistry()
    retention = _Retention()
    backbone = Backbone(
        pool,
        clock=clock,
        registry=registry,
        pace=_pace(settings),
        retention_days=settings.log.retention_days,
        retention_of=retention,
    )
    db = backbone.db
    people = People(db)
    tokens, keys = verifier(settings, clock)
    credentials = Credentials(db, people, tokens=tokens, secret=settings.tokens.secret, clock=clock)
    auth = Auth(
        tokens=tokens,
        keys=credentials,
        people=people,
        revocations=credentials,
        clock=clock,
        token_creates_users=settings.tokens.create_users,
    )
    features: list[Feature] = []
    signing = settings.tokens.signing_secret.encode()
    zones, devices = available_timezones(), Devices(db)
    backbone.signals.on(accounts.SIGNAL, devices.forget_user)
    owners = Accounts(
        db, people, clock=clock, zones=zones, features=lambda: features, devices=devices
    )
    relations = Graph(db, clock, Silences(db, clock))
    notifier = Notifications(
        db,
        clock,
        people,
        backbone.signals,
        registry,
        blocks=relations.silences,
        signing_secret=signing,
        dead_letters=backbone.dead_letters,
        failures=backbone.dead_letters,
        reach=devices,
        afterwards=Tale(db),
        retention_days=settings.notifications.retention_days,
        dedupe_days=settings.notifications.dedupe_days,
    )
    courier = Deliveries(
        db,
        clock,
        backbone.signals,
        registry,
        carriers=_lanes(ways, OutboxSink(pool, clock)),
        hooks=posts,
        people=people,
        devices=devices,
        graves=devices,
        preferences=notifier.preferences,
        badges=notifier.inbox,
        zones=zones,
        signing_secret=signing,
        rehearsal=notifier.rehearsal,
        knobs=_knobs(settings),
    )
    features += [
        accounts.plug(owners, credentials, cursor_secret=signing),
        _graph(backbone, clock, people, relations, signing),
        notifications.plug(notifier),
        deliveries.plug(courier, db),
    ]
    if demo:
        features.append(plug_demo(Demo(_DemoApp(owners, credentials, notifier), clock)))
    families = Families(
        [channel for feature in features for channel in feature.channels], settings.namespaces
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
        ping_s=settings.socket.ping_s,
    )
    backbone.on_publication(hub.deliver)
    _listen(backbone, people, auth, Watch(hub, _Standings(people)))
    for feature in features:
        if feature.hears:
            backbone.group(feature.name, feature.hears)
        backbone.jobs += feature.jobs
        backbone.turns += [(turn.name, turn.run) for turn in feature.turns]
    socket_metrics.register(hub, registry)
    try:
        yield House(
            pool=pool,
            backbone=backbone,
            people=people,
            accounts=owners,
            credentials=credentials,
            notifications=notifier,
            deliveries=courier,
            graph=relations,
            edges=EdgeImport(db, clock, people),
            auth=auth,
            hub=hub,
            features=features,
            readiness=Readiness({"database": pool.ping} | ({"jwks": keys.ping} if keys else {})),
            registry=registry,
        )
    finally:
        await courier.close()
        await notifier.close()
        if keys is not None:
            await keys.close()


@asynccontextmanager
async def visited(settings: Settings) -> AsyncIterator[House]:
    """Build the house for one errand: over the database of a running server, or a new one."""
    async with AsyncExitStack() as stack:
        try:
            pool = await stack.enter_async_context(truth(settings))
            await migrate(pool, all_rooms())
        except (DatabaseUnavailable, Unmigratable) as reason:
            raise CannotStart(str(reason)) from reason
        yield await stack.enter_async_context(built(settings, pool))


async def serve(
    settings: Settings,
    *,
    announce: Callable[[str], None],
    demo: bool = False,
    stop: asyncio.Event | None = None,
) -> None:
    """Run every role in this process until SIGTERM; `announce` hears the address."""
    if demo and settings.http.host not in LOOPBACK:
        raise CannotStart("The demo gives its tokens to anybody: it listens on this machine only.")
    async with AsyncExitStack() as stack:
        try:
            # Kept open over the migrations, so that the embedded server starts once.
            pool = await stack.enter_async_context(truth(settings, alone=True))
            await prepare(settings)
        except (DatabaseUnavailable, Unmigratable) as reason:
            raise CannotStart(str(reason)) from reason
        house = await stack.enter_async_context(built(settings, pool, demo=demo))
        postgres_metrics.register(pool, house.registry)
        await house.credentials.first_key(secret=secrets.server_key(settings.data))
        idempotency = PostgresIdempotency(pool)
        house.backbone.jobs.append(Job("web.idempotency", 600.0, idempotency.expire))
        await stack.enter_async_context(house.backbone.run())
        _tune_collector()
        house.hub.start()
        stack.push_async_callback(house.hub.stop)
        try:
            await serve_http(
                _api(settings, house, idempotency),
                host=settings.http.host,
                port=settings.http.port,
                protocol=SocketProtocol,
                listening=lambda host, port: announce(f"http://{_bracketed(host)}:{port}"),
                draining=house.readiness.drain,
                drain=[lambda: house.hub.drain(settings.socket.drain_s)],
                stop=stop,
                guard=Guard(connections=settings.http.connections),
            )
        except OSError as reason:
            where = f"{settings.http.host}:{settings.http.port}"
            raise CannotStart(
                f"Cannot listen on {where}: {reason.strerror}. Choose another with --port."
            ) from reason


def all_routes(house: House) -> list[Route]:
    """Return every operation of the HTTP API."""
    routes = [route for feature in house.features for route in feature.routes]
    return [*routes, *channel_routes(house.hub)]


def _api(settings: Settings, house: House, idempotency: PostgresIdempotency) -> Api:
    routes = all_routes(house)
    origins = Origins(settings.http.allowed_origins)
    return Api(
        routes,
        authenticator=house.auth,
        registry=house.registry,
        idempotency=idempotency,
        mounts={
            "/healthz": healthz,
            "/readyz": house.readiness,
            "/metrics": metrics(house.registry),
            "/connection/websocket": WebSocketEndpoint(house.hub, origins),
            "/connection/http_stream": http_stream(house.hub, origins),
            "/connection/sse": sse(house.hub, origins),
            "/emulation": emulation(house.hub, origins),
            **openapi.pages(openapi.document(routes, version=__version__)),
        },
        fallback=Site(browser_folder()),
        proxies=settings.http.trusted_proxies,
        origins=settings.http.allowed_origins,
        most=settings.http.max_requests,
        access_log=settings.http.access_log,
    )


def browser_folder() -> Path:
    """Return the browser code: in the package when installed, beside it in a checkout."""
    installed = PACKAGE / "browser"
    return installed if installed.is_dir() else PACKAGE.parents[1] / "web"


def _graph(
    backbone: Backbone, clock: Clock, people: People, relations: Graph, signing: bytes
) -> Feature:
    """Put the graph together, with its index in this process."""
    index = LocalGraph()
    feed = Feed(backbone.db, index)
    backbone.project("graph", graph.HEARS, fill=feed.fill, hear=feed.hear)
    backbone.signals.on(graph.SIGNAL, relations.silences.forget)
    lists = Lists(backbone.db, clock, people, graph.cursors(signing))
    return graph.plug(relations, lists, people, Suggester(backbone.db, index, lists))


def _lanes(ways: Mapping[str, Carrier], sink: Carrier) -> Mapping[str, Carrier]:
    """Return what carries each platform: the best carrier there is, or else the sink."""
    return {
        platform: next((ways[name] for name in PLATFORMS[platform] if name in ways), sink)
        for platform in LANES
    }


def _knobs(settings: Settings) -> Knobs:
    given = settings.deliveries
    pacing = Pacing(at_once=given.at_once, per_s=given.per_s)
    return Knobs(
        public_url=given.public_url,
        spread_s=given.release_spread_s,
        retention_days=given.retention_days,
        pacing=dict.fromkeys(LANES, pacing),
    )


def _listen(backbone: Backbone, people: People, auth: Auth, watch: Watch) -> None:
    """Let every cache and every socket hear of what makes it wrong."""
    signals = backbone.signals
    signals.on("user", people.forget)
    signals.on("user", auth.forget_users)
    signals.on("user", watch.on_user)
    signals.on("key", auth.forget_keys)
    signals.on("revoked", auth.forget_tokens)
    signals.on("revoked", watch.on_revoked)


def verifier(settings: Settings, clock: Clock) -> tuple[Tokens, RemoteKeys | None]:
    """Return what verifies user tokens, and the source of its public keys, to be closed."""
    given = settings.tokens
    try:
        keys = RemoteKeys(given.jwks_url, clock=clock) if given.jwks_url else None
        tokens = Tokens(
            clock=clock,
            secret=given.secret,
            keys=keys,
            audience=given.audience,
            issuer=given.issuer,
            leeway_s=given.leeway_s,
            max_lifetime_s=given.max_lifetime_s,
            needs_expiry=given.require_expiry,
            needs_subject=not settings.socket.anonymous,
        )
    except ValueError as reason:
        raise CannotStart(str(reason)) from reason
    return tokens, keys


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
    return Limits(
        connections=settings.socket.connections,
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


class _DemoApp:
    """The demo's host app: it calls the features as a backend calls the API."""

    def __init__(
        self, people: Accounts, credentials: Credentials, notifications: Notifications
    ) -> None:
        self._people = people
        self._credentials = credentials
        self._notifications = notifications

    async def person(self, external_id: str, name: str) -> Person:
        await self._people.upsert([Upsert(external_id=external_id, name=name)])
        minted = await self._credentials.mint(NewToken(user=external_id, lifetime_s=86_400))
        return Person(minted.user, external_id, name, minted.token)

    async def tell(self, event: Mapping[str, Any]) -> None:
        await self._notifications.ingest.body(msgspec.json.encode(event))

    async def trace(self, event: str) -> object:
        return await self._notifications.traces.event(event)


class _Standings:
    """Whether a user may still connect, as accounts know it."""

    def __init__(self, people: People) -> None:
        self._people = people

    async def admitted(self, user: UUID) -> bool:
        profile = await self._people.find(str(user))
        return profile is not None and not profile.suspended


def _tune_collector() -> None:
    """Collect cycles rarely: a batch makes thousands of objects, and reference counts free them.

    What stands after the start lives for ever, and need not be looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
