"""Who did it has a name, a picture and both ids wherever a notification is told."""

from typing import Any

import httpx
import pytest

from support.app import App, like
from support.waiting import until
from support.wire_client import Rude, rude

PICTURE = "https://pictures.example/ada.png"


async def introduced(app: App, *names: str) -> list[dict[str, Any]]:
    """Create people with names and pictures; return what others see of each."""
    ids = await app.people(len(names))
    shown = []
    async with app.client() as client:
        for id_, name in zip(ids, names, strict=True):
            changed = {"name": name, "avatar_url": PICTURE}
            answer = await client.patch(f"/v1/users/{id_}", json=changed)
            assert answer.is_success, answer.text
            user = answer.json()
            shown.append({key: user[key] for key in ("id", "external_id", "name", "avatar_url")})
    return shown


async def test_inbox_and_socket_name_the_actor(app: App) -> None:
    ada, ben = await introduced(app, "Ada", "Ben")
    async with app.phone(ben["external_id"]) as phone:
        await app.send(like(to=ben["external_id"], by=ada["external_id"]))
        await phone.until(lambda phone: len(phone.rings) == 1)
    [arrived] = [each["notification"] for each in phone.heard if each["type"] == "notification"]
    [listed] = await app.inbox(ben["external_id"])
    assert arrived == listed
    assert (listed["actor"], listed["actor_id"]) == (ada, ada["id"])
    async with app.client() as backend:
        path = f"/v1/notifications/{listed['id']}"
        one = (await backend.get(path, params={"user": ben["id"]})).json()
        export = (await backend.get(f"/v1/users/{ben['id']}/export")).json()
    assert one["actor"] == ada
    assert [each["actor"] for each in export["data"]["notifications"]["notifications"]] == [ada]


async def test_a_new_name_is_in_lists_read_later_and_not_in_what_was_sent(app: App) -> None:
    ada, ben = await introduced(app, "Ada", "Ben")
    async with app.phone(ben["external_id"]) as phone:
        await app.send(like(to=ben["external_id"], by=ada["external_id"]))
        await phone.until(lambda phone: len(phone.rings) == 1)
        async with app.client() as backend:
            await backend.patch(f"/v1/users/{ada['id']}", json={"name": "Augusta"})

        async def renamed() -> bool:
            [listed] = await app.inbox(ben["external_id"])
            return bool(listed["actor"]["name"] == "Augusta")

        await until(renamed)
    [arrived] = [each["notification"] for each in phone.heard if each["type"] == "notification"]
    assert arrived["actor"]["name"] == "Ada"


async def test_nobody_is_named_where_nobody_is_known(app: App) -> None:
    [ben] = await introduced(app, "Ben")
    async with app.phone(ben["external_id"]) as phone:
        await app.send(like(to=ben["external_id"], by="a stranger"))
        await phone.until(lambda phone: len(phone.rings) == 1)
    [listed] = await app.inbox(ben["external_id"])
    assert "actor" not in listed
    assert listed["title"] == "Someone liked your post"


async def subscribed(client: Rude, channel: str, **asked: Any) -> Any:
    client.say({"id": 7, "subscribe": {"channel": channel, **asked}})
    return await reply(client)


async def reply(client: Rude) -> Any:
    while "id" not in (heard := await client.heard()):
        pass
    return heard


@pytest.mark.parametrize("name", ["me", "external_id"])
async def test_a_client_follows_its_own_channels_by_its_own_name(app: App, name: str) -> None:
    ada, ben = await introduced(app, "Ada", "Ben")
    mine = "me" if name == "me" else ben["external_id"]
    server, token = app.server, app.token(ben["external_id"])
    async with rude(server.host, server.port, token) as client:
        assert "error" not in await subscribed(client, f"user:{mine}")
        assert "error" not in await subscribed(client, f"feed:{mine}")
        assert (await subscribed(client, f"user:{mine}"))["error"]["code"] == 105
        await app.send(like(to=ben["external_id"], by=ada["external_id"]))
        pushes = [(await client.heard())["push"] for _ in range(2)]
        assert {each["channel"] for each in pushes} == {f"user:{mine}", f"user:{ben['id']}"}
        assert pushes[0]["pub"] == pushes[1]["pub"]
        async with app.client(ben["external_id"]) as bens:
            assert (await bens.post("/v1/posts", json={"text": "hello"})).is_success
        push = (await client.heard())["push"]
        assert (push["channel"], push["pub"]["data"]["count"]) == (f"feed:{mine}", 1)
        client.say({"id": 8, "history": {"channel": f"user:{mine}", "limit": 10}})
        history = (await reply(client))["history"]
        assert [each["data"]["type"] for each in history["publications"]] == ["notification"]
        client.say({"id": 9, "unsubscribe": {"channel": f"user:{mine}"}})
        assert "error" not in await reply(client)
        await app.send(like(to=ben["external_id"], by=ada["external_id"]))
        assert (await client.heard())["push"]["channel"] == f"user:{ben['id']}"
    # It recovers by the same name, too.
    since = {"recover": True, "epoch": history["epoch"], "offset": history["offset"]}
    async with rude(server.host, server.port, token) as client:
        again = (await subscribed(client, f"user:{mine}", **since))["subscribe"]
        assert again["recovered"]
        assert [each["data"]["type"] for each in again["publications"]] == ["notification"]


async def test_another_persons_name_opens_nothing(app: App) -> None:
    ada, ben = await introduced(app, "Ada", "Ben")
    async with rude(app.server.host, app.server.port, app.token(ben["external_id"])) as client:
        for family in ("user", "feed"):
            for name in (ada["external_id"], ada["id"], "you", "me ", "Me", ""):
                assert (await subscribed(client, f"{family}:{name}"))["error"]["code"] == 103


async def test_paths_and_queries_take_me_for_who_asks(app: App) -> None:
    [ben] = await introduced(app, "Ben")
    async with app.client(ben["external_id"]) as client:

        async def got(path: str) -> httpx.Response:
            return await client.get(f"/v1/{path}")

        names = ("me", ben["id"], ben["external_id"])
        for path in (
            "feeds/home?user={}",
            "notifications?user={}",
            "users/{}/followers",
            "users/{}/preferences",
            "users/me/relation/{}",
        ):
            answers = [await got(path.format(whose)) for whose in names]
            assert len({(each.status_code, each.json().get("code")) for each in answers}) == 1
            assert answers[0].is_success or "relation" in path, answers[0].text
        for path in ("users/me/following/{}", "users/me/blocks/{}"):
            answers = [await client.put(f"/v1/{path.format(whose)}") for whose in names]
            assert {each.json()["code"] for each in answers} == {answers[1].json()["code"]}
            assert answers[0].json()["code"] != "no_such_user"
