"""Two servers with a Redis Cluster between their sockets, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from engines.redis import Cluster
from support.broadcasts import own_redis
from support.deployment import deployed
from support.two_servers import ROOM, Pair, mutual, publish, push, two_servers
from support.waiting import until
from support.wire_client import Rude


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with own_redis() as running:
        yield running


@pytest.fixture
async def pair(tmp_path: Path, dsn: str, cluster: Cluster) -> AsyncIterator[Pair]:
    async with two_servers(tmp_path, dsn, NOVA_SOCKETS=cluster.url) as made:
        yield made


@asynccontextmanager
async def hearing(*clients: Rude) -> AsyncIterator[Callable[[int], Awaitable[None]]]:
    """Read all the time.

    Yield what waits until each client heard so many numbers, and no others, in their order.
    """
    heard: list[list[int]] = [[] for _ in clients]

    async def read(client: Rude, into: list[int]) -> None:
        while True:
            into.append((await push(client, "pub"))["data"])

    async def all_heard(count: int) -> None:
        await until(lambda: all(len(each) >= count for each in heard))
        assert heard == [list(range(count))] * len(clients)

    reading = [asyncio.create_task(read(*each)) for each in zip(clients, heard, strict=True)]
    try:
        yield all_heard
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


async def test_what_is_stored_and_what_is_not_reaches_both(pair: Pair) -> None:
    ada, ben = pair.people
    await mutual(pair)
    async with (
        pair.following(pair.here, ada, ROOM) as one,
        pair.following(pair.there, ben, ROOM) as other,
        pair.following(pair.there, ada) as live,
        hearing(one, other, live) as heard,
    ):
        for number in range(20):
            await publish(pair.here if number % 2 else pair.there, number, ROOM)
            await publish(pair.here, number)
        await heard(20)


async def test_a_dead_master_costs_nothing_that_is_stored(pair: Pair, cluster: Cluster) -> None:
    ada, ben = pair.people
    await mutual(pair)
    async with (
        pair.following(pair.here, ada, ROOM) as one,
        pair.following(pair.there, ben, ROOM) as other,
        hearing(one, other) as heard,
    ):
        for number in range(60):
            if number in {10, 30}:
                cluster.masters()[number % 3].kill()
            await publish(pair.here if number % 2 else pair.there, number, ROOM)
        await heard(60)


async def test_without_redis_clients_come_and_hear_what_is_stored_and_then_all_again(
    pair: Pair, cluster: Cluster
) -> None:
    ada, ben = pair.people
    await mutual(pair)
    async with pair.following(pair.there, ada, ROOM) as one:
        for server in cluster.servers:
            server.kill()
        async with pair.following(pair.there, ben, ROOM) as late, hearing(one, late) as heard:
            for number in range(10):
                await publish(pair.here, number, ROOM)
            await heard(10)
            for server in cluster.servers:
                server.start()
            await asyncio.to_thread(cluster.until_whole)
            await mutual(pair)  # what is not stored is heard again
            await publish(pair.here, 10, ROOM)
            await heard(11)


async def test_orders_do_not_wait_for_redis(pair: Pair, cluster: Cluster) -> None:
    ada, _ = pair.people
    await mutual(pair)
    async with pair.following(pair.there, ada, ROOM) as one:
        for server in cluster.servers:
            server.kill()
        async with pair.here.client() as client:
            answer = await client.post("/api/unsubscribe", json={"user": ada, "channel": ROOM})
        assert answer.json() == {"result": {}}
        assert (await push(one, "unsubscribe"))["code"] == 2000


async def test_it_does_not_start_without_the_cluster_it_was_given(tmp_path: Path, dsn: str) -> None:
    settings = {"NOVA_DATABASE": dsn, "NOVA_SOCKETS": "redis://u:hush@127.0.0.1:1"}
    async with deployed(tmp_path, **settings) as deployment:
        _, said = await deployment.run("doctor")
        assert "FAIL broadcast: No node of the Redis Cluster" in said
        assert "127.0.0.1:1: " in said
        _, refused = await deployment.run("serve")
        assert "Check the setting 'sockets', and that all nodes run." in refused
        assert "hush" not in said + refused
