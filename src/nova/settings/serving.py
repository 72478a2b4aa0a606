"""Knobs of the HTTP server and the socket."""

from typing import Annotated

from msgspec import Meta, Struct

from nova.settings.kinds import Natural, Port, Seconds, Secret, about


class Http(Struct, frozen=True, kw_only=True):
    """The HTTP server."""

    host: Annotated[str, about("Address to listen on.")] = "127.0.0.1"
    port: Annotated[Port, about("Port to listen on; 0 takes a free one.")] = 8000
    allowed_origins: Annotated[
        tuple[str, ...],
        about("Origins of browsers that may call, besides Nova's own; `*` allows all."),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        about(
            "Names by which browsers and programs may call, besides addresses, localhost, "
            "`http.host` and the name in `deliveries.public_url`; `*` allows all."
        ),
    ] = ()
    metrics_open: Annotated[
        bool,
        about(
            "Answer /metrics to everybody; otherwise to a server key, `http.metrics_token`, and "
            "this machine while there is no `deliveries.public_url`."
        ),
    ] = False
    metrics_token: Annotated[
        Secret, about("A bearer token that may read /metrics, and nothing else.")
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        about("Addresses or networks whose X-Forwarded-For is believed."),
    ] = ()
    max_requests: Annotated[
        Natural, about("Requests in progress at once; above it, callers get 503 at once.")
    ] = 1000
    bodies_mb: Annotated[
        Annotated[int, Meta(ge=16, le=100_000)],  # the largest body
        about(
            "Megabytes of large bodies in hand at once with server keys, and a quarter as much "
            "from users; beyond, callers get 503 at once. A user has a quarter of theirs at most."
        ),
    ] = 64
    connections: Annotated[
        Natural,
        about("HTTP connections open at once, without WebSockets; further ones get 503."),
    ] = 10_000
    per_address: Annotated[
        Natural,
        about(
            "Of those, from one address; IPv6 counts by the /64, and http.trusted_proxies do not "
            "count."
        ),
    ] = 5_000
    access_log: Annotated[bool, about("Log a line per request.")] = False


class Socket(Struct, frozen=True, kw_only=True):
    """The real-time socket."""

    ping_s: Annotated[Seconds, about("Seconds between pings of the server.")] = 25.0
    max_message_bytes: Annotated[Natural, about("Largest message that a client may send.")] = 65_536
    queue_bytes: Annotated[
        Natural,
        about(
            "Bytes that may wait for a client; beyond, it is disconnected and told to reconnect."
        ),
    ] = 1_048_576
    connections: Annotated[Natural, about("Open sockets of this process, at most.")] = 100_000
    per_user: Annotated[Natural, about("Open sockets of a user in this process, at most.")] = 200
    per_address: Annotated[
        Natural,
        about(
            "Open sockets of a client's address in this process, at most, and at most half of the "
            "process's file descriptors; IPv6 counts by the /64."
        ),
    ] = 10_000
    subscriptions: Annotated[Natural, about("Subscriptions of a connection, at most.")] = 128
    anonymous: Annotated[
        bool,
        about(
            "Let clients connect without a user: without a token, or with a token without `sub`."
        ),
    ] = False
    own_channels: Annotated[
        bool,
        about(
            "Put users into Nova's own channels (`user:`, `feed:`) at connect; without it, clients "
            "subscribe to them by themselves."
        ),
    ] = True
    drain_s: Annotated[Seconds, about("Seconds over which sockets are closed at shutdown.")] = 10.0


Pace = Annotated[float, Meta(gt=0, le=10**6)]
Burst = Annotated[int, Meta(ge=100, le=10**6)]  # at least what the costliest call takes


class Limits(Struct, frozen=True, kw_only=True):
    """How much callers may do, in each process; costly calls count several times."""

    user_per_s: Annotated[
        Pace, about("Calls per second of a user, over HTTP and all sockets together.")
    ] = 50.0
    user_burst: Annotated[Burst, about("Calls that a user may make at once.")] = 500
    server_per_s: Annotated[Pace, about("Calls per second with a server key.")] = 20_000.0
    server_burst: Annotated[Burst, about("Calls with a server key that may come at once.")] = 40_000
    address_per_s: Annotated[
        Pace,
        about("Calls per second of an address without valid credentials; IPv6 counts by the /64."),
    ] = 20.0
    address_burst: Annotated[
        Burst, about("Calls without valid credentials that may come from an address at once.")
    ] = 200
