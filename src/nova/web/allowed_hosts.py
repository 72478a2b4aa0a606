"""Check the Host header against the allowed names, and origins of browsers."""

import re
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope, Send
from structlog import get_logger

from nova.kernel.errors import Refused
from nova.web.problems import Headers, problem
from nova.web.traces import joined

MOST_TOLD = 100
"""Names that are logged, each once; whoever sends others all the time fills no disk."""
UPGRADE_ANSWER = "websocket.http.response"
"""The ASGI extension by which a handshake is answered with a document."""


class HostNotAllowed(Refused):
    """This server does not answer to the name in the Host header."""

    status, code = 421, "host_not_allowed"
    hint = "Add the name to the setting http.allowed_hosts, or set deliveries.public_url."


class OriginNotAllowed(Refused):
    """Pages of this origin may not call this server."""

    status, code = 403, "origin_not_allowed"
    hint = (
        'Add the origin to the setting http.allowed_origins, as in ["https://app.example"], and '
        "start the server again."
    )


class Once:
    """Logs a warning for each name once, up to a number of names."""

    def __init__(self, event: str, fix: str) -> None:
        self._event, self._fix = event, fix
        self._told: set[str] = set()

    def tell(self, **named: str) -> None:
        name = next(iter(named.values()))
        if name not in self._told and len(self._told) < MOST_TOLD:
            self._told.add(name)
            get_logger().warning(self._event, **named, fix=self._fix)


class Hosts:
    """Checks Host headers, so that no other site's name leads a browser here (DNS rebinding).

    Addresses and names of this machine always pass: a page on another site cannot make a browser
    send them as its own.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        """`allowed` holds names without ports; `*` is any."""
        self._any = "*" in allowed
        self.names = sorted({name.lower().rstrip(".") for name in allowed})
        self._passed: set[bytes] = set()
        self._once = Once("host_refused", HostNotAllowed.hint)

    def check(self, scope: Scope) -> None:
        """Raise HostNotAllowed; programs of old that send no Host at all may call."""
        values = [value for name, value in scope["headers"] if name == b"host"]
        if len(values) > 1:  # which of them a proxy went by, nobody knows
            raise HostNotAllowed("A request has one Host header.")
        for value in values:
            if value not in self._passed:
                self._judge(value)

    def _judge(self, value: bytes) -> None:
        name = hostname(value.decode("latin-1"))
        if not (self._any or name in self.names or is_local(name)):
            self._once.tell(host=name[:255])
            raise HostNotAllowed(f"This server does not answer as {name[:255]!r}.")
        if len(self._passed) < MOST_TOLD:
            self._passed.add(value)


_STRANGE = re.compile(r"[^\w.:\[\]-]", re.ASCII)


def hostname(host: str) -> str:
    """Return the name of a Host header, or of an address, without its port.

    What holds more than that, such as a user, is no name.
    """
    if _STRANGE.search(host):
        return host
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


def is_local(name: str) -> bool:
    """Return whether a name is an address, or always means the machine that uses it."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_own(origin: str, host: str) -> bool:
    """Return whether a page's origin is this server's own, by a Host header that was checked."""
    try:
        return bool(host) and urlsplit(origin.lower()).netloc == host.lower()
    except ValueError:
        return False


async def refuse(
    scope: Scope, send: Send, refused: Refused, headers: Headers | None = None
) -> None:
    """Answer a request, or the handshake of a socket, with a problem document."""
    answer = problem(refused, joined(None).id)
    length = (b"content-length", b"%d" % len(answer.body))
    every = [*answer.headers, *(headers or []), length]
    body = b"" if scope.get("method") == "HEAD" else answer.body
    kind = "http"
    if scope["type"] == "websocket":
        if UPGRADE_ANSWER not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 4000 + refused.status})
            return
        kind = UPGRADE_ANSWER.removesuffix(".response")
    await send({"type": f"{kind}.response.start", "status": answer.status, "headers": every})
    await send({"type": f"{kind}.response.body", "body": body})
