"""Who may do what: every route and every command of the socket, as every kind of caller."""

from base64 import urlsafe_b64encode
from time import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from nova.app import all_routes, built
from nova.ports.database import Pool
from nova.settings import Settings, Tokens
from nova.web.actors import Rule
from support.app import App, like
from support.auth_matrix import Callers, unexpected
from support.clients import http_client, websocket

SECRETS = Tokens(secret="s" * 32, signing_secret="t" * 32)


async def revoked(app: App, user: str) -> str:
    token = app.token(user, jti=str(uuid4()))
    async with app.client() as client:
        answer = await client.post("/v1/tokens/revoke", json={"token": token})
    assert answer.is_success, answer.text
    return token


def unsigned(user: str) -> str:
    """Return a token whose algorithm is none."""
    parts = ({"alg": "none", "typ": "JWT"}, {"sub": user, "exp": time() + 60})
    head, claims = (
        urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode() for part in parts
    )
    return f"{head}.{claims}.{'A' * 43}"


async def test_every_route_has_a_limit_and_every_cost_fits_the_least_budget(pool: Pool) -> None:
    """Each call takes from a budget; what needs no credential has a limit per address."""
    async with built(Settings(tokens=SECRETS), pool) as house:
        routes = all_routes(house)
        methods = house.hub.methods.values()
    least = 100  # what `limits.user_burst` may be set to
    assert all(1 <= route.cost <= least for route in routes)
    assert all(1 <= method.cost <= least for method in methods)
    assert all(route.limit for route in routes if route.rule is Rule.PUBLIC)
    assert {route.parallel.name for route in routes if route.parallel} >= {
        "paths",
        "suggestions",
        "exports",
        "bulk",
    }


async def test_every_route_admits_whom_its_rule_says(app: App, pool: Pool) -> None:
    async with built(Settings(tokens=SECRETS), pool) as house:
        routes = all_routes(house)
    assert len(routes) > 30
    owner, other, out, somebody = await app.people(4)
    async with app.client() as client:
        assert (await client.patch(f"/v1/users/{out}", json={"suspended": True})).is_success
    callers = Callers(
        user=owner,
        owner=app.token(owner),
        other=app.token(other),
        server=app.server.server_key,
        expired=app.token(owner, lifetime_s=-60),
        revoked=await revoked(app, owner),
        suspended=app.token(out),
        forged=unsigned(owner),
        somebody=somebody,
    )
    async with http_client(app.url) as client:
        assert await unexpected(client, routes, callers) == []


async def test_a_notification_of_somebody_else_is_not_there(app: App) -> None:
    ada, ben, eve = await app.people(3)
    event = like(to=ben, by=ada)
    async with app.phone(ben) as phone:
        await app.send(event)
        await phone.until(lambda phone: phone.rings == [event["id"]])
    [notification] = await app.inbox(ben)
    path = f"/v1/notifications/{notification['id']}"
    for user, status in ((ben, True), (eve, False)):
        async with app.client(user) as client:
            answers = [await client.get(f"{path}/trace"), await client.post(f"{path}/read")]
            assert [answer.is_success for answer in answers] == [status, status]
            if not status:
                assert {answer.status_code for answer in answers} == {404}
                assert (await client.delete(path)).status_code == 404
    assert len(await app.inbox(ben)) == 1


class Closed(Exception):
    """The server ended the connection with this code."""


async def ask(socket: ClientConnection, command: dict[str, Any]) -> dict[str, Any]:
    """Send one command and return its reply."""
    await socket.send(msgspec.json.encode({"id": 7, **command}).decode())
    try:
        while True:
            for line in str(await socket.recv()).splitlines():
                reply: dict[str, Any] = msgspec.json.decode(line)
                if reply.get("id") == 7:
                    return reply
    except ConnectionClosed as closed:
        raise Closed(closed.rcvd.code if closed.rcvd else None) from closed


async def connected(app: App, token: str) -> ClientConnection:
    socket = await websocket(app.url.replace("http", "ws") + "/connection/websocket")
    await ask(socket, {"connect": {"token": token}})
    return socket


async def test_a_socket_opens_only_with_a_users_valid_token(app: App) -> None:
    [ada] = await app.people(1)
    nobody = app.token(f"nobody-{uuid4()}")
    for token in ("", "x", app.server.server_key, nobody, await revoked(app, ada)):
        with pytest.raises(Closed) as closed:
            await connected(app, token)
        assert closed.value.args == (3500,)
    async with websocket(app.url.replace("http", "ws") + "/connection/websocket") as socket:
        reply = await ask(socket, {"connect": {"token": app.token(ada, lifetime_s=-60)}})
        assert reply["error"]["code"] == 109


async def test_no_command_comes_before_connect(app: App) -> None:
    async with websocket(app.url.replace("http", "ws") + "/connection/websocket") as socket:
        with pytest.raises(Closed) as closed:
            await ask(socket, {"rpc": {"method": "notifications.list", "data": {}}})
    assert closed.value.args == (3501,)


@pytest.mark.parametrize("command", ["subscribe", "history", "presence", "presence_stats"])
async def test_somebody_elses_channel_is_closed(app: App, command: str) -> None:
    ada, ben = await app.people(2)
    async with app.client() as client:
        theirs = (await client.get(f"/v1/users/{ben}")).json()["id"]
    async with await connected(app, app.token(ada)) as socket:
        reply = await ask(socket, {command: {"channel": f"user:{theirs}"}})
    assert reply["error"]["code"] == 103


async def test_nobody_publishes_for_the_server(app: App) -> None:
    [ada] = await app.people(1)
    async with app.client() as client:
        own = (await client.get(f"/v1/users/{ada}")).json()["id"]
    async with await connected(app, app.token(ada)) as socket:
        publish = {"channel": f"user:{own}", "data": {"type": "notification"}}
        assert (await ask(socket, {"publish": publish}))["error"]["code"] == 103
        unknown = {"channel": "nowhere:1", "data": {}}
        assert (await ask(socket, {"publish": unknown}))["error"]["code"] == 102


async def test_revoking_a_token_closes_the_socket_it_opened(app: App) -> None:
    [ada] = await app.people(1)
    token = app.token(ada, jti=str(uuid4()))
    async with await connected(app, token) as socket, app.client() as client:
        await client.post("/v1/tokens/revoke", json={"token": token})
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 3500


async def test_a_deleted_user_is_gone_from_open_sockets_too(app: App) -> None:
    [ada] = await app.people(1)
    async with await connected(app, app.token(ada)) as socket, app.client() as client:
        assert (await client.delete(f"/v1/users/{ada}")).is_success
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    async with app.client(ada) as client:
        assert (await client.get("/v1/notifications")).status_code == 401


async def test_a_secret_is_never_kept_under_an_idempotency_key(app: App) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    async with app.client() as client:
        first, second = [
            (await client.post("/v1/keys", json={"name": "twice"}, headers=key)).json()
            for _ in range(2)
        ]
        assert first["secret"] != second["secret"]
        for made in (first, second):
            assert (await client.delete(f"/v1/keys/{made['id']}")).is_success
