"""The API: an ASGI app made of routes, with nothing between the server and the handler."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from time import perf_counter
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog import get_logger

from nova.kernel.errors import NotFound, Refused, Unauthenticated
from nova.ports.idempotency import Idempotency
from nova.web import intake
from nova.web.access import ANONYMOUS, admit, named, owner
from nova.web.actors import Actor, Authenticator, ServerKey, User
from nova.web.allowed_hosts import HostNotAllowed, Hosts, refuse
from nova.web.bounds import unbounded
from nova.web.clients import Clients
from nova.web.cors import Origins
from nova.web.idempotency import Repeats
from nova.web.limits import Budgets, Gate, Limiter, LocalLimits
from nova.web.logging import names_secret
from nova.web.metrics import Requests
from nova.web.problems import Answer, Broken, Headers, Overloaded, problem
from nova.web.router import MethodNotAllowed, NoSuchRoute, Router
from nova.web.routes import Call, Html, Parallel, Reply, Route
from nova.web.traces import Trace, joined

JSON: Headers = [
    (b"content-type", b"application/json"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
HTML: Headers = [
    (b"content-type", b"text/html; charset=utf-8"),
    *JSON[1:],
    (b"content-security-policy", b"default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
NOTHING: Mapping[str, str] = {}

_encode = msgspec.json.Encoder().encode


class Asked(Struct, gc=False):
    """One request as the server hands it over."""

    scope: Scope
    receive: Receive
    headers: dict[bytes, bytes]
    trace: Trace


class Endpoint:
    """One route, with everything about it that can be made ready before a request comes."""

    __slots__ = (
        "bodies",
        "cost",
        "gate",
        "handler",
        "is_secret",
        "keyed",
        "limit",
        "max_body",
        "meter",
        "queries",
        "route",
        "servers_gate",
    )

    def __init__(
        self, route: Route, requests: Requests, gates: Mapping[tuple[str, bool], Gate]
    ) -> None:
        _check(route)
        self.route = route
        self.handler = route.handler
        self.cost = route.cost
        self.limit = route.limit
        name = route.parallel.name if route.parallel else ""
        self.gate, self.servers_gate = gates.get((name, False)), gates.get((name, True))
        self.is_secret = any(map(names_secret, re.findall(r"{(\w+)}", route.path)))
        self.max_body = route.max_body
        self.bodies = None if route.body is UNSET else intake.Bodies(route.body, route.each)
        self.queries = intake.Queries(route.query)
        self.keyed = route.method == "POST" and not route.secret
        self.meter = requests.of(route.method, route.path)

    async def run(self, call: Call[Any, Any]) -> Answer:
        """Call the handler and encode what it returns."""
        result = await self.handler(call)
        status, headers = self.route.status, JSON
        if isinstance(result, Reply):
            status = result.status or status
            if result.headers:
                more = result.headers.items()
                headers = [*JSON, *((name.lower().encode(), text.encode()) for name, text in more)]
            result = result.body
        if isinstance(result, Html):
            return Answer(status, HTML, result.text.encode())
        if result is None:
            return Answer(204 if status == 200 else status, headers[1:], b"")  # noqa: PLR2004  # HTTP
        return Answer(status, headers, _encode(result))


def _shown(endpoint: Endpoint | Answer | None, asked: Asked) -> str:
    """Return a path as logs may show it: without the query and without secrets in segments."""
    if isinstance(endpoint, Endpoint) and endpoint.is_secret:
        return endpoint.route.path
    path: str = asked.scope["path"]
    return path


def _gates(routes: Sequence[Route]) -> Mapping[tuple[str, bool], Gate]:
    """Return the gates of all costly routes by name: those of users and of server keys.

    Raises ValueError where two bounds share a name.
    """
    bounds: dict[str, Parallel] = {}
    for route in routes:
        if (bound := route.parallel) and bounds.setdefault(bound.name, bound) != bound:
            raise ValueError(f"{route.path}: another bound is called {bound.name!r}")
    return {
        (name, is_servers): Gate(bound, of_one=None if is_servers else bound.of_one)
        for name, bound in bounds.items()
        for is_servers in (False, True)
    }


def _turn(endpoint: Endpoint, actor: Actor, sender: str) -> AbstractAsyncContextManager[None]:
    gate = endpoint.servers_gate if isinstance(actor, ServerKey) else endpoint.gate
    return _FREE if gate is None else gate.of(sender)


_FREE: AbstractAsyncContextManager[None] = nullcontext()


def _check(route: Route) -> None:
    where = f"{route.method} {route.path}"
    if not route.path.startswith("/") or route.method != route.method.upper():
        raise ValueError(f"{where}: a route is a METHOD and a /path")
    if route.rule.name == "SELF" and "{user}" not in route.path.split("/"):
        raise ValueError(f"{where}: Rule.SELF needs a {{user}} in the path")
    if route.cost < 1:
        raise ValueError(f"{where}: every call takes something from its caller's budget")
    for part, kind in (("body", route.body), ("query", route.query)):
        loose = unbounded(kind) if kind is not UNSET else []
        if loose:
            raise ValueError(
                f"{where}: without bounds in the {part}: {', '.join(loose)} "
                "(see nova.kernel.text, or msgspec.Meta)"
            )


class Elsewhere(Struct, frozen=True, kw_only=True):
    """What takes requests, in their raw form, that are for no route."""

    mounts: Mapping[str, ASGIApp] = {}
    """By exact path."""
    fallback: ASGIApp | None = None
    """Gets what neither a mount nor a route answers, such as the site's files."""


class Admission(Struct, frozen=True, kw_only=True):
    """Who may call, and by which names."""

    clients: Clients
    hosts: Hosts
    origins: Sequence[str] = ()


class Capacity(Struct, frozen=True, kw_only=True):
    """How much there is room for; what is more is answered 503."""

    requests: int = 1000
    """In progress, mounts not counted."""
    bytes: int = 64 << 20
    """Of large bodies of the backend's, and a quarter as much of others', those that still arrive
    included."""


class Api:
    """Answers HTTP requests."""

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        authenticator: Authenticator,
        registry: CollectorRegistry,
        idempotency: Idempotency | None = None,
        limiter: Limiter | None = None,
        budgets: Budgets | None = None,
        elsewhere: Elsewhere | None = None,
        admission: Admission | None = None,
        capacity: Capacity | None = None,
        access_log: bool = False,
    ) -> None:
        self._authenticator = authenticator
        self._repeats = Repeats(idempotency)
        self._limiter = limiter or Limiter(LocalLimits(), registry)
        self._budgets = budgets or Budgets()
        elsewhere, capacity = elsewhere or Elsewhere(), capacity or Capacity()
        admission = admission or Admission(clients=Clients(), hosts=Hosts("*"))
        self._mounts = dict(elsewhere.mounts)
        self._fallback = elsewhere.fallback
        self._clients = admission.clients
        self._hosts = admission.hosts
        self._origins = Origins(admission.origins)
        self._most = capacity.requests
        # The host app's backend and its users cannot take each other's room.
        self._room = intake.Room(capacity.bytes)
        self._users_room = intake.Room(capacity.bytes // 4, of_one=capacity.bytes // 16)
        self._access_log = access_log
        self._reading = asyncio.Lock()  # of large batches with bad items, one at a time
        self._log = get_logger()
        self._busy = 0
        self._arrivals = intake.Arrivals()
        self._requests = Requests(registry, lambda: self._busy)
        self._nowhere = self._requests.of("", "none")
        self._router: Router[Endpoint] = Router()
        gates = _gates(routes)
        for route in routes:
            self._router.add(route.method, route.path, Endpoint(route, self._requests, gates))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            self._clients.notice(scope)
            try:
                self._hosts.check(scope)
            except HostNotAllowed as refused:
                await refuse(scope, send, refused)
                return
        mount = self._mounts.get(scope.get("path", ""))
        if mount is not None:
            await mount(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4404, "reason": "no such endpoint"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        asked = Asked(scope, receive, headers, joined(headers.get(b"traceparent")))
        endpoint: Endpoint | Answer | None = None
        self._busy += 1
        try:
            endpoint, path = self._find(asked)
            if isinstance(endpoint, Answer):
                answer = endpoint
            else:
                answer = await self._operate(endpoint, asked, path)
        except Refused as refused:
            if self._fallback is not None and isinstance(refused, NoSuchRoute):
                await self._fallback(scope, receive, send)
                return
            answer = problem(await self._counted(refused, endpoint, asked), asked.trace.id)
        except Exception:  # noqa: BLE001  # the edge: a bug in one request harms no other
            self._log.exception(
                "request_failed", path=_shown(endpoint, asked), trace_id=asked.trace.id
            )
            answer = problem(Broken(), asked.trace.id)
        finally:
            self._busy -= 1
        seconds = perf_counter() - started
        meter = endpoint.meter if isinstance(endpoint, Endpoint) else self._nowhere
        meter.observe(answer.status, seconds)
        if self._access_log:
            self._note(answer, endpoint, asked, seconds)
        await self._send(answer, asked, send)

    def _find(self, asked: Asked) -> tuple[Endpoint | Answer, Mapping[str, str]]:
        """Return the endpoint and its named segments, or the answer to OPTIONS."""
        if self._busy > self._most:
            raise Overloaded(retry_after=1.0)
        scope = asked.scope
        method = scope["method"]
        leaf, values = self._router.find(scope["path"], scope.get("raw_path"))
        endpoint = leaf.methods.get("GET" if method == "HEAD" else method)
        if endpoint is not None:
            return endpoint, dict(zip(leaf.names, values, strict=True)) if values else NOTHING
        if method == "OPTIONS":
            return self._origins.preflight(asked.headers, leaf.allow), {}
        raise MethodNotAllowed(leaf.allow)

    async def _operate(self, endpoint: Endpoint, asked: Asked, path: Mapping[str, str]) -> Answer:
        actor = await self._actor(asked)
        rule = endpoint.route.rule
        admit(actor, rule)
        sender = owner(actor) or self._clients.network(asked.scope)
        await self._charge(endpoint, asked, actor, sender)
        user = other = None
        if path:
            user, other = await named(
                self._authenticator, actor, rule, path, endpoint.route.looks_into
            )
        raw, body = b"", UNSET
        room = self._room if isinstance(actor, ServerKey) else self._users_room
        place = room.of(sender)
        try:
            if endpoint.bodies is not None:
                raw = await self._body(endpoint, asked, actor, sender, place)
                if raw or not endpoint.bodies.may_be_empty:
                    intake.json(asked.headers)
                try:
                    body = endpoint.bodies.decode(raw)
                except intake.TakesLong:
                    async with self._reading:
                        body = await asyncio.to_thread(endpoint.bodies.decode, raw, quickly=False)
            query = endpoint.queries.decode(asked.scope["query_string"])
            call = Call(actor, body, query, path, asked.trace.id, user, asked.trace.parent, other)
            async with _turn(endpoint, actor, sender):
                repeat = asked.headers.get(b"idempotency-key") if endpoint.keyed else None
                if repeat is None:
                    return await endpoint.run(call)
                request = (asked.scope["path"].encode(), asked.scope["query_string"], raw)
                return await self._repeats.once(
                    owner(actor), repeat, request, lambda: endpoint.run(call), call.trace_id
                )
        finally:
            place.give(len(raw))

    async def _charge(self, endpoint: Endpoint, asked: Asked, actor: Actor, sender: str) -> None:
        """Take a call from the budget of its caller, and from the route's own limit."""
        budgets, limit = self._budgets, endpoint.limit
        if isinstance(actor, ServerKey):
            await self._limiter.charge(budgets.servers, sender)
            return
        if isinstance(actor, User):
            await self._limiter.charge(budgets.users, sender, endpoint.cost)
        elif limit is None:
            limit = budgets.strangers
        if limit is None:
            return
        if limit.of_failures:
            limit, sender = replace(limit, name=f"{limit.name}_each"), asked.scope["path"]
        await self._limiter.charge(limit, sender)

    async def _counted(
        self, refused: Refused, endpoint: Endpoint | Answer | None, asked: Asked
    ) -> Refused:
        """Count a call that showed nothing valid; return what it is answered with.

        It is counted after it was refused: what others at the same address did wrong never keeps
        out who has a valid token, key or link.
        """
        own = endpoint.limit if isinstance(endpoint, Endpoint) else None
        if isinstance(refused, Unauthenticated):
            limit = self._budgets.strangers
        elif isinstance(refused, NotFound) and own is not None and own.of_failures:
            limit = own
        else:
            return refused
        try:
            await self._limiter.charge(limit, self._clients.network(asked.scope))
        except Refused as beyond:
            return beyond
        return refused

    async def _body(
        self, endpoint: Endpoint, asked: Asked, actor: Actor, sender: str, place: intake.Place
    ) -> bytes:
        """Read the body. While it arrives, the request is not one in progress.

        So whoever sends slowly takes nobody's place; how many one sender may have arriving
        is bounded, but for the host app's backend.
        """
        if intake.is_whole(asked.scope):
            return await intake.read(asked.receive, asked.headers, endpoint.max_body, place)
        arriving: AbstractAsyncContextManager[None] = nullcontext()
        if not isinstance(actor, ServerKey):
            arriving = self._arrivals.of(sender)
        async with arriving:
            self._busy -= 1
            try:
                raw = await intake.read(asked.receive, asked.headers, endpoint.max_body, place)
            finally:
                self._busy += 1
        if self._busy > self._most:
            place.give(len(raw))
            raise Overloaded(retry_after=1.0)
        return raw

    async def _actor(self, asked: Asked) -> Actor:
        header = asked.headers.get(b"authorization")
        if header is None:
            key = asked.headers.get(b"x-api-key")
            if key is None:
                return ANONYMOUS
            header = b"apikey " + key
        authorization = header.decode("latin-1")
        known = self._authenticator.known(authorization)
        return known or await self._authenticator.bearer(authorization)

    def _note(
        self, answer: Answer, endpoint: Endpoint | Answer | None, asked: Asked, seconds: float
    ) -> None:
        self._log.info(
            "request",
            method=asked.scope["method"],
            path=_shown(endpoint, asked),
            status=answer.status,
            ms=round(seconds * 1e3, 2),
            client=self._clients.address(asked.scope),
            trace_id=asked.trace.id,
        )

    async def _send(self, answer: Answer, asked: Asked, send: Send) -> None:
        headers = [
            *answer.headers,
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-trace-id", asked.trace.id.encode()),
        ]
        origin = asked.headers.get(b"origin")
        if origin is not None:
            headers += self._origins.headers(origin, asked.headers.get(b"host", b""))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if asked.scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
