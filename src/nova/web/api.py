"""The API: an ASGI app made of routes, with nothing between the server and the handler."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter
from typing import Any

import msgspec
from msgspec import UNSET, Struct
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send
from structlog import get_logger

from nova.kernel.errors import Refused, Unauthenticated
from nova.ports.idempotency import Idempotency
from nova.ports.limits import Limits
from nova.web import intake
from nova.web.access import ANONYMOUS, admit, named, owner
from nova.web.actors import Actor, Authenticator, ServerKey
from nova.web.bounds import unbounded
from nova.web.clients import Clients
from nova.web.cors import Origins
from nova.web.idempotency import Repeats
from nova.web.limits import Limiter, LocalLimits
from nova.web.metrics import Requests
from nova.web.problems import Answer, Broken, Headers, Overloaded, problem
from nova.web.router import MethodNotAllowed, NoSuchRoute, Router
from nova.web.routes import Call, Html, Limit, Reply, Route
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
STRANGERS = Limit("strangers", per_s=20, burst=200)
"""Calls without credentials, and failed ones with, per address."""

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

    __slots__ = ("bodies", "handler", "keyed", "limit", "max_body", "meter", "queries", "route")

    def __init__(self, route: Route, requests: Requests) -> None:
        _check(route)
        self.route = route
        self.handler = route.handler
        self.limit = route.limit
        self.max_body = route.max_body
        self.bodies = None if route.body is UNSET else intake.Bodies(route.body)
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


def _check(route: Route) -> None:
    where = f"{route.method} {route.path}"
    if not route.path.startswith("/") or route.method != route.method.upper():
        raise ValueError(f"{where}: a route is a METHOD and a /path")
    if route.rule.name == "SELF" and "{user}" not in route.path.split("/"):
        raise ValueError(f"{where}: Rule.SELF needs a {{user}} in the path")
    for part, kind in (("body", route.body), ("query", route.query)):
        loose = unbounded(kind) if kind is not UNSET else []
        if loose:
            raise ValueError(
                f"{where}: without bounds in the {part}: {', '.join(loose)} "
                "(see nova.kernel.text, or msgspec.Meta)"
            )


class Api:
    """Answers HTTP requests; `mounts` are exact paths that take the raw scope.

    `fallback` gets what neither a mount nor a route answers, such as the site's files.
    At most `most` requests are in progress (mounts not counted), with at most `most_bytes` of
    large bodies of the backend's and a quarter as much of others', those that still arrive
    included; what is more is answered 503.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        *,
        authenticator: Authenticator,
        registry: CollectorRegistry,
        idempotency: Idempotency | None = None,
        limits: Limits | None = None,
        mounts: Mapping[str, ASGIApp] | None = None,
        fallback: ASGIApp | None = None,
        strangers: Limit = STRANGERS,
        proxies: Sequence[str] = (),
        origins: Sequence[str] = (),
        most: int = 1000,
        most_bytes: int = 64 << 20,
        access_log: bool = False,
    ) -> None:
        self._authenticator = authenticator
        self._repeats = Repeats(idempotency)
        self._limiter = Limiter(limits or LocalLimits(), registry)
        self._mounts = dict(mounts or {})
        self._fallback = fallback
        self._strangers = strangers
        self._clients = Clients(proxies)
        self._origins = Origins(origins)
        self._most = most
        # The host app's backend and its users cannot take each other's room.
        self._room = intake.Room(most_bytes)
        self._users_room = intake.Room(most_bytes // 4, of_one=most_bytes // 16)
        self._access_log = access_log
        self._log = get_logger()
        self._busy = 0
        self._arrivals = intake.Arrivals()
        self._requests = Requests(registry, lambda: self._busy)
        self._nowhere = self._requests.of("", "none")
        self._router: Router[Endpoint] = Router()
        for route in routes:
            self._router.add(route.method, route.path, Endpoint(route, self._requests))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
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
        meter = self._nowhere
        self._busy += 1
        try:
            endpoint, path = self._find(asked)
            if isinstance(endpoint, Answer):
                answer = endpoint
            else:
                meter = endpoint.meter
                answer = await self._operate(endpoint, asked, path)
        except Refused as refused:
            if self._fallback is not None and isinstance(refused, NoSuchRoute):
                await self._fallback(scope, receive, send)
                return
            answer = problem(refused, asked.trace.id)
        except Exception:  # noqa: BLE001  # the edge: a bug in one request harms no other
            self._log.exception("request_failed", path=scope["path"], trace_id=asked.trace.id)
            answer = problem(Broken(), asked.trace.id)
        finally:
            self._busy -= 1
        seconds = perf_counter() - started
        meter.observe(answer.status, seconds)
        if self._access_log:
            self._note(answer, asked, seconds)
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
        user = await named(self._authenticator, actor, rule, path) if path else None
        sender = owner(actor) or self._clients.address(asked.scope)
        if endpoint.limit is not None:
            await self._limiter.charge(endpoint.limit, sender)
        raw, body = b"", UNSET
        room = self._room if isinstance(actor, ServerKey) else self._users_room
        place = room.of(sender)
        try:
            if endpoint.bodies is not None:
                raw = await self._body(endpoint, asked, actor, sender, place)
                if raw or not endpoint.bodies.may_be_empty:
                    intake.json(asked.headers)
                body = endpoint.bodies.decode(raw)
            query = endpoint.queries.decode(asked.scope["query_string"])
            call = Call(actor, body, query, path, asked.trace.id, user, asked.trace.parent)
            repeat = asked.headers.get(b"idempotency-key") if endpoint.keyed else None
            if repeat is None:
                return await endpoint.run(call)
            request = (asked.scope["path"].encode(), asked.scope["query_string"], raw)
            return await self._repeats.once(
                owner(actor), repeat, request, lambda: endpoint.run(call), call.trace_id
            )
        finally:
            place.give(len(raw))

    async def _body(
        self, endpoint: Endpoint, asked: Asked, actor: Actor, sender: str, place: intake.Place
    ) -> bytes:
        """Read the body. While it arrives, the request is not one in progress.

        So whoever sends slowly takes nobody's place; how many one sender may have arriving
        is bounded, but for the host app's backend.
        """
        arriving: AbstractContextManager[None] = nullcontext()
        if not isinstance(actor, ServerKey):
            arriving = self._arrivals.of(sender)
        with arriving:
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
        authorization = header.decode("latin-1") if header is not None else ""
        if header is not None:
            actor = self._authenticator.known(authorization)
            if actor is not None:
                return actor
        address = self._clients.address(asked.scope)
        if header is None:
            await self._limiter.charge(self._strangers, address)
            return ANONYMOUS
        await self._limiter.charge(self._strangers, address, cost=0)
        try:
            return await self._authenticator.bearer(authorization)
        except Unauthenticated:
            await self._limiter.charge(self._strangers, address)
            raise

    def _note(self, answer: Answer, asked: Asked, seconds: float) -> None:
        self._log.info(
            "request",
            method=asked.scope["method"],
            path=asked.scope["path"],  # without the query, which may hold secrets
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
            headers += self._origins.headers(origin)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if asked.scope["method"] == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
