"""A blocked person reaches you nowhere: every feature is walked."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from nova.app import built
from nova.ports.database import Pool
from nova.settings import Settings, Tokens
from support.app import App, Phone, like
from support.clients import websocket
from support.waiting import SOON_S, until

SECRETS = Tokens(secret="s" * 32, signing_secret="t" * 32)


class Walk:
    """Ada has blocked Ben; whatever Ben tries, Ada neither hears nor sees of it."""

    def __init__(self, app: App, ada: str, ben: str, cleo: str, phone: Phone) -> None:
        self.app = app
        self.ada, self.ben, self.cleo = ada, ben, cleo
        self.phone = phone

    async def ask(self, who: str, method: str, path: str, status: int, **more: Any) -> Any:
        async with self.app.client(who) as client:
            answer = await client.request(method, f"/v1/{path}", **more)
        assert answer.status_code == status, (method, path, answer.text)
        return answer.json() if answer.content else None

    async def id_of(self, name: str) -> str:
        async with self.app.client() as client:
            return str((await client.get(f"/v1/users/{name}")).json()["id"])


async def graph(walk: Walk) -> None:
    ada = walk.ada
    for method, path in (
        ("PUT", f"users/me/following/{ada}"),
        ("PUT", f"users/me/close-friends/{ada}"),
        ("GET", f"users/me/relation/{ada}"),
        ("GET", f"users/me/path/{ada}"),
        ("GET", f"users/me/common/{ada}"),
        ("GET", f"users/{ada}/followers"),
        ("GET", f"users/{ada}/following"),
        ("GET", f"users/{ada}/mutuals"),
        ("GET", f"users/{ada}/connections"),
    ):
        await walk.ask(walk.ben, method, path, 404)
    suggested = await walk.ask(walk.ada, "GET", "users/me/suggestions", 200)
    assert walk.ben not in [each["person"]["external_id"] for each in suggested["data"]]


async def notifications(walk: Walk) -> None:
    async with walk.app.client() as client:
        for kind in ("like", "comment", "follow", "mention", "message"):
            event = like(to=walk.ada, by=walk.ben, event_type=kind)
            assert (await client.post("/v1/events", json=event)).is_success


async def posts(walk: Walk) -> None:
    said = {"text": f"hello @{walk.ada}"}
    hers = (await walk.ask(walk.ada, "POST", "posts", 201, json={"text": "mine"}))["id"]
    remark = await walk.ask(walk.ada, "POST", f"posts/{hers}/comments", 201, json=said)
    for method, path, json in (
        ("GET", f"posts/{hers}", None),
        ("GET", f"posts/{hers}/likes", None),
        ("GET", f"posts/{hers}/comments", None),
        ("GET", f"comments/{remark['id']}", None),
        ("GET", f"comments/{remark['id']}/replies", None),
        ("GET", f"users/{walk.ada}/posts", None),
        ("PUT", f"posts/{hers}/like", None),
        ("DELETE", f"posts/{hers}/like", None),
        ("POST", f"posts/{hers}/comments", said),
        ("PATCH", f"comments/{remark['id']}", said),
        ("DELETE", f"comments/{remark['id']}", None),
    ):
        await walk.ask(walk.ben, method, path, 404, json=json)
    his = (await walk.ask(walk.ben, "POST", "posts", 201, json=said))["id"]
    await walk.ask(walk.ada, "GET", f"posts/{his}", 404)
    await walk.ask(walk.ada, "GET", f"users/{walk.ben}/posts", 404)
    # On the post of somebody whom both may see, they do not meet either.
    shared = (await walk.ask(walk.cleo, "POST", "posts", 201, json={"text": "ours"}))["id"]
    hers = await walk.ask(walk.ada, "POST", f"posts/{shared}/comments", 201, json=said)
    reply = said | {"reply_to": hers["id"]}
    await walk.ask(walk.ben, "POST", f"posts/{shared}/comments", 404, json=reply)
    await walk.ask(walk.ben, "POST", f"posts/{shared}/comments", 201, json=said)
    await walk.ask(walk.ben, "PUT", f"posts/{shared}/like", 200)
    for path in (f"posts/{shared}/comments", f"posts/{shared}/likes"):
        page = await walk.ask(walk.ada, "GET", path, 200)
        shown = [each.get("author", each.get("person"))["external_id"] for each in page["data"]]
        assert walk.ben not in shown
    await walk.ask(walk.ben, "POST", "posts", 201, json={"text": "#seen"})
    for path in ("feeds/home", "tags/seen/posts"):
        page = await walk.ask(walk.ada, "GET", path, 200)
        assert walk.ben not in [each["author"]["external_id"] for each in page["data"]]


async def deliveries(walk: Walk) -> None:
    device = {"platform": "ios", "token": "6f8a" * 16}
    await walk.ask(walk.ada, "PUT", "users/me/devices", 200, json=device)
    event = like(to=walk.ada, by=walk.ben)
    await walk.app.send(event)

    async def decided() -> bool:
        async with walk.app.client() as client:
            story = (await client.get(f"/v1/events/{event['id']}/trace")).json()
        return bool(story["outcome"] == "suppressed")

    await until(decided)
    async with walk.app.client() as client:
        for kept in ("deliveries", "outbox"):
            answer = await client.get(f"/v1/{kept}", params={"user": walk.ada})
            assert answer.json()["data"] == []
    await walk.ask(walk.ben, "GET", f"users/{walk.ada}/devices", 404)


async def accounts(walk: Walk) -> None:
    """A user's own record is for the backend and the user alone."""
    await walk.ask(walk.ben, "GET", f"users/{walk.ada}", 404)


async def operations(walk: Walk) -> None:
    """Operators alone are told how Nova does."""
    for path in ("consumers", "engines"):
        await walk.ask(walk.ben, "GET", path, 403)


WALKS: dict[str, Callable[[Walk], Awaitable[None]]] = {
    "accounts": accounts,
    "deliveries": deliveries,
    "graph": graph,
    "notifications": notifications,
    "operations": operations,
    "posts": posts,
}


async def test_every_feature_is_walked(pool: Pool) -> None:
    async with built(Settings(tokens=SECRETS), pool) as house:
        named = {feature.name for feature in house.features if feature.routes}
    assert named - {"sockets"} == set(WALKS)  # channels of the app's own: for its backend alone


async def test_a_blocked_person_reaches_you_nowhere(app: App) -> None:
    ada, ben, cleo = await app.people(3)
    async with app.phone(ada) as phone:
        walk = Walk(app, ada, ben, cleo, phone)
        await walk.ask(ada, "PUT", f"users/me/following/{ben}", 200)
        await walk.ask(ben, "PUT", f"users/me/following/{ada}", 200)
        for each in (ada, ben):
            await walk.ask(each, "PUT", f"users/me/following/{cleo}", 200)
        await phone.until(lambda phone: len(phone.rings) == 1)  # Ben's follow, before the block
        await walk.ask(ada, "PUT", f"users/me/blocks/{ben}", 200)
        for goes in WALKS.values():
            await goes(walk)
        last = like(to=ada, by=cleo)
        await app.send(last)
        await phone.until(lambda phone: last["id"] in phone.rings)
        assert len(phone.rings) == 2
        assert [each["event_id"] for each in await app.inbox(ada)] == [last["id"]]  # no more of Ben


async def test_the_feeds_channel_is_its_owners_and_says_what_is_new(app: App) -> None:
    ada, ben = await app.people(2)
    async with app.phone(ada) as phone:
        walk = Walk(app, ada, ben, ben, phone)
        await walk.ask(ada, "PUT", f"users/me/following/{ben}", 200)
        mine, his = await walk.id_of(ada), await walk.id_of(ben)
        async with websocket(app.url.replace("http", "ws") + "/connection/websocket") as socket:
            for number, command in enumerate(
                (
                    {"connect": {"token": app.token(ada)}},
                    {"subscribe": {"channel": f"feed:{his}"}},
                    {"subscribe": {"channel": f"feed:{mine}"}},
                ),
                1,
            ):
                await socket.send(msgspec.json.encode({"id": number, **command}).decode())
            lines: list[dict[str, Any]] = []
            async with asyncio.timeout(SOON_S):
                while not any(line.get("id") == 3 for line in lines):
                    lines += map(msgspec.json.decode, str(await socket.recv()).splitlines())
                said = {line["id"]: line for line in lines if "id" in line}
                assert said[2]["error"]["code"] == 103
                assert "error" not in said[3]
                post = await walk.ask(ben, "POST", "posts", 201, json={"text": "new"})
                while not any("push" in line for line in lines):
                    lines += map(msgspec.json.decode, str(await socket.recv()).splitlines())
        [push] = [line["push"] for line in lines if "push" in line]
        assert push["channel"] == f"feed:{mine}"
        assert push["pub"]["data"] == {"type": "posts", "count": 1, "newest": post["id"]}
