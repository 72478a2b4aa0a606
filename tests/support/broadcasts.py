"""The engines that may carry messages between processes, for the suites that loop over them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from secrets import randbits

from nova.adapters.local.broadcast import Exchange, LocalBroadcast
from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.backbone.neighbours import Neighbours
from nova.ports.broadcast import Broadcast, Lost, Message
from support.postgres import patient_pool

IN_PROCESS, POSTGRESQL = "in process", "PostgreSQL"
ENGINES = (IN_PROCESS, POSTGRESQL)

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
async def members(engine: str, dsn: str) -> AsyncIterator[Members]:
    """Yield what makes a further member of the same group, which listens."""
    async with AsyncExitStack() as stack:
        opened = await _opened(engine, dsn, stack)

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
    engine: str, dsn: str, stack: AsyncExitStack
) -> Callable[[], Awaitable[tuple[Broadcast, int]]]:
    exchange = Exchange()

    async def local() -> tuple[Broadcast, int]:
        return LocalBroadcast(exchange), randbits(62)

    async def postgres() -> tuple[Broadcast, int]:
        pool = await stack.enter_async_context(patient_pool(dsn, size=3))
        neighbours = Neighbours(pool, {}, lease_s=3600)
        await neighbours.beat()
        return PostgresBroadcast(pool), neighbours.id

    return {IN_PROCESS: local, POSTGRESQL: postgres}[engine]
