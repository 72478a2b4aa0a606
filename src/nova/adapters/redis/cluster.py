"""The nodes of a Redis Cluster: which one owns a channel, and pipelined requests to each."""

import asyncio
import random
from collections.abc import Sequence
from time import monotonic
from typing import Any

from msgspec import Struct
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from nova.adapters.redis.address import Address, Node
from nova.ports.broadcast import BroadcastUnavailable

CONNECT_S = 1.0
ANSWER_S = 2.0
REFRESH_S = 0.5
"""Between two looks at who owns what."""

_NO_CLUSTER = "cluster support disabled"
_REFUSED = ("NOAUTH", "WRONGPASS", "NOPERM", "Authentication required", "invalid username-password")


class Shard(Struct, frozen=True):
    """A master that owns slots, and how many replicas it has."""

    master: Node
    replicas: int


class Link:
    """One connection to a node, for requests that are answered in their order."""

    def __init__(self, connection: Connection, answer_s: float) -> None:
        self._answer_s = answer_s
        self._connection = connection
        self._using = asyncio.Lock()

    async def ask(self, *commands: Sequence[bytes | str]) -> list[Any]:
        """Return a reply, or the node's error, for each command. Raises RedisError or OSError."""
        async with self._using:
            try:
                async with asyncio.timeout(self._answer_s):
                    await self._connection.connect()  # type: ignore[no-untyped-call]
                    packed = self._connection.pack_commands(commands)
                    await self._connection.send_packed_command(packed, check_health=False)
                    return [await self._reply() for _ in commands]
            except BaseException:  # replies of one request must never be taken for another's
                await self.close()
                raise

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)

    async def _reply(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as refused:
            return refused


class Cluster:
    """A cluster as its own nodes describe it."""

    def __init__(self, address: Address, *, answer_s: float = ANSWER_S) -> None:
        """A node that has not answered after `answer_s` is given up."""
        self.address = address
        self.answer_s = answer_s
        self.shards: Sequence[Shard] = ()
        self._owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._links: dict[Node, Link] = {}
        self._refreshing = asyncio.Lock()
        self._refreshed_at = -REFRESH_S

    def owner(self, name: bytes) -> Node | None:
        """Return the node that owns a channel, as far as is known."""
        return self._owners[key_slot(name)]

    def connection(self, node: Node) -> Connection:
        """Return a new connection, which is not open yet."""
        kind = SSLConnection if self.address.encrypted else Connection
        return kind(
            host=node.host,
            port=node.port,
            username=self.address.user or None,
            password=self.address.password or None,
            socket_timeout=None,
            socket_connect_timeout=min(CONNECT_S, self.answer_s),
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )

    def link(self, node: Node) -> Link:
        """Return the connection for requests to a node."""
        link = self._links.get(node)
        if link is None:
            link = self._links[node] = Link(self.connection(node), self.answer_s)
        return link

    async def refresh(self) -> None:
        """Look up who owns what, at most twice a second. Raises BroadcastUnavailable."""
        async with self._refreshing:
            wait = self._refreshed_at + REFRESH_S - monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._refreshed_at = monotonic()
            await self._look()

    async def _look(self) -> None:
        known = list(dict.fromkeys([*self._links, *self.address.nodes]))
        random.shuffle(known)
        wrongs: dict[Node, str] = {}
        for node in known:
            try:
                (slots,) = await self.link(node).ask(("CLUSTER", "SLOTS"))
            except (RedisError, OSError, TimeoutError) as wrong:
                wrongs[node] = explained(wrong)
                continue
            if isinstance(slots, ResponseError):
                wrongs[node] = explained(slots)
            elif not slots:
                wrongs[node] = "it belongs to no cluster whose slots are assigned"
            else:
                self._take(node, slots)
                return
        raise BroadcastUnavailable(
            "No node of the Redis Cluster says who owns what: "
            + "; ".join(f"{node}: {wrong}" for node, wrong in sorted(wrongs.items(), key=str))
        )

    def _take(self, asked: Node, slots: Sequence[Any]) -> None:
        owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        shards: dict[Node, int] = {}
        for first, last, master, *replicas in slots:
            # A node that does not know its own host leaves it out: it is the one that was asked.
            node = Node((master[0] or b"").decode() or asked.host, master[1])
            owners[first : last + 1] = [node] * (last + 1 - first)
            shards[node] = len(replicas)
        self._owners = owners
        self.shards = [Shard(node, replicas) for node, replicas in shards.items()]
        for node in [*self._links]:
            if node not in shards and node not in self.address.nodes:
                del self._links[node]

    @property
    def unowned(self) -> int:
        """How many slots nobody owns."""
        return self._owners.count(None)

    async def close(self) -> None:
        for link in self._links.values():
            await link.close()


def explained(wrong: BaseException) -> str:
    """Return what is wrong with a node, in a few words that show no password."""
    said = str(wrong)
    if isinstance(wrong, AuthenticationError) or any(each in said for each in _REFUSED):
        return "it refuses the user or the password, or they may not do this"
    if _NO_CLUSTER in said:
        return "it is no cluster (cluster-enabled is no)"
    if isinstance(wrong, TimeoutError) or "Timeout" in said:
        return "it does not answer"
    if "unknown command" in said.lower():
        return "it is older than Redis 7"
    return said or type(wrong).__name__
