"""What is wrong with settings that are right one by one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from ipaddress import ip_network

from nova.kernel.urls import scheme_problem
from nova.settings.everything import Settings
from nova.settings.features import Deliveries
from nova.web.jwks import check_address
from nova.web.realtime.namespaces import FAMILIES

DATABASES = ("embedded:", "postgresql://", "postgres://")
LEAST_MAILS = 3
"""One at once, one an hour later, and one in which the rest is gathered."""
GRAPHS = ("embedded:", "neo4j:", "neo4j+s:", "neo4j+ssc:", "bolt:", "bolt+s:", "bolt+ssc:")


SOCKETS = ("embedded:", "redis://", "rediss://")


def contradictions(settings: Settings) -> Iterator[str]:
    """Yield each, with the way out."""
    yield from _bad_engines(settings)
    remembered, kept = settings.notifications.dedupe_days, settings.log.retention_days
    if remembered <= kept:  # the log is dropped by the day, so it keeps up to a day more
        yield (
            f"notifications.dedupe_days: {remembered} days are not more than the {kept} of "
            "log.retention_days, so an event that is sent again could be told twice; "
            f"set notifications.dedupe_days to {kept + 1} or more, or lower log.retention_days"
        )
    for name, count in Counter(each.name for each in settings.namespaces).items():
        if name in FAMILIES:
            yield f"namespaces: '{name}' is a family of Nova's own channels; choose another name"
        elif count > 1:
            yield f"namespaces: there are {count} called '{name}'"
    if settings.tokens.jwks_url:
        if settings.tokens.jwks_file:
            yield "tokens.jwks_url and tokens.jwks_file: give one of the two"
        try:
            check_address(settings.tokens.jwks_url)
        except ValueError as wrong:
            yield f"tokens.jwks_url: {wrong}"
    yield from _bad_networks(settings.outgoing.allowed_networks)
    yield from _bad_deliveries(settings.deliveries)


def _bad_engines(settings: Settings) -> Iterator[str]:
    if not settings.database.startswith(DATABASES):
        yield f"database: expected one that begins with one of {', '.join(DATABASES)}"
    if not settings.graph.startswith(GRAPHS):
        yield f"graph: expected an address that begins with one of {', '.join(GRAPHS)}"
    if not settings.sockets.startswith(SOCKETS):
        yield f"sockets: expected an address that begins with one of {', '.join(SOCKETS)}"


def _bad_deliveries(given: Deliveries) -> Iterator[str]:
    for scheme in given.link_schemes:
        if problem := scheme_problem(scheme):
            yield f"deliveries.link_schemes: {problem}"
    if 0 < given.mails_per_hour < LEAST_MAILS:
        yield f"deliveries.mails_per_hour: give 0 for no bound, or at least {LEAST_MAILS}"


def _bad_networks(networks: Sequence[str]) -> Iterator[str]:
    for network in networks:
        try:
            ip_network(network)
        except ValueError as wrong:
            yield f"outgoing.allowed_networks: {wrong}"
