"""Running a house: its tasks, its sockets, its HTTP API, until it is told to stop."""

import asyncio
import errno
import gc
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from structlog import get_logger

from nova import __version__, secrets
from nova.adapters.postgres import metrics as postgres_metrics
from nova.adapters.postgres.pool import PostgresPool
from nova.adapters.postgres.tuning import SETTINGS as EMBEDDED_SETTINGS
from nova.app import access, broadcast, graph
from nova.app.house import House, built
from nova.app.starting import EMBEDDED, CannotStart
from nova.app.supervisor import READY, Supervisor
from nova.app.truth import PACKAGE, check_prepared, prepare, truth
from nova.backbone.migrations import Unmigratable
from nova.ports.database import DatabaseUnavailable
from nova.settings import Settings
from nova.settings.serving import Http
from nova.web import file_descriptors, openapi
from nova.web.api import Admission, Api, Capacity, Elsewhere
from nova.web.clients import UNNAMED, Clients
from nova.web.connection_acceptor import BACKLOG
from nova.web.connections import Guard
from nova.web.documentation.site import pages
from nova.web.files import Below
from nova.web.metrics_access import guarded
from nova.web.probes import Collected, healthz, metrics, read_only
from nova.web.problems import kinds
from nova.web.realtime.emulation import emulation
from nova.web.realtime.endpoint import Origins, WebSocketEndpoint
from nova.web.realtime.http_stream import http_stream
from nova.web.realtime.sse import sse
from nova.web.realtime.websocket import SocketProtocol
from nova.web.routes import Route
from nova.web.serve import bound
from nova.web.serve import serve as serve_http
from nova.web.static import Site
from nova.web.worker_metrics import WorkerMetrics

OTHER_CONNECTIONS = 2
"""Of a process, besides its pool: the one that listens, and one of a command."""
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


async def serve(
    settings: Settings,
    *,
    announce: Callable[[str], None],
    demo: bool = False,
    any_port: bool = False,
    stop: asyncio.Event | None = None,
) -> None:
    """Run every role in this process until SIGTERM; `announce` hears the address.

    `any_port` takes a free one where the port that was set is taken.
    """
    if demo and settings.http.host not in LOOPBACK:
        raise CannotStart("The demo gives its tokens to anybody: it listens on this machine only.")
    async with AsyncExitStack() as stack:
        listener, pool = await _opened(stack, settings, any_port=any_port)
        await _serve(stack, settings, listener, pool, announce=announce, demo=demo, stop=stop)


async def supervise(
    settings: Settings, command: Sequence[str], *, announce: Callable[[str], None]
) -> None:
    """Run `settings.workers` processes behind one address until SIGTERM.

    This one holds the listening socket and the embedded database. `command` starts a worker, which
    calls `work` with what is appended to it: two descriptors and a folder.
    """
    _check_connections(settings)
    async with AsyncExitStack() as stack:
        listener, _ = await _opened(stack, settings)
        try:
            listener.listen(BACKLOG)
        except OSError as reason:
            raise _deaf(settings.http, reason) from reason
        address = _address(*listener.getsockname()[:2])
        shared = Path(stack.enter_context(TemporaryDirectory(prefix="nova-workers-")))
        supervisor = Supervisor(command, listener, settings.workers, shared=shared)
        await supervisor.run(ready=lambda: announce(address))


async def work(settings: Settings, listener_fd: int, link_fd: int, shared: Path) -> None:
    """Serve as one of several workers, until SIGTERM or the end of the supervisor.

    The workers share metrics in the folder `shared`.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        link = stack.enter_context(socket.socket(fileno=link_fd))
        loop.add_reader(link, stop.set)  # the supervisor says nothing, so this is its end
        stack.callback(loop.remove_reader, link)
        listener = stack.enter_context(socket.socket(fileno=listener_fd))
        pool = await stack.enter_async_context(truth(settings, wait_s=settings.postgres.wait_s))
        await check_prepared(pool)

        def announce(_address: str) -> None:
            link.send(READY)

        await _serve(stack, settings, listener, pool, announce=announce, stop=stop, shared=shared)


async def _opened(
    stack: AsyncExitStack, settings: Settings, *, any_port: bool = False
) -> tuple[socket.socket, PostgresPool]:
    """Take the address, open the database and migrate it."""
    # Before anything else is started: who cannot listen should hear of it at once.
    listener = stack.enter_context(_taken(settings.http, any_port=any_port))
    try:
        # Kept open over the migrations, so that the embedded server starts once.
        pool = await stack.enter_async_context(
            truth(settings, wait_s=settings.postgres.wait_s, alone=True, creates=True)
        )
        await prepare(settings)
    except (DatabaseUnavailable, Unmigratable) as reason:
        raise CannotStart(str(reason)) from reason
    return listener, pool


def _check_connections(settings: Settings) -> None:
    """Refuse more connections than the embedded server takes: some callers would get errors."""
    wanted = settings.workers * (settings.postgres.connections + OTHER_CONNECTIONS)
    most = int(EMBEDDED_SETTINGS["max_connections"]) - 2 * OTHER_CONNECTIONS
    if settings.database == EMBEDDED and wanted > most:
        raise CannotStart(
            f"{settings.workers} workers with {settings.postgres.connections} connections each are "
            "more than the embedded PostgreSQL takes. Lower --workers (setting workers) or "
            f"postgres.connections to {most // settings.workers - OTHER_CONNECTIONS} at most, or "
            "use a PostgreSQL of your own (setting database)."
        )


async def _serve(
    stack: AsyncExitStack,
    settings: Settings,
    listener: socket.socket,
    pool: PostgresPool,
    *,
    announce: Callable[[str], None],
    demo: bool = False,
    stop: asyncio.Event | None = None,
    shared: Path | None = None,
) -> None:
    """Build the house and serve; others who accept from the same listener share a folder."""
    file_descriptors.raise_limit()
    house = await stack.enter_async_context(built(settings, pool, demo=demo))
    if house.outside is not None:
        await graph.reached(house.outside)
    await broadcast.reached(house.backbone.broadcasting.engine)
    if house.keys is not None:
        await access.reached(house.keys)
    postgres_metrics.register(pool, house.registry)
    file_descriptors.register(house.registry)
    await _first_key(house, settings)
    collected = WorkerMetrics(house.registry, shared) if shared else None
    if collected is not None:
        house.backbone.turns.append(("web.metrics", collected.run_once))
    await stack.enter_async_context(house.watchdog.watching())
    await stack.enter_async_context(house.backbone.run())
    _tune_collector()
    house.hub.start()
    stack.push_async_callback(house.hub.stop)

    def listening(host: str, port: int) -> None:
        house.watchdog.started()
        announce(_address(host, port))

    try:
        await serve_http(
            _api(
                settings,
                house,
                collected=collected or house.registry,
                home="demo" if demo else "console",
            ),
            listener=listener,
            protocol=SocketProtocol,
            listening=listening,
            draining=house.readiness.drain,
            drain=[lambda: house.hub.drain(settings.socket.drain_s)],
            stop=stop,
            guard=_guard(settings.http),
            budget=house.hub.loop_budget,
            others_accept=shared is not None,
        )
    except OSError as reason:
        raise _deaf(settings.http, reason) from reason


def _guard(http: Http) -> Guard:
    return Guard(
        connections=http.connections,
        per_address=http.per_address,
        counted=Clients(http.trusted_proxies).counted,
    )


def _taken(http: Http, *, any_port: bool) -> socket.socket:
    try:
        return bound(http.host, http.port)
    except OSError as reason:
        if any_port and reason.errno == errno.EADDRINUSE:
            return bound(http.host)
        raise _deaf(http, reason) from reason


def _deaf(http: Http, reason: OSError) -> CannotStart:
    return CannotStart(
        f"Cannot listen on {_bracketed(http.host)}:{http.port}: {reason.strerror}. Choose another "
        "address with --host and --port (settings http.host and http.port); port 0 takes a free "
        "one."
    )


async def _first_key(house: House, settings: Settings) -> None:
    """Write down a server key for the operator, unless there is one: the file is never a wrong one.

    Of processes that start at once on one database, one makes it; they may share the folder, too.
    """
    if await house.credentials.keys():
        return
    secret = secrets.server_key(settings.data)
    made = await house.credentials.first_key(secret=secret)
    if made is None and not await house.credentials.is_key(secret):
        secrets.forget_server_key(settings.data)


def all_routes(house: House) -> list[Route]:
    """Return every operation of the HTTP API."""
    return [route for feature in house.features for route in feature.routes]


def _api(
    settings: Settings,
    house: House,
    *,
    collected: Collected,
    home: str,
) -> Api:
    routes = all_routes(house)
    allowed = access.origins(settings)
    origins = Origins(allowed)
    clients = Clients(settings.http.trusted_proxies)
    shown = metrics(collected)
    if not settings.http.metrics_open:
        local = not settings.deliveries.public_url  # with one, a proxy stands before this process
        token = settings.http.metrics_token
        shown = guarded(shown, house.auth, clients, token=token, local=local)
    if settings.deliveries.public_url.startswith("https:") and not settings.http.trusted_proxies:
        get_logger().warning("proxy_not_named", fix=UNNAMED)
    clients.seen = lambda: house.readiness.show("clients", access.unnamed_proxy)
    document = openapi.document(routes, version=__version__, kinds=list(kinds("nova.")))
    return Api(
        routes,
        authenticator=house.auth,
        registry=house.registry,
        idempotency=house.idempotency,
        limiter=house.limiter,
        budgets=house.budgets,
        elsewhere=Elsewhere(
            mounts={
                "/healthz": read_only(healthz),
                "/readyz": read_only(house.readiness),
                "/metrics": read_only(shown),
                "/connection/websocket": WebSocketEndpoint(house.hub, origins, clients),
                "/connection/http_stream": http_stream(house.hub, origins, clients),
                "/connection/sse": sse(house.hub, origins, clients),
                "/emulation": emulation(house.hub, origins, clients),
                **{
                    path: read_only(page) for path, page in pages(document, guides_folder()).items()
                },
            },
            fallback=Below(
                [mount for feature in house.features for mount in feature.mounts],
                Site(browser_folder(), home=home),
            ),
        ),
        admission=Admission(clients=clients, hosts=access.hosts(settings), origins=allowed),
        capacity=Capacity(requests=settings.http.max_requests, bytes=settings.http.bodies_mb << 20),
        access_log=settings.http.access_log,
    )


def browser_folder() -> Path:
    """Return the browser code: in the package when installed, beside it in a checkout."""
    installed = PACKAGE / "browser"
    return installed if installed.is_dir() else PACKAGE.parents[1] / "web"


def guides_folder() -> Path:
    """Return the guides: in the package when installed, beside it in a checkout."""
    installed = PACKAGE / "guides"
    return installed if installed.is_dir() else PACKAGE.parents[1] / "docs"


def _tune_collector() -> None:
    """Collect cycles rarely: a batch makes thousands of objects, and reference counts free them.

    What stands after the start lives for ever, and need not be looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _address(host: str, port: int) -> str:
    return f"http://{_bracketed(host)}:{port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
