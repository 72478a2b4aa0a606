"""Every feature of a process, each built by one function."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack

from msgspec import Struct

from nova.adapters.local.outbox import OutboxSink
from nova.app import deliveries as app_deliveries
from nova.app import erasure_steps, graph, sockets
from nova.app.carriers import carriers, hooks
from nova.app.demo import DemoApp
from nova.app.health import engines
from nova.app.shared import Shared
from nova.feature import Feature
from nova.features import accounts, deliveries, notifications, operations, posts
from nova.features import demo as features_demo
from nova.features.accounts import Accounts, Devices
from nova.features.deliveries import Deliveries, Tale
from nova.features.graph import EdgeImport
from nova.features.graph import subjects as between_people
from nova.features.notifications import Notifications
from nova.ports.carriers import Carrier
from nova.ports.graph import KeptGraphIndex
from nova.ports.hooks import Hooks
from nova.web.realtime.socket_limits import BOUNDS
from nova.wire.addresses import Guard

Features = Callable[[], Sequence[Feature]]
"""All of them, for those that ask all others; to be called once they are built."""


class Services(Struct, kw_only=True):
    """What commands, benchmarks and the demo call without HTTP."""

    accounts: Accounts
    notifications: Notifications
    deliveries: Deliveries
    posts: posts.House
    edges: EdgeImport
    outside: KeptGraphIndex | None
    """The graph index, when it is not in this process."""


async def features(
    shared: Shared, stack: AsyncExitStack, *, demo: bool
) -> tuple[Services, Sequence[Feature]]:
    """Build every feature; `stack` closes the engines that they alone use."""
    outside = await stack.enter_async_context(graph.outside(shared.settings))
    ways = await stack.enter_async_context(carriers(shared.settings, shared.clock))
    webhooks = await stack.enter_async_context(hooks(shared.settings, shared.clock))
    services = _services(shared, outside, ways, webhooks, lambda: every)
    every: Sequence[Feature] = (
        _accounts(shared, services, lambda: every),
        graph.feature(shared, outside),
        notifications.plug(services.notifications),
        posts.plug(services.posts),
        deliveries.plug(services.deliveries),
        *([_demo(shared, services)] if demo else []),
        sockets.feature(shared),
        _operations(shared, lambda: every),
    )
    return services, every


def _services(
    shared: Shared,
    outside: KeptGraphIndex | None,
    ways: Mapping[str, Carrier],
    webhooks: Hooks,
    every: Features,
) -> Services:
    db, clock, people = shared.backbone.db, shared.clock, shared.people
    devices = Devices(db, guard=Guard(also=shared.settings.outgoing.allowed_networks))
    notifier = _notifications(shared, devices)
    return Services(
        accounts=Accounts(
            db, people, clock=clock, zones=shared.zones, features=every, devices=devices
        ),
        notifications=notifier,
        deliveries=_deliveries(shared, devices, notifier, ways, webhooks),
        posts=_posts(shared),
        edges=EdgeImport(db, clock, people),
        outside=outside,
    )


def _notifications(shared: Shared, devices: Devices) -> Notifications:
    settings, db, backbone = shared.settings, shared.backbone.db, shared.backbone
    return Notifications(
        db,
        shared.clock,
        shared.people,
        shared.registry,
        others=notifications.Others(
            blocks=shared.graph.silences,
            subjects=[
                accounts.subjects(db),
                *between_people(db),
                posts.subjects(db, shared.sights),
            ],
            dead_letters=backbone.dead_letters,
            failures=backbone.dead_letters,
            reach=devices,
            afterwards=Tale(db),
        ),
        signing_secret=shared.secret,
        knobs=notifications.Knobs(
            burst_s=settings.notifications.burst_s,
            retention_days=settings.notifications.retention_days,
            dedupe_days=settings.notifications.dedupe_days,
        ),
    )


def _posts(shared: Shared) -> posts.House:
    feeds = shared.settings.feeds
    return posts.House(
        shared.backbone.db,
        shared.clock,
        shared.people,
        shared.sights,
        cursor_secret=shared.secret,
        knobs=posts.Knobs(
            most_authors=feeds.authors, push=feeds.push, most_followers=feeds.followers
        ),
        sockets=shared.hub,
    )


def _deliveries(
    shared: Shared,
    devices: Devices,
    notifier: Notifications,
    ways: Mapping[str, Carrier],
    webhooks: Hooks,
) -> Deliveries:
    catcher = OutboxSink(shared.pool, shared.clock)
    return Deliveries(
        shared.backbone.db,
        shared.clock,
        shared.registry,
        ways=deliveries.Ways(
            carriers=app_deliveries.lanes(ways, catcher), catcher=catcher, hooks=webhooks
        ),
        reached=deliveries.Reached(people=shared.people, devices=devices, graves=devices),
        notified=deliveries.Notified(
            preferences=notifier.preferences,
            inbox=notifier.reviews,
            badges=notifier.inbox,
            naming=notifier.naming,
            rehearsal=notifier.rehearsal,
            samples=notifier.rehearsal,
        ),
        zones=shared.zones,
        signing_secret=shared.secret,
        knobs=app_deliveries.knobs(shared.settings),
    )


def _accounts(shared: Shared, services: Services, every: Features) -> Feature:
    erasures = accounts.Erasures(
        shared.backbone.db,
        shared.clock,
        services.accounts,
        steps=lambda: erasure_steps.steps(shared.backbone, every(), services.notifications),
    )
    return accounts.plug(
        services.accounts, shared.credentials, erasures, cursor_secret=shared.secret
    )


def _demo(shared: Shared, services: Services) -> Feature:
    host = DemoApp(
        services.accounts,
        shared.credentials,
        notifications=services.notifications,
        deliveries=services.deliveries,
        edges=services.edges,
        written=services.posts,
    )
    return features_demo.plug(features_demo.Demo(host, shared.clock))


def _operations(shared: Shared, every: Features) -> Feature:
    hub = shared.hub
    return operations.plug(
        shared.backbone,
        lambda: engines(shared, every()),
        operations.Watch(
            shared.registry,
            shared.clock,
            every,
            lambda: hub.sessions,
            lambda: {BOUNDS[whose]: number for whose, number in hub.refused.items()},
        ),
    )
