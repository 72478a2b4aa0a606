"""The Redis Cluster that carries messages: what it loses is told, and it is followed again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from engines.redis import Cluster
from nova.adapters.redis.address import Node, parsed
from nova.adapters.redis.broadcast import open_broadcast
from nova.ports.broadcast import BroadcastUnavailable, Message
from support.broadcasts import REDIS, Member, members, own_redis, redis_url
from support.waiting import until

CHANNELS = [f"room:{number}" for number in range(30)]
QUICK_S = 3.0
"""How patient members are with a node, where the test is about one that does not answer."""


@asynccontextmanager
async def pair(cluster: Cluster, answer_s: float = QUICK_S) -> AsyncIterator[tuple[Member, Member]]:
    """Yield one who follows all channels, and another one."""
    async with members(REDIS, "", cluster.url, answer_s) as join:
        one, other = await join(), await join()
        await one.engine.follow(CHANNELS)
        yield one, other


async def tell_all(other: Member, data: bytes) -> None:
    """Publish to every channel, once that is possible."""
    left = [Message(each, data) for each in CHANNELS]
    while left:
        try:
            left = list(await other.engine.publish(left))
        except BroadcastUnavailable:
            await asyncio.sleep(0.1)


async def heard_by(one: Member, other: Member, data: bytes) -> None:
    """Wait until what is published to every channel is heard, each in one of several attempts."""

    async def all_heard() -> bool:
        await tell_all(other, data)
        await asyncio.sleep(0.1)
        return {each.channel for each in one.heard if each.data == data} == set(CHANNELS)

    await until(all_heard)


async def test_after_a_master_was_killed_all_is_heard_again_and_the_loss_is_told() -> None:
    with own_redis() as cluster:
        async with pair(cluster) as (one, other):
            await tell_all(other, b"before")
            await until(lambda: len(one.heard) == len(CHANNELS))
            cluster.masters()[0].kill()
            await until(lambda: one.missed)
            await heard_by(one, other, b"after")
            assert one.lost == 0


async def test_a_master_that_answers_nobody_is_as_good_as_dead() -> None:
    with own_redis() as cluster:
        async with pair(cluster) as (one, other):
            cluster.masters()[1].pause()
            await until(lambda: one.missed)
            await heard_by(one, other, b"after")


async def test_a_planned_failover_loses_nobody() -> None:
    with own_redis() as cluster:
        async with pair(cluster) as (one, other):
            replica = next(each for each in cluster.servers if each not in cluster.masters())
            assert replica.ask("cluster", "failover") == "OK"
            await until(lambda: replica in cluster.masters())
            await heard_by(one, other, b"after")


async def test_when_all_of_it_was_gone_all_is_heard_again() -> None:
    with own_redis(options=("--cluster-node-timeout", "5000")) as cluster:
        async with pair(cluster) as (one, other):
            for each in cluster.servers:
                each.kill()
            with pytest.raises(BroadcastUnavailable):
                await other.engine.ping()
            await one.engine.follow(["room:new"])  # waits for nobody
            for each in cluster.servers:
                each.start()
            await until(lambda: one.missed)
            await heard_by(one, other, b"after")
            await other.publish(Message("room:new", b"new"))
            await until(lambda: Message("room:new", b"new") in one.heard)


async def test_a_connection_that_is_cut_is_opened_again_with_all_its_channels() -> None:
    with own_redis() as cluster:
        async with pair(cluster) as (one, other):
            for server in cluster.servers:
                server.ask("client", "kill", "type", "pubsub")
            await until(lambda: one.missed)
            await heard_by(one, other, b"after")


async def test_who_reads_too_slowly_is_cut_off_and_comes_back() -> None:
    limit = ("--client-output-buffer-limit", "pubsub 1mb 1mb 1")
    with own_redis(options=limit) as cluster:
        async with pair(cluster, answer_s=60.0) as (one, other):
            before = one.missed
            # Nothing is read while the loop is held.
            for server in cluster.masters():
                server.ask("config", "set", "client-output-buffer-limit", "pubsub 1kb 1kb 1")
            large = b"x" * 4_000_000
            await other.engine.publish([Message(each, large) for each in CHANNELS])
            await until(lambda: one.missed > before)
            for server in cluster.masters():
                server.ask("config", "set", "client-output-buffer-limit", "pubsub 0 0 0")
            await heard_by(one, other, b"after")


async def test_channels_follow_their_slots_to_another_node() -> None:
    with own_redis(replicas=0) as cluster:
        async with pair(cluster) as (one, other):
            source, target = cluster.servers[:2]
            identities = [each.ask("cluster", "myid") for each in (source, target)]
            moved = (slot for slot in range(5461))  # those of the first, as they are dealt out
            for slot in moved:
                if slot % 40 == 0:  # some of them: each takes a moment
                    target.ask("cluster", "setslot", str(slot), "importing", identities[0])
                    source.ask("cluster", "setslot", str(slot), "migrating", identities[1])
                    for each in (target, source):
                        each.ask("cluster", "setslot", str(slot), "node", identities[1])
            await heard_by(one, other, b"after")


async def test_three_masters_without_replicas_work_and_say_what_they_risk() -> None:
    with own_redis(replicas=0) as cluster:
        async with pair(cluster) as (one, other):
            await heard_by(one, other, b"now")
            await one.engine.check()
            said = await one.engine.ping()
            assert "the death of one stops the cluster" in said
            assert all(f"127.0.0.1:{each.port}" in said for each in cluster.servers)
            cluster.servers[0].kill()
            with pytest.raises(BroadcastUnavailable):
                await _until_refused(one.engine.ping)
            cluster.servers[0].start()
            await heard_by(one, other, b"again")


async def _until_refused(ask: Callable[[], Awaitable[object]]) -> None:
    """Ask again and again, until the nodes know it, too."""
    while True:
        await ask()
        await asyncio.sleep(0.1)


async def test_a_whole_cluster_says_what_it_is() -> None:
    async with open_broadcast(redis_url()) as engine:
        await engine.check()
        assert "a cluster of 3 masters, each with a replica" in await engine.ping()


async def test_addresses_that_are_announced_and_lead_nowhere_are_named() -> None:
    with own_redis() as cluster:
        for each in cluster.servers:
            each.ask("config", "set", "cluster-announce-ip", "192.0.2.7")
        async with open_broadcast(cluster.url) as engine:
            with pytest.raises(BroadcastUnavailable) as refused:
                await _until_refused(engine.check)
        port = cluster.servers[0].port
        assert f"at 127.0.0.1:{port}" in refused.value.detail
        assert "192.0.2.7:" in refused.value.detail
        assert "cluster-announce-ip" in refused.value.detail


async def test_wrong_credentials_are_told_and_not_shown() -> None:
    with own_redis(password="right-one") as cluster:
        async with open_broadcast(cluster.url) as engine:
            assert await engine.ping()
        for url in (
            cluster.url.replace("right-one", "a-wrong-one"),
            cluster.url.replace(":right-one@", ""),
            cluster.url.replace(":right-one@", "somebody:a-wrong-one@"),
        ):
            async with open_broadcast(url) as engine:
                with pytest.raises(
                    BroadcastUnavailable, match="refuses the user or the pass"
                ) as no:
                    await engine.check()
            assert "wrong-one" not in no.value.detail


async def test_what_is_no_cluster_is_told() -> None:
    with own_redis(replicas=0) as cluster:
        single = cluster.servers[0]
        single.stop()
        single._options = ("--cluster-enabled", "no")
        single.start()
        async with open_broadcast(f"redis://127.0.0.1:{single.port}") as engine:

            async def told() -> bool:
                with pytest.raises(BroadcastUnavailable) as refused:
                    await engine.check()
                return "it is no cluster" in refused.value.detail

            await until(told)


async def test_where_nobody_listens_and_what_is_no_redis_are_told() -> None:
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for url in (f"redis://127.0.0.1:{port}", "redis://127.0.0.1:1"):
            async with open_broadcast(url) as engine:
                with pytest.raises(BroadcastUnavailable, match=r"127\.0\.0\.1:"):
                    await engine.check()


@pytest.mark.parametrize(
    ("text", "nodes", "user", "password", "prefix"),
    [
        ("redis://one", (Node("one", 6379),), "", "", "nova"),
        ("rediss://u:p%40@one:1,two:2/shop", (Node("one", 1), Node("two", 2)), "u", "p@", "shop"),
        ("redis://:secret@[::1]:7", (Node("::1", 7),), "", "secret", "nova"),
        ("redis://a:b:c@h", (Node("h", 6379),), "a", "b:c", "nova"),
    ],
)
def test_addresses_are_read(
    text: str, nodes: tuple[Node, ...], user: str, password: str, prefix: str
) -> None:
    address = parsed(text)
    assert (address.nodes, address.user, address.password) == (nodes, user, password)
    assert (address.prefix, address.encrypted) == (prefix, text.startswith("rediss"))


@pytest.mark.parametrize(
    "text",
    ["", "redis:", "redis://", "http://one", "redis://one:port", "redis://one,", "redis://,one",
     "redis://:hush@", "redis://one:99999", "redis://one/{x}", "redis://one/a/b", "redis://one?x=1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parsed(text)
    assert "hush" not in str(refused.value)
