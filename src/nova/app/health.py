"""Which engines there are, and how to ask each whether it answers."""

from collections.abc import Mapping, Sequence

from nova.app.shared import Shared
from nova.app.truth import clocks, database_named
from nova.feature import Feature
from nova.features.operations import Engines
from nova.web.probes import Ping, Readiness
from nova.web.watchdog import Watchdog


def engines(shared: Shared, features: Sequence[Feature]) -> Engines:
    """Return all of them, for operators."""
    database = database_named(shared.settings, shared.pool)
    return Engines(
        {"database": database, **_pings(features, needed=True)},
        {
            **_pings(features),
            "clock": clocks(shared.pool, shared.clock),
            **_pings(features, remote=True),
        },
    )


def readiness(shared: Shared, features: Sequence[Feature], watchdog: Watchdog) -> Readiness:
    """Return what answers `/readyz`: it asks no provider far away."""
    return Readiness(
        {"database": shared.pool.ping, **_pings(features, needed=True)},
        spared={**_pings(features), "loop": watchdog.ping},
    )


def _pings(
    features: Sequence[Feature], *, needed: bool = False, remote: bool = False
) -> Mapping[str, Ping]:
    return {
        each.name: each.ping
        for feature in features
        for each in feature.health
        if (each.needed, each.remote) == (needed, remote)
    }
