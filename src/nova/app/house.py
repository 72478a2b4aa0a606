"""One process's parts, put together: a loop over features."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from msgspec import Struct
from prometheus_client import CollectorRegistry

from nova.adapters.postgres.idempotency import PostgresIdempotency
from nova.app import broadcast
from nova.app.features import features
from nova.app.health import readiness
from nova.app.installing import install
from nova.app.shared import shared
from nova.app.starting import CannotStart
from nova.app.truth import all_rooms, check_prepared, truth
from nova.backbone.backbone import Backbone
from nova.backbone.migrations import Unmigratable, migrate
from nova.feature import Feature
from nova.features.accounts import Accounts, Credentials, People
from nova.features.deliveries import Deliveries
from nova.features.graph import EdgeImport, Graph
from nova.features.notifications import Notifications
from nova.kernel.clock import Clock, SystemClock
from nova.ports.database import DatabaseUnavailable, Pool
from nova.ports.graph import KeptGraphIndex
from nova.settings import Settings
from nova.web.auth import Auth
from nova.web.jwks import RemoteKeys
from nova.web.limits import Budgets, Limiter
from nova.web.probes import Readiness
from nova.web.realtime.hub import Hub
from nova.web.watchdog import Watchdog


class House(Struct, kw_only=True):
    """Everything of one process, built and running."""

    pool: Pool
    backbone: Backbone
    idempotency: PostgresIdempotency
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
    async with AsyncExitStack() as stack:
        yield await _built(settings, pool, clock or SystemClock(), stack, demo=demo)


async def _built(
    settings: Settings, pool: Pool, clock: Clock, stack: AsyncExitStack, *, demo: bool
) -> House:
    messages = await stack.enter_async_context(broadcast.engine(settings, pool))
    parts = shared(settings, pool, clock, messages, stack)
    services, all_features = await features(parts, stack, demo=demo)
    for feature in all_features:
        install(feature, parts, stack)
    watchdog = Watchdog(parts.registry)
    return House(
        pool=pool,
        backbone=parts.backbone,
        idempotency=parts.idempotency,
        people=parts.people,
        accounts=services.accounts,
        credentials=parts.credentials,
        notifications=services.notifications,
        deliveries=services.deliveries,
        graph=parts.graph,
        edges=services.edges,
        outside=services.outside,
        auth=parts.auth,
        keys=parts.keys,
        hub=parts.hub,
        limiter=parts.limiter,
        budgets=parts.budgets,
        features=all_features,
        readiness=readiness(parts, all_features, watchdog),
        watchdog=watchdog,
        registry=parts.registry,
    )


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
