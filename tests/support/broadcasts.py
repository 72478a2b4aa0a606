"""The engines that may carry messages between processes, for the suites that loop over them."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from secrets import randbits, token_hex
from typing import Any

import pytest

from engines.redis import Cluster
from nova.adapters.local.broadcast import Exchange, LocalBroadcast
from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.adapters.redis.broadcast import open_broadcast
from nova.backbone.neighbours import Neighbours
from nova.ports.broadcast import Broadcast, Lost, Message
from support.postgres import patient_pool
from support.waiting import SOON_S

IN_PROCESS, POSTGRESQL, REDIS = "in process", "PostgreSQL", "Redis Cluster"
ENGINES = (IN_PROCESS, POSTGRESQL, REDIS)


def redis_url() -> str:
    """Return the address of the run's cluster; who has none skips, unless the engines run."""
    if url := os.environ.get("NOVA_TEST_REDIS"):
        return url
    if "NOVA_TEST_ENGINES" in os.environ:
        pytest.fail("the engines run, and Redis is not among them")
    pytest.skip("no Redis Cluster here: 'make test-engines' starts one")


@contextmanager
def own_redis(**knobs: Any) -> Iterator[Cluster]:
    """Yield a cluster of one's own, running: to be harmed. `knobs` are those of Cluster."""
    redis_url()
    with tempfile.TemporaryDirectory(prefix="nova-own-redis-") as folder:
        Path(folder).chmod(0o755)  # it runs as another user
        cluster = Cluster(Path(folder) / "redis", **knobs)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


Members = Callable[[], Awaitable["Member"]]


class Member:
    """A process, as far as the engine goes."""

    def __init__(self, engine: Broadcast, id_: int) -> None:
        self.engine = engine
        self.id = id_
        self.heard: list[Message] = []
        self.missed = 0
        """How often it was told that some may be lost."""
        self.lost = 0
        """How often it had to join again."""

    async def publish(self, *messages: Message) -> None:
        """Publish, again and again what may not have been sent."""
        left = list(messages)
        while left:
            left = list(await self.engine.publish(left))

    async def listen(self) -> None:
        while True:
            try:
                messages = await self.engine.receive()
            except Lost:
                self.lost += 1
                await self.engine.join(self.id)
                continue
            self.heard += messages
            self.missed += not messages


@asynccontextmanager
async def members(
    engine: str, dsn: str, url: str = "", answer_s: float = SOON_S
) -> AsyncIterator[Members]:
    """Yield what makes a further member of the same group, which listens.

    `url` is that of a Redis Cluster; without one, it is the run's. `answer_s` is how patient they
    are with its nodes: what tests ask is not to depend on how busy the machine is.
    """
    async with AsyncExitStack() as stack:
        opened = await _opened(engine, dsn, url, answer_s, stack)

        async def join() -> Member:
            member = Member(*await opened())
            await member.engine.join(member.id)
            stack.push_async_callback(member.engine.close)
            listening = asyncio.create_task(member.listen())
            stack.push_async_callback(_ended, listening)
            return member

        yield join


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _opened(
    engine: str, dsn: str, url: str, answer_s: float, stack: AsyncExitStack
) -> Callable[[], Awaitable[tuple[Broadcast, int]]]:
    exchange, group = Exchange(), token_hex(8)

    async def local() -> tuple[Broadcast, int]:
        return LocalBroadcast(exchange), randbits(62)

    async def postgres() -> tuple[Broadcast, int]:
        pool = await stack.enter_async_context(patient_pool(dsn, size=3))
        neighbours = Neighbours(pool, {}, lease_s=3600)
        await neighbours.beat()
        return PostgresBroadcast(pool), neighbours.id

    async def redis() -> tuple[Broadcast, int]:
        address = f"{url or redis_url()}/{group}"
        engine = await stack.enter_async_context(open_broadcast(address, answer_s=answer_s))
        return engine, randbits(62)

    return {IN_PROCESS: local, POSTGRESQL: postgres, REDIS: redis}[engine]
