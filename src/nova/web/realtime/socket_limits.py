"""How many sockets there may be, and what each may take."""

from msgspec import Struct

from nova.kernel.errors import TooMany

BOUNDS = {
    "address": "socket.per_address",
    "user": "socket.per_user",
    "process": "socket.connections",
}
"""By whose sockets are too many, the setting that says how many are allowed."""


class TooManySockets(TooMany):
    """This address has as many open sockets as one address may have."""

    code = "too_many_sockets"
    hint = (
        "Raise socket.per_address; behind a proxy, name it in http.trusted_proxies, so that "
        "clients are told from one another."
    )


class Limits(Struct, frozen=True, kw_only=True):
    """What one process and one client may take."""

    connections: int = 100_000
    per_user: int = 200
    per_address: int = 10_000
    subscriptions: int = 128
    message_bytes: int = 65_536
    """Largest message of a client."""
    queue_bytes: int = 1 << 20
    """Bytes that may wait for one client; past it the client is told to come back."""
    expired_s: float = 5.0
    """For how long a client may stay after its token expired, to bring a new one (and
    up to one ping longer, since that is when it is looked at)."""
    ping_s: float = 25.0
    """How often a client is pinged."""
    anonymous: bool = False
    """Whether strangers may connect, to use the host app's namespaces."""
