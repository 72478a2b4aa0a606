"""Who may read `/metrics`: not everybody, unless a deployment says so."""

from hmac import compare_digest

from starlette.types import ASGIApp, Receive, Scope, Send

from nova.kernel.errors import Refused, Unauthenticated
from nova.web.actors import Authenticator, ServerKey
from nova.web.clients import Clients, is_loopback
from nova.web.hosts import refuse


class MetricsClosed(Unauthenticated):
    """The metrics are not for everybody."""

    code = "metrics_closed"
    hint = (
        "Send a server key, or the token of the setting http.metrics_token, as "
        "'Authorization: Bearer …'; http.metrics_open opens them to all."
    )


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
            actor = await authenticator.bearer(given.decode("latin-1"))
            return isinstance(actor, ServerKey)
        # A proxy on this machine passes on what comes from anywhere.
        return local and not clients.forwarded(scope) and is_loopback(clients.address(scope))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if not await may(scope):
                raise MetricsClosed
        except Refused as refused:
            await refuse(scope, send, refused)
        else:
            await shown(scope, receive, send)

    return app
