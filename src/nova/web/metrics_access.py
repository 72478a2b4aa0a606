"""Decide who may read `/metrics`."""

from hmac import compare_digest
from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from nova.kernel.errors import Refused, Unauthenticated, Unavailable
from nova.web.actors import Actor, ServerKey
from nova.web.allowed_hosts import hostname, is_local, refuse
from nova.web.clients import Clients, is_loopback


class MetricsClosed(Unauthenticated):
    """The metrics are not open to everybody."""

    code = "metrics_closed"
    hint = (
        "Send a server key, or the token of the setting http.metrics_token, as "
        "'Authorization: Bearer …'; http.metrics_open opens them to all."
    )


class Authenticator(Protocol):
    """Knows server keys."""

    async def bearer(self, authorization: str) -> Actor: ...

    def counted(self, authorization: str) -> bool:
        """Return whether this was a server key when the keys were last read."""


def guarded(
    shown: ASGIApp, authenticator: Authenticator, clients: Clients, *, token: str, local: bool
) -> ASGIApp:
    """Show the metrics to server keys, to `token`, and to callers on this machine if `local`."""
    bearer = f"Bearer {token}".encode() if token else b""

    async def may(scope: Scope) -> bool:
        given = dict(scope["headers"]).get(b"authorization", b"")
        if bearer and compare_digest(given, bearer):
            return True
        if given:
            return await _is_server(authenticator, given.decode("latin-1"))
        return local and is_loopback(clients.address(scope)) and not _passed_on(scope, clients)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not await may(scope):
                raise MetricsClosed
        except Refused as refused:
            await refuse(scope, send, refused)
        else:
            await shown(scope, receive, send)

    return app


def _passed_on(scope: Scope, clients: Clients) -> bool:
    """Return whether a proxy on this machine passes on what may come from anywhere."""
    hosts = (value for name, value in scope["headers"] if name == b"host")
    named = not all(is_local(hostname(host.decode("latin-1"))) for host in hosts)
    return named or clients.forwarded(scope)


async def _is_server(authenticator: Authenticator, authorization: str) -> bool:
    try:
        return isinstance(await authenticator.bearer(authorization), ServerKey)
    except Unavailable:  # an outage of the database is when the metrics are wanted most
        if not authenticator.counted(authorization):
            raise
        return True
