"""What every feature is built on: one of each per process."""

from collections.abc import Collection
from contextlib import AsyncExitStack
from zoneinfo import available_timezones

from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova.adapters.postgres.backbone import postgres_backbone
from nova.adapters.postgres.idempotency import PostgresIdempotency
from nova.app import access
from nova.backbone.backbone import Backbone
from nova.backbone.groups import Pace
from nova.features.accounts import Credentials, People
from nova.features.graph import Graph, Sights, Silences
from nova.kernel.clock import Clock
from nova.ports.broadcast import Broadcast
from nova.ports.database import Pool
from nova.settings import Settings
from nova.web import file_descriptors
from nova.web.auth import Auth
from nova.web.jwks import RemoteKeys
from nova.web.limits import Budgets, Limiter, LocalLimits
from nova.web.realtime.families import Families, Method
from nova.web.realtime.hub import Hub, OtherProcesses
from nova.web.realtime.socket_limits import Limits


class Shared(Struct, kw_only=True):
    """The parts that features have in common."""

    settings: Settings
    clock: Clock
    pool: Pool
    registry: CollectorRegistry
    backbone: Backbone
    idempotency: PostgresIdempotency
    people: People
    credentials: Credentials
    graph: Graph
    sights: Sights
    auth: Auth
    keys: RemoteKeys | None
    """Where public keys of user tokens are fetched from, if they are."""
    limiter: Limiter
    budgets: Budgets
    families: Families
    methods: dict[str, Method]
    hub: Hub
    zones: Collection[str]

    @property
    def secret(self) -> bytes:
        """What signs cursors and links."""
        return self.settings.tokens.signing_secret.encode()


def shared(
    settings: Settings, pool: Pool, clock: Clock, broadcast: Broadcast, stack: AsyncExitStack
) -> Shared:
    """Build the parts over a migrated database; `stack` closes them."""
    registry = CollectorRegistry()
    families = Families([], settings.namespaces, at_connect=settings.socket.own_channels)
    backbone = postgres_backbone(
        pool,
        clock=clock,
        registry=registry,
        broadcast=broadcast,
        pace=_pace(settings),
        retention_days=settings.log.retention_days,
        retention_of=families.retention,
    )
    db = backbone.db
    people = People(db)
    tokens, keys = access.verifier(settings, clock)
    if keys is not None:
        stack.push_async_callback(keys.close)
    credentials = Credentials(db, people, tokens=tokens, secret=settings.tokens.secret, clock=clock)
    graph = Graph(db, clock, Silences(db, clock))
    sights = Sights(db, clock, graph.followees, graph.silences)
    auth = Auth(
        tokens=tokens,
        keys=credentials,
        people=people,
        revocations=credentials,
        sights=sights,
        clock=clock,
        token_creates_users=settings.tokens.create_users,
    )
    limiter, budgets = Limiter(LocalLimits(), registry), access.budgets(settings)
    methods: dict[str, Method] = {}
    hub = Hub(
        channels=backbone.channels,
        families=families,
        methods=methods,
        authenticator=auth,
        tickets=auth,
        clock=clock,
        limits=_limits(settings),
        limiter=limiter,
        budget=budgets.users,
        others=OtherProcesses(
            audience=backbone.broadcasting,
            fanout=backbone.broadcasting,
            presence=backbone.presence,
        ),
    )
    return Shared(
        settings=settings,
        clock=clock,
        pool=pool,
        registry=registry,
        backbone=backbone,
        idempotency=PostgresIdempotency(db),
        people=people,
        credentials=credentials,
        graph=graph,
        sights=sights,
        auth=auth,
        keys=keys,
        limiter=limiter,
        budgets=budgets,
        families=families,
        methods=methods,
        hub=hub,
        zones=available_timezones(),
    )


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
        ping_s=settings.socket.ping_s,
        anonymous=settings.socket.anonymous,
    )
