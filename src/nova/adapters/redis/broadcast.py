"""Broadcast over a Redis Cluster: each channel is a sharded one, at the node that owns its slot."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import RedisError, ResponseError
from structlog import get_logger

from nova.adapters.redis.address import Node, parsed
from nova.adapters.redis.cluster import ANSWER_S, Cluster, explained
from nova.adapters.redis.subscriber import Subscriber
from nova.ports.broadcast import EVERYBODY, BroadcastUnavailable, Lost, Message

MOST_WAITING = 16 << 20  # bytes received and not taken; past it all are lost, which is then told
AGAIN_S = 0.1
SENDER = 8
"""Bytes before each message that say who sent it."""

_log = get_logger()


class RedisBroadcast:
    """The Broadcast port over sharded pub/sub.

    A channel that loses its node is followed anew as soon as somebody owns its slot; then
    `receive` says that some messages may be lost, since Redis keeps none.
    """

    def __init__(self, cluster: Cluster, *, most_waiting: int = MOST_WAITING) -> None:
        self._cluster = cluster
        self._prefix = cluster.address.prefix.encode() + b":"
        self._most_waiting = most_waiting
        self._sender = b""
        self._followed: dict[bytes, str] = {}
        """Channels by their names in Redis."""
        self._unplaced: set[bytes] = set()
        self._at: dict[bytes, Subscriber] = {}
        self._subscribers: dict[Node, Subscriber] = {}
        self._placing = asyncio.Lock()
        self._repairing: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._missed = False
        self._any = asyncio.Event()

    async def join(self, member: int) -> None:
        await self._end_all()
        self._waiting.clear()
        self._size, self._missed = 0, False
        self._sender = member.to_bytes(SENDER, "big")
        await self._cluster.refresh()
        await self.follow([EVERYBODY])

    async def follow(self, channels: Sequence[str]) -> None:
        for channel in channels:
            name = self._name(channel)
            self._followed[name] = channel
            if name not in self._at:
                self._unplaced.add(name)
        if self._unplaced and self._repairing is None:
            await self._place()
            if self._unplaced:
                self._repair()

    async def unfollow(self, channels: Sequence[str]) -> None:
        leaving: defaultdict[Subscriber, list[bytes]] = defaultdict(list)
        for name in map(self._name, channels):
            self._followed.pop(name, None)
            self._unplaced.discard(name)
            subscriber = self._at.pop(name, None)
            if subscriber is not None:
                leaving[subscriber].append(name)
        for subscriber, names in leaving.items():
            await subscriber.unsubscribe(names)

    async def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        by_node: defaultdict[Node, list[Message]] = defaultdict(list)
        unsent: set[int] = set()
        for message in messages:
            node = self._cluster.owner(self._name(message.channel))
            if node is None:
                unsent.add(id(message))
            else:
                by_node[node].append(message)
        for failed in await asyncio.gather(*map(self._publish_at, by_node, by_node.values())):
            unsent.update(map(id, failed))
        if unsent:
            await self._cluster.refresh()
        return [each for each in messages if id(each) in unsent]

    async def receive(self) -> Sequence[Message]:
        if not self._sender:
            raise Lost
        await self._any.wait()
        self._any.clear()
        if self._missed and not self._waiting:
            self._missed = False
            return ()
        if self._missed:
            self._any.set()
        messages = list(self._waiting)
        self._waiting.clear()
        self._size = 0
        return messages

    async def ping(self) -> str:
        """Return how the cluster is. Raises BroadcastUnavailable where a part of it is missing."""
        await self._cluster.refresh()
        version = await self._examined()
        shards = self._cluster.shards
        lone = [str(each.master) for each in shards if not each.replicas]
        said = f"Redis {version}, a cluster of {len(shards)} masters"
        if not lone:
            return f"{said}, each with a replica"
        return f"{said}; without a replica: {', '.join(lone)}: the death of one stops the cluster"

    async def check(self) -> None:
        """Raise BroadcastUnavailable unless every node that the cluster names can be reached."""
        await self._cluster.refresh()
        nodes = [each.master for each in self._cluster.shards]
        wrongs = await asyncio.gather(*map(self._wrong_with, nodes))
        if bad := [f"{node} ({wrong})" for node, wrong in zip(nodes, wrongs, strict=True) if wrong]:
            configured = ", ".join(map(str, self._cluster.address.nodes))
            raise BroadcastUnavailable(
                f"The Redis Cluster at {configured} announces addresses that cannot be used from "
                f"here: {', '.join(bad)}. Set cluster-announce-ip (or cluster-announce-hostname) "
                "and cluster-announce-port of its nodes to where this machine reaches them."
            )
        await self._examined()

    async def close(self) -> None:
        await self._end_all()
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._cluster.close()

    def _name(self, channel: str) -> bytes:
        # What is in braces would choose the slot, for whoever may choose a channel's name.
        return self._prefix + channel.replace("%", "%25").replace("{", "%7B").encode()

    async def _wrong_with(self, node: Node) -> str:
        try:
            (pong,) = await self._cluster.link(node).ask(("PING",))
        except (RedisError, OSError, TimeoutError) as wrong:
            return explained(wrong)
        return explained(pong) if isinstance(pong, ResponseError) else ""

    async def _examined(self) -> str:
        """Return the version. Raises BroadcastUnavailable unless all slots are served."""
        node = self._cluster.shards[0].master
        try:
            server, state = await self._cluster.link(node).ask(
                ("INFO", "server"), ("CLUSTER", "INFO")
            )
        except (RedisError, OSError, TimeoutError) as wrong:
            raise BroadcastUnavailable(f"{node}: {explained(wrong)}.") from None
        for each in (server, state):
            if isinstance(each, ResponseError):
                raise BroadcastUnavailable(f"{node}: {explained(each)}.")
        if self._cluster.unowned or b"cluster_state:ok" not in state:
            raise BroadcastUnavailable(
                "The Redis Cluster is down (cluster_state is not ok; "
                f"{self._cluster.unowned} slots have no owner)."
            )
        fields = dict(each.split(":", 1) for each in server.decode().split("\r\n") if ":" in each)
        return fields.get("valkey_version") or fields.get("redis_version") or "of no known version"

    # -- publishing -------------------------------------------------------------------------------

    async def _publish_at(self, node: Node, messages: Sequence[Message]) -> Sequence[Message]:
        """Send messages to one node in one pipeline; return those that it did not take."""
        try:
            replies: list[Any] = await self._cluster.link(node).ask(
                *(
                    ("SPUBLISH", self._name(each.channel), self._sender + each.data)
                    for each in messages
                )
            )
        except (RedisError, OSError, TimeoutError) as wrong:
            _log.info("redis_node_lost", node=str(node), reason=explained(wrong))
            return messages
        return [
            each
            for each, reply in zip(messages, replies, strict=True)
            if isinstance(reply, ResponseError)
        ]

    # -- following --------------------------------------------------------------------------------

    async def _place(self) -> None:
        """Subscribe to what is not subscribed to, each at its owner, as far as that goes now."""
        async with self._placing:
            by_node: defaultdict[Node, list[bytes]] = defaultdict(list)
            for name in self._unplaced:
                if (node := self._cluster.owner(name)) is not None:
                    by_node[node].append(name)
            await asyncio.gather(*map(self._place_at, by_node, by_node.values()))

    async def _place_at(self, node: Node, names: Sequence[bytes]) -> None:
        try:
            subscriber = await self._subscriber(node)
        except (RedisError, OSError, TimeoutError) as wrong:
            _log.info("redis_node_lost", node=str(node), reason=explained(wrong))
            return
        refused = await subscriber.subscribe(names)
        placed = [each for each in names if each not in refused]
        if self._subscribers.get(node) is not subscriber:
            return  # it ended meanwhile
        unwanted = [each for each in placed if each not in self._followed]
        for name in placed:
            self._unplaced.discard(name)
            if name in self._followed:
                self._at[name] = subscriber
        if unwanted:
            await subscriber.unsubscribe(unwanted)

    async def _subscriber(self, node: Node) -> Subscriber:
        subscriber = self._subscribers.get(node)
        if subscriber is None:
            subscriber = Subscriber(
                self._cluster.connection(node),
                answer_s=self._cluster.answer_s,
                heard=self._heard,
                moved=self._moved,
                ended=self._ended,
            )
            await subscriber.start()
            self._subscribers[node] = subscriber
        return subscriber

    def _moved(self, name: bytes) -> None:
        """Follow a channel where its slot went to."""
        if self._at.pop(name, None) is not None:
            self._unplaced.add(name)
            self._repair()

    def _ended(self, subscriber: Subscriber) -> None:
        for node, each in tuple(self._subscribers.items()):
            if each is subscriber:
                del self._subscribers[node]
        for name in [name for name, at in self._at.items() if at is subscriber]:
            del self._at[name]
            self._unplaced.add(name)
        closing = asyncio.get_running_loop().create_task(subscriber.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        self._repair()

    def _repair(self) -> None:
        if self._repairing is None:
            self._repairing = asyncio.get_running_loop().create_task(self._repair_all())

    async def _repair_all(self) -> None:
        """Follow again what lost its node, however long that takes, and tell of the loss."""
        try:
            while True:
                try:
                    await self._cluster.refresh()
                    await self._place()
                except BroadcastUnavailable as away:
                    _log.info("redis_cluster_away", reason=away.detail)
                if not self._unplaced:
                    break
                await asyncio.sleep(AGAIN_S)
            _log.info("redis_subscriptions_restored", channels=len(self._at))
        finally:
            self._repairing = None
        self._miss()

    async def _end_all(self) -> None:
        if self._repairing is not None:
            self._repairing.cancel()
            await asyncio.gather(self._repairing, return_exceptions=True)
        subscribers, self._subscribers = list(self._subscribers.values()), {}
        self._at.clear()
        self._unplaced.clear()
        self._followed.clear()
        for subscriber in subscribers:
            await subscriber.close()

    # -- receiving --------------------------------------------------------------------------------

    def _heard(self, name: bytes, data: bytes) -> None:
        channel = self._followed.get(name)
        if channel is None or data.startswith(self._sender):
            return
        if self._size > self._most_waiting:
            self._waiting.clear()
            self._size = 0
            self._miss()
        self._waiting.append(Message(channel, data[SENDER:]))
        self._size += len(data)
        self._any.set()

    def _miss(self) -> None:
        self._missed = True
        self._any.set()


@asynccontextmanager
async def open_broadcast(url: str, *, answer_s: float = ANSWER_S) -> AsyncIterator[RedisBroadcast]:
    """Open the engine at an address; no call yet. Raises ValueError for no address.

    A node that has not answered after `answer_s` is given up.
    """
    engine = RedisBroadcast(Cluster(parsed(url), answer_s=answer_s))
    try:
        yield engine
    finally:
        await engine.close()
