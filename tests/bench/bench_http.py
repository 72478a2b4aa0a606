"""CPU per request inside the app: `python tests/bench/http.py`, without a server or network."""

import sys
from time import process_time
from typing import Any

import uvloop
from msgspec import Struct
from prometheus_client import CollectorRegistry
from starlette.types import Message, Scope

from nova.kernel.errors import Unauthenticated
from nova.kernel.ids import new_id
from nova.kernel.text import Count, Name
from nova.web.actors import Actor, Rule, User
from nova.web.api import Api
from nova.web.intake import WHOLE
from nova.web.limits import Budgets
from nova.web.router import Router
from nova.web.routes import Call, Limit, Route

TIMES = 20_000
ADA = User(new_id(), "token")
UNLIMITED = Budgets(users=Limit("users", per_s=1e9, burst=10**9))


class Note(Struct):
    id: Name
    text: Name
    count: Count


class Page(Struct):
    limit: Count = 20


class One:
    """Knows one token."""

    def known(self, authorization: str) -> Actor | None:
        return ADA if authorization == "Bearer ada" else None

    async def bearer(self, authorization: str) -> Actor:
        raise Unauthenticated(authorization)

    async def user(self, token: str) -> User:
        raise Unauthenticated(token)

    async def resolve(self, reference: str) -> Any:
        raise Unauthenticated(reference)

    async def find_for(self, viewer: Any, reference: str, meeting: Any) -> Any:  # noqa: ARG002
        return await self.resolve(reference)


async def echo(call: Call[Note, Any]) -> Note:
    return call.body


async def page(call: Call[Any, Page]) -> Page:
    return call.query


def route(method: str, path: str, handler: Any, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, summary="", **more)


def routes() -> list[Route]:
    fill = [route("GET", f"/v1/fill{n}/{{id}}/more", page, rule=Rule.USER) for n in range(100)]
    limit = Limit("notes", per_s=1e9, burst=10**9)
    return [
        *fill,
        route("POST", "/v1/notes", echo, rule=Rule.USER, body=Note),
        route("POST", "/v1/limited", echo, rule=Rule.USER, body=Note, limit=limit),
        route("GET", "/v1/users/{user}/notes", page, rule=Rule.SELF, query=Page),
    ]


def scope(method: str, path: str, query: bytes = b"") -> Scope:
    headers = [
        (b"host", b"127.0.0.1:8000"),
        (b"user-agent", b"bench"),
        (b"accept", b"*/*"),
        (b"authorization", b"Bearer ada"),
        (b"content-type", b"application/json"),
        (b"content-length", b"60"),
    ]
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "extensions": {WHOLE: lambda: True},  # as the server says of small bodies
    }


async def cost(api: Api, asked: Scope, body: bytes = b"") -> float:
    """Return the CPU of one request, in microseconds."""
    statuses: set[int] = set()

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.add(message["status"])

    for _ in range(TIMES // 10):
        await api(asked, receive, send)
    started = process_time()
    for _ in range(TIMES):
        await api(asked, receive, send)
    spent = process_time() - started
    if not statuses <= {200, 401}:
        raise SystemExit(f"answered {statuses}")
    return spent / TIMES * 1e6


def look_up() -> float:
    router: Router[int] = Router()
    for number in range(120):
        router.add("GET", f"/v1/room{number}/{{id}}/things/{{thing}}", number)
    started = process_time()
    for _ in range(TIMES):
        router.find("/v1/room119/7/things/8", b"/v1/room119/7/things/8")
    return (process_time() - started) / TIMES * 1e6


async def main() -> None:
    api = Api(routes(), authenticator=One(), registry=CollectorRegistry(), budgets=UNLIMITED)
    note = b'{"id":"0192f0c1","text":"a short text of a note","count":7}'
    figures = {
        "post_json_us": await cost(api, scope("POST", "/v1/notes"), note),
        "post_json_limited_us": await cost(api, scope("POST", "/v1/limited"), note),
        "get_self_query_us": await cost(api, scope("GET", "/v1/users/me/notes", b"limit=7")),
        "route_of_120_us": look_up(),
    }
    for name, figure in figures.items():
        sys.stdout.write(f"{name}\t{figure:.1f}\n")


if __name__ == "__main__":
    uvloop.run(main())
