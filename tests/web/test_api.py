"""Routes become an API: found, allowed, decoded, answered, refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from msgspec import Meta, Struct
from prometheus_client import CollectorRegistry, generate_latest
from starlette.types import Message

from nova.kernel.errors import Conflict, Malformed, NotFound, Unauthenticated
from nova.kernel.text import Name
from nova.web import intake
from nova.web.actors import Actor, Rule
from nova.web.intake import MOST_ARRIVING
from nova.web.limits import Budgets
from nova.web.routes import Call, Limit, Parallel, Reply, Route
from support.http import SERVER, People, api_client, api_of, bearer
from support.waiting import until

Small = Annotated[int, Meta(ge=1, le=100)]


class Word(Struct):
    word: Name


class Long(Struct):
    text: Annotated[str, Meta(max_length=200_000)]


class Many(Struct):
    limit: Small = 20
    ratio: float = 1.0
    kinds: list[Name] = []


async def echo(call: Call[Word, Any]) -> Word:
    return call.body


async def whose(call: Call[Any, Any]) -> dict[str, str]:
    return {"user": str(call.user), "path": call.path["user"]}


async def listed(call: Call[Any, Many]) -> Many:
    return call.query


async def fails(call: Call[Any, Any]) -> None:
    raise RuntimeError("secret detail")


async def clashes(call: Call[Any, Any]) -> None:
    raise Conflict("Somebody was faster.", winner="ben")


async def made(call: Call[Any, Any]) -> Reply[Word]:
    return Reply(Word("new"), 201, {"Location": "/words/new"})


async def nothing(call: Call[Any, Any]) -> None:
    return None


def route(method: str, path: str, handler: Any, rule: Rule = Rule.PUBLIC, **more: Any) -> Route:
    return Route(method=method, path=path, handler=handler, rule=rule, summary=path, **more)


ROUTES = [
    route("POST", "/echo", echo, body=Word, returns=Word, max_body=1000),
    route("GET", "/users/{user}", whose, Rule.SELF),
    route("GET", "/things/{thing}", listed, query=Many),
    route("GET", "/things/all", listed, query=Many),
    route("GET", "/server", nothing, Rule.SERVER),
    route("GET", "/user", nothing, Rule.USER),
    route("GET", "/either", nothing, Rule.EITHER),
    route("GET", "/fails", fails),
    route("GET", "/clashes", clashes),
    route("POST", "/made", made),
    route("GET", "/scarce", nothing, Rule.EITHER, limit=Limit("scarce", 0.001, 2)),
]
LARGE = json.dumps({"text": "x" * 70_000}).encode()
LONG = route("POST", "/long", echo, body=Long, returns=Long)
PEOPLE = People("ada", "ben")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with api_client(ROUTES, PEOPLE) as client:
        yield client


async def test_a_body_comes_back_as_json_with_a_trace(client: httpx.AsyncClient) -> None:
    answer = await client.post("/echo", json={"word": "hé"})
    assert (answer.status_code, answer.json()) == (200, {"word": "hé"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert len(answer.headers["x-trace-id"]) == 32


async def test_the_callers_trace_goes_on(client: httpx.AsyncClient) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    parent = {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}
    assert (await client.get("/fails", headers=parent)).json()["trace_id"] == trace
    parent = {"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}
    assert (await client.get("/fails", headers=parent)).json()["trace_id"] != "0" * 32


async def test_a_refusal_is_a_problem_document(client: httpx.AsyncClient) -> None:
    answer = await client.get("/clashes")
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.pop("trace_id") == answer.headers["x-trace-id"]
    assert problem == {
        "type": "/docs/problems#conflict",
        "title": "The request contradicts what is already stored.",
        "status": 409,
        "detail": "Somebody was faster.",
        "code": "conflict",
        "hint": None,
        "winner": "ben",
    }


async def test_a_bug_is_a_problem_that_tells_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.get("/fails")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "secret detail" not in answer.text


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/server", SERVER, 204),
        ("/server", "ada", 403),
        ("/server", None, 401),
        ("/server", "wrong", 401),
        ("/user", "ada", 204),
        ("/user", SERVER, 403),
        ("/user", None, 401),
        ("/either", SERVER, 204),
        ("/either", "ada", 204),
        ("/either", None, 401),
        ("/users/ada", "ada", 200),
        ("/users/me", "ada", 200),
        pytest.param(f"/users/{PEOPLE['ada']}", "ada", 200, id="own id"),
        ("/users/ben", "ada", 404),
        ("/users/nobody", "ada", 404),
        ("/users/ben", SERVER, 200),
        ("/users/nobody", SERVER, 404),
        ("/users/me", SERVER, 404),
        ("/users/ada", None, 401),
        ("/clashes", "wrong", 401),
    ],
)
async def test_each_rule_admits_whom_it_says(
    client: httpx.AsyncClient, path: str, token: str | None, status: int
) -> None:
    answer = await client.get(path, headers=bearer(token) if token else {})
    assert answer.status_code == status
    assert ("www-authenticate" in answer.headers) == (status == 401)


async def test_who_sends_no_credentials_hears_which_are_expected(
    client: httpx.AsyncClient,
) -> None:
    for path, expected in (("/server", "server key"), ("/user", "user token")):
        problem = (await client.get(path)).json()
        assert problem["detail"].endswith(f"Who may call: {expected}.")
        assert "nova_sk_" in problem["hint"]


async def test_others_and_nobody_look_the_same(client: httpx.AsyncClient) -> None:
    other = (await client.get("/users/ben", headers=bearer("ada"))).json()
    nobody = (await client.get("/users/nobody", headers=bearer("ada"))).json()
    other.pop("trace_id")
    nobody.pop("trace_id")
    assert other == nobody


async def test_me_is_resolved(client: httpx.AsyncClient) -> None:
    answer = await client.get("/users/me", headers=bearer("ada"))
    assert answer.json() == {"user": str(PEOPLE["ada"]), "path": "me"}


async def test_a_server_key_is_told_that_it_is_no_me(client: httpx.AsyncClient) -> None:
    answer = await client.get("/users/me", headers=bearer(SERVER))
    assert "name the user" in answer.json()["detail"]


async def test_a_reply_sets_status_and_headers(client: httpx.AsyncClient) -> None:
    answer = await client.post("/made")
    assert (answer.status_code, answer.headers["location"]) == (201, "/words/new")


async def test_methods_that_are_not_there_are_named(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/echo")
    assert (answer.status_code, answer.headers["allow"]) == (405, "OPTIONS, POST")
    assert (await client.options("/things/1")).headers["allow"] == "GET, HEAD, OPTIONS"


async def test_head_is_get_without_the_body(client: httpx.AsyncClient) -> None:
    answer = await client.head("/things/1")
    assert answer.status_code == 200
    assert answer.headers["content-length"] != "0"
    assert answer.content == b""


async def test_an_encoded_slash_stays_in_its_segment(client: httpx.AsyncClient) -> None:
    answer = await client.get("/users/a%2Fb", headers=bearer(SERVER))
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_user")
    assert (await client.get("/users/a/b")).json()["code"] == "no_such_route"


async def test_queries_are_converted(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/all?limit=7&kinds=like&kinds=follow")
    assert answer.json() == {"limit": 7, "ratio": 1.0, "kinds": ["like", "follow"]}


async def test_a_misspelt_parameter_gets_a_suggestion(client: httpx.AsyncClient) -> None:
    answer = await client.get("/things/all?limmit=7")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_parameter")
    assert "did you mean 'limit'?" in answer.json()["detail"]


async def test_a_used_up_limit_says_when_to_come_back(client: httpx.AsyncClient) -> None:
    statuses = [(await client.get("/scarce", headers=bearer("ada"))).status_code for _ in range(2)]
    answer = await client.get("/scarce", headers=bearer("ada"))
    assert (statuses, answer.status_code) == ([204, 204], 429)
    assert int(answer.headers["retry-after"]) > 1
    assert (await client.get("/scarce", headers=bearer("ben"))).status_code == 204


FEW = Budgets(
    strangers=Limit("strangers", per_s=0.001, burst=3),
    users=Limit("users", per_s=0.001, burst=5),
)


async def test_guessing_tokens_is_limited_by_address() -> None:
    async with api_client(ROUTES, PEOPLE, budgets=FEW) as client:
        tries = [(await client.get("/user", headers=bearer("x"))).status_code for _ in range(5)]
        assert tries == [401, 401, 401, 429, 429]


class Forgetful(People):
    """Verifies every credential anew, and counts."""

    asked = 0

    def known(self, _authorization: str) -> Actor | None:
        return None

    async def bearer(self, authorization: str) -> Actor:
        self.asked += 1
        actor = super().known(authorization)
        if actor is None:
            raise Unauthenticated
        return actor


async def test_whoever_guesses_keeps_no_valid_token_or_key_out() -> None:
    people = Forgetful("ada")
    async with api_client(ROUTES, people, budgets=FEW) as client:
        for wrong in [*[bearer("x")] * 9, *[{}] * 9]:
            await client.get("/user", headers=wrong)
        assert (await client.get("/user", headers=bearer("ada"))).status_code == 204
        assert (await client.get("/server", headers=bearer(SERVER))).status_code == 204
        assert (await client.get("/user", headers=bearer("x"))).status_code == 429
    assert people.asked == 12


async def test_a_valid_link_opens_whatever_others_at_the_address_try() -> None:
    async def link(call: Call[Any, Any]) -> None:
        if call.path["token"] != "good":
            raise NotFound

    once = Limit("links", per_s=0.001, burst=3, of_failures=True)
    routes = [route("GET", "/links/{token}", link, limit=once)]
    async with api_client(routes, budgets=FEW) as client:
        wrong = [(await client.get(f"/links/{number}")).status_code for number in range(5)]
        assert wrong == [404, 404, 404, 429, 429]
        good = [(await client.get("/links/good")).status_code for _ in range(4)]
        assert good == [204, 204, 204, 429]


async def test_a_user_has_one_budget_for_all_routes() -> None:
    async with api_client(ROUTES, PEOPLE, budgets=FEW) as client:
        ada = [
            (await client.get(path, headers=bearer("ada"))).status_code
            for path in ["/user", "/either"] * 3
        ]
        assert ada == [204] * 5 + [429]
        assert (await client.get("/user", headers=bearer("ben"))).status_code == 204
        server = [
            (await client.get("/server", headers=bearer(SERVER))).status_code for _ in range(9)
        ]
        assert server == [204] * 9


async def test_a_costly_route_takes_more_of_the_budget() -> None:
    routes = [route("GET", f"/{cost}", nothing, Rule.USER, cost=cost) for cost in (1, 4)]
    async with api_client(routes, PEOPLE, budgets=FEW) as client:
        asked = [
            (await client.get(path, headers=bearer("ada"))).status_code
            for path in ("/4", "/4", "/1", "/1")
        ]
    assert asked == [204, 429, 204, 429]


class Hall:
    """Costly calls, which go on until they may end."""

    def __init__(self, **bound: Any) -> None:
        self.may_end = asyncio.Event()
        self.running = 0
        self.most = 0
        parallel = Parallel(name="search", **bound)
        self.routes = [
            route("GET", path, self.stay, Rule.EITHER, parallel=parallel)
            for path in ("/search", "/walk")
        ]

    async def stay(self, _call: Call[Any, Any]) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.may_end.wait()
        finally:
            self.running -= 1

    async def runs(self, count: int) -> None:
        async def so_many() -> bool:
            return self.running >= count

        await until(so_many)


async def test_costly_calls_run_a_few_at_a_time_and_the_rest_hears_so_at_once() -> None:
    names = ("ada", "ben", "cleo", "dora")
    hall = Hall(running=2, of_one=1, waiting=1, wait_s=60)
    async with api_client(hall.routes, People(*names)) as client:

        def search(who: str, path: str = "/search") -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(client.get(path, headers=bearer(who)))

        ada, ben = search("ada"), search("ben", "/walk")
        await hall.runs(2)
        again = await search("ada")
        assert (again.status_code, again.headers["retry-after"]) == (429, "1")
        done, waits = await asyncio.wait(
            [search("cleo"), search("dora")], return_when=asyncio.FIRST_COMPLETED
        )
        turned_away = done.pop().result()
        assert (turned_away.status_code, turned_away.headers["retry-after"]) == (503, "1")
        backend = [search(SERVER) for _ in range(2)]
        await hall.runs(4)
        hall.may_end.set()
        ends = await asyncio.gather(ada, ben, *waits, *backend)
        assert [end.status_code for end in ends] == [204] * 5
        assert hall.most == 4
        assert (await search("ada")).status_code == 204


async def test_nobody_waits_long_for_a_turn() -> None:
    hall = Hall(running=1, wait_s=0.01)
    async with api_client(hall.routes, PEOPLE) as client:
        first = asyncio.create_task(client.get("/search", headers=bearer("ada")))
        await hall.runs(1)
        assert (await client.get("/search", headers=bearer("ben"))).status_code == 503
        hall.may_end.set()
        assert (await first).status_code == 204


async def test_more_requests_than_it_takes_are_turned_away_at_once() -> None:
    async with api_client(ROUTES, PEOPLE, most=0) as client:
        answer = await client.get("/things/all")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_requests_are_counted_by_route() -> None:
    registry = CollectorRegistry()
    async with api_client(ROUTES, PEOPLE, registry=registry) as client:
        await client.get("/things/1")
        await client.get("/things/2")
        await client.get("/nowhere")
    text = generate_latest(registry).decode()
    labels = 'method="GET",route="/things/{thing}",status="200"'
    assert f"nova_http_requests_total{{{labels}}} 2.0" in text
    assert 'route="none",status="404"} 1.0' in text


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ([route("GET", "/a", nothing), route("GET", "/a", nothing)], "already"),
        ([route("GET", "/a/{b}", nothing), route("GET", "/a/{c}", nothing)], "already"),
        ([route("GET", "/a", nothing, Rule.SELF)], "{user}"),
        ([route("get", "/a", nothing)], "METHOD"),
    ],
)
def test_routes_that_cannot_be_do_not_start(wrong: list[Route], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        api_of(wrong)


def test_a_number_or_text_without_bounds_does_not_start() -> None:
    class Loose(Struct):
        count: int
        names: dict[str, list[str]]

    with pytest.raises(ValueError, match=r"\$\.count: int, \$\.names\{\}\[\]: str"):
        api_of([route("POST", "/loose", nothing, body=Loose)])


def test_a_route_without_a_rule_cannot_be_built() -> None:
    with pytest.raises(TypeError, match="rule"):
        Route(method="GET", path="/", handler=nothing, summary="")  # type: ignore[call-arg]


class Slow:
    """A body of which nothing comes until it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.may.wait()
        yield b'{"word": "late"}'


async def test_bodies_that_come_slowly_take_nobodys_place() -> None:
    people, slow = People("ada", "ben"), Slow()
    more = {"content-type": "application/json"}
    async with api_client(ROUTES, people, most=1) as client:

        async def post(name: str) -> int:
            headers = bearer(name) | more
            return (await client.post("/echo", content=slow, headers=headers)).status_code

        waiting = [asyncio.create_task(post("ada")) for _ in range(MOST_ARRIVING)]
        await asyncio.sleep(0.05)
        assert not any(each.done() for each in waiting)
        newest = asyncio.create_task(post("ada"))  # of too many, the oldest gives way
        assert await waiting.pop(0) == 429
        assert (await client.get("/things/1")).status_code == 200
        slow.may.set()
        assert set(await asyncio.gather(newest, *waiting)) <= {200, 503}
        assert await post("ada") == 200


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_large_bodies_that_find_no_room_are_turned_away_and_room_is_given_back() -> None:
    more = {"content-type": "application/json"} | bearer(SERVER)

    async with api_client([LONG], PEOPLE, most_bytes=100_000) as client:

        async def post(content: bytes | AsyncIterator[bytes]) -> int:
            return (await client.post("/long", content=content, headers=more)).status_code

        answer = await client.post("/long", content=b"x" * 100_001, headers=more)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"
        assert await post(pieces(b"x" * 60_000, b"x" * 60_000)) == 503
        for _ in range(3):  # after each of these all room is there again
            assert await post(LARGE) == 200
            assert await post(pieces(LARGE[:9], LARGE[9:])) == 200
            assert await post(b"{" * 70_000) == 400


class Endless:
    """A large body that ends when it may."""

    def __init__(self) -> None:
        self.may = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"x" * 90_000
        await self.may.wait()


async def test_large_bodies_that_do_not_end_keep_no_small_ones_out() -> None:
    names, body = ("ada", "ben", "cleo", "dora"), Endless()
    routes = [*ROUTES, LONG]
    async with api_client(routes, People(*names, "eve"), most_bytes=1_600_000) as client:

        async def post(name: str, content: bytes | Endless) -> int:
            headers = bearer(name) | {"content-type": "application/json"}
            return (await client.post("/long", content=content, headers=headers)).status_code

        sending = [asyncio.create_task(post(name, body)) for name in names]
        await asyncio.sleep(0.05)
        assert await post("eve", LARGE) == 503
        assert await post(SERVER, LARGE) == 200
        assert (await client.post("/echo", json={"word": "hé"})).status_code == 200
        body.may.set()
        await asyncio.gather(*sending)
        assert await post("eve", LARGE) == 200


async def test_large_bodies_of_one_user_leave_room_for_those_of_others() -> None:
    people, body = People("ada", "ben"), Endless()
    async with api_client([LONG], people, most_bytes=1_600_000) as client:

        async def post(name: str, content: bytes | Endless) -> int:
            headers = bearer(name) | {"content-type": "application/json"}
            return (await client.post("/long", content=content, headers=headers)).status_code

        sending = [asyncio.create_task(post("ada", body)) for _ in range(16)]
        await asyncio.sleep(0.05)
        assert [each.result() for each in sending if each.done()] == [429] * 15
        assert await post("ada", LARGE) == 429
        assert await post("ben", LARGE) == 200
        body.may.set()
        await asyncio.gather(*sending)
        assert await post("ada", LARGE) == 200


async def test_who_goes_away_leaves_room_behind() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b"x" * 80_000, "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    room = intake.Room(100_000)
    with pytest.raises(Malformed):
        await intake.read(receive, {}, 1_000_000, room.of("ada"))
    room.of("ada").grow(0, 100_000)
