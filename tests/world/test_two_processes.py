"""Two servers on one database are one to those who are connected to either."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nova.backbone.database import Database
from support.app import App
from support.two_servers import LIVE, ROOM, Pair, mutual, publish, push, two_servers
from support.waiting import until
from support.wire_client import Rude


@pytest.fixture
async def pair(tmp_path: Path, dsn: str) -> AsyncIterator[Pair]:
    async with two_servers(tmp_path, dsn) as made:
        yield made


async def test_what_is_not_stored_reaches_the_sockets_of_both(pair: Pair) -> None:
    await mutual(pair)
    ada, ben = pair.people
    async with pair.following(pair.here, ada) as one, pair.following(pair.there, ben) as other:
        said = ["tea?", "\N{HOT BEVERAGE}" * 10_000, "now"]  # the second takes several NOTIFYs
        for each in said:
            await publish(pair.here, each)
        other.say({"id": 10, "publish": {"channel": LIVE, "data": "yes"}})
        for client in (one, other):
            heard = [(await push(client, "pub"))["data"] for _ in range(4)]
            assert [each for each in heard if each != "yes"] == said
            assert "yes" in heard


async def test_what_is_stored_reaches_both_in_one_order_from_the_first_moment_on(
    pair: Pair,
) -> None:
    ada, ben = pair.people
    async with (
        pair.following(pair.here, ada, ROOM) as one,
        pair.following(pair.there, ben, ROOM) as other,
    ):
        # They read meanwhile.
        reading = [asyncio.create_task(pushes(client, 40)) for client in (one, other)]
        for number in range(40):
            await publish(pair.there if number % 3 else pair.here, number, ROOM)
        for heard in await asyncio.gather(*reading):
            assert [each["offset"] for each in heard] == list(range(1, 41))
            assert [each["data"] for each in heard] == list(range(40))


async def pushes(client: Rude, count: int) -> list[Any]:
    return [await push(client, "pub") for _ in range(count)]


async def test_what_a_process_stored_and_did_not_send_is_found(pair: Pair, db: Database) -> None:
    """As when it is killed between the commit and the sending."""
    ada, ben = pair.people
    async with (
        pair.following(pair.here, ada, ROOM) as one,
        pair.following(pair.there, ben, ROOM) as other,
    ):
        async with db.transaction() as tx:
            tx.publish(ROOM, b'"last words"')
        for client in (one, other):
            assert (await push(client, "pub"))["data"] == "last words"


async def test_who_is_there_is_known_in_both_and_who_comes_and_goes_is_told(pair: Pair) -> None:
    ada, ben = pair.people
    async with pair.here.client() as client:
        id_ = (await client.get(f"/v1/users/{ben}")).json()["id"]
    async with pair.following(pair.here, ada) as one:
        # Before the servers knew of each other or after, ada is there for both.
        await until(lambda: _is(pair, pair.there, 1))
        await mutual(pair)
        async with pair.following(pair.there, ben):
            while (joined := (await push(one, "join"))["info"])["user"] != id_:
                pass
            await until(lambda: _is(pair, pair.here, 2))
            assert await pair.present(pair.here) == await pair.present(pair.there)
            assert joined["client"] in await pair.present(pair.here)
        while (await push(one, "leave"))["info"] != joined:
            pass
        await until(lambda: _is(pair, pair.there, 1))


async def _is(pair: Pair, app: App, count: int) -> bool:
    return len(await pair.present(app)) == count


async def test_who_was_connected_to_a_killed_server_is_there_no_longer(pair: Pair) -> None:
    _, ben = pair.people
    async with pair.following(pair.there, ben):
        await until(lambda: _is(pair, pair.here, 1))
        await pair.other.strike()
        await pair.other.gone()
        await until(lambda: _is(pair, pair.here, 0))


async def test_a_user_is_sent_away_from_both(pair: Pair) -> None:
    await mutual(pair)
    ada, _ = pair.people
    async with pair.following(pair.here, ada) as one, pair.following(pair.there, ada) as other:
        async with pair.here.client() as client:
            answer = await client.post(f"/v1/users/{ada}/disconnect", json={})
        assert (answer.status_code, answer.json()["sockets"]) == (200, 1)
        for each in (one, other):
            assert await each.closed() == 3503


async def test_what_the_backend_orders_reaches_the_sockets_of_both(pair: Pair) -> None:
    await mutual(pair)
    ada, _ = pair.people
    async with (
        pair.following(pair.here, ada) as one,
        pair.following(pair.there, ada) as other,
        pair.here.client() as client,
    ):

        async def order(call: str, **body: Any) -> None:
            answer = await client.post(f"/api/{call}", json={"user": ada, **body})
            assert answer.json() == {"result": {}}, answer.text

        both = (one, other)
        await order("unsubscribe", channel=LIVE)
        assert [(await push(each, "unsubscribe"))["code"] for each in both] == [2000, 2000]
        await order("subscribe", channel=LIVE, data="again")
        assert [(await push(each, "subscribe"))["data"] for each in both] == ["again"] * 2
        await order("refresh", expire_at=2**31)
        assert [(await push(each, "refresh"))["expires"] for each in both] == [True, True]
        await order("disconnect", disconnect={"code": 4001, "reason": "enough"})
        assert [await each.closed() for each in both] == [4001, 4001]


async def test_commands_of_a_stream_reach_it_by_whichever_server_they_come(pair: Pair) -> None:
    await mutual(pair)
    ada, _ = pair.people
    connect = {"id": 1, "connect": {"token": pair.here.token(ada)}}
    async with (
        pair.here.client() as here,
        pair.there.client() as there,
        here.stream("POST", "/connection/http_stream", json=connect) as stream,
    ):
        lines = stream.aiter_lines()
        said = json.loads(await anext(lines))["connect"]
        wanted = {"node": said["node"], "session": said["session"]}
        command = json.dumps({"id": 2, "subscribe": {"channel": LIVE}})
        answer = await there.post("/emulation", json={**wanted, "data": command})
        assert answer.status_code == 204
        async for line in lines:
            if line.startswith('{"id":2,'):
                assert "subscribe" in json.loads(line)
                break
        unknown = {**wanted, "node": "", "data": command}
        assert (await there.post("/emulation", json=unknown)).status_code == 404
