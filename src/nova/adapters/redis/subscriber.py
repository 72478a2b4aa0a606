"""A connection to one node of a Redis Cluster, over which sharded channels are heard."""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis.asyncio.connection import Connection
from redis.exceptions import RedisError, ResponseError
from structlog import get_logger

from nova.adapters.redis.cluster import explained


class _Batch:
    """Channels that were asked for together, and those of them that were refused."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.refused: set[bytes] = set()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, name: bytes, *, refused: bool) -> None:
        self.left -= 1
        if refused:
            self.refused.add(name)
        if not self.left and not self.done.done():
            self.done.set_result(None)


class Subscriber:
    """Hears channels of one node until the connection breaks; then it calls `ended` once."""

    def __init__(
        self,
        connection: Connection,
        *,
        answer_s: float,
        heard: Callable[[bytes, bytes], None],
        moved: Callable[[bytes], None],
        ended: Callable[["Subscriber"], None],
    ) -> None:
        """`moved` gets a channel that the node gave away to another one."""
        self.names: set[bytes] = set()
        self._connection = connection
        self._answer_s = answer_s
        self._heard = heard
        self._moved = moved
        self._ended = ended
        self._expected: deque[tuple[bytes, bytes, _Batch | None]] = deque()
        """What is to be answered, in this order: a kind, a channel, and who waits for it."""
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = True

    async def start(self) -> None:
        """Connect. Raises RedisError or OSError."""
        async with asyncio.timeout(self._answer_s):
            await self._connection.connect()  # type: ignore[no-untyped-call]
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._run(each)) for each in (self._read, self._ping)]

    async def subscribe(self, names: Sequence[bytes]) -> set[bytes]:
        """Return the channels that the node refused; they may be another one's by now."""
        batch = _Batch(len(names))
        self._expected.extend((b"ssubscribe", name, batch) for name in names)
        try:
            # One command each: channels of several slots in one command are refused.
            await self._send(("SSUBSCRIBE", name) for name in names)
        except (RedisError, OSError, TimeoutError) as wrong:
            self._end(explained(wrong))
            return set(names)
        await asyncio.wait({batch.done}, timeout=self._answer_s)
        if not batch.done.done() or batch.done.cancelled():
            self._end("subscribing was not answered")
            return set(names)
        self.names.update(name for name in names if name not in batch.refused)
        return batch.refused

    async def unsubscribe(self, names: Sequence[bytes]) -> None:
        self.names.difference_update(names)
        self._expected.extend((b"sunsubscribe", name, None) for name in names)
        try:
            await self._send(("SUNSUBSCRIBE", name) for name in names)
        except (RedisError, OSError, TimeoutError) as wrong:
            self._end(explained(wrong))

    async def close(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.disconnect(nowait=True)

    async def _send(self, commands: Iterable[Sequence[bytes | str]]) -> None:
        packed = self._connection.pack_commands(commands)
        async with asyncio.timeout(self._answer_s):
            await self._connection.send_packed_command(packed, check_health=False)

    async def _run(self, work: Callable[[], Any]) -> None:
        try:
            await work()
        except (RedisError, OSError, TimeoutError) as wrong:
            self._end(explained(wrong))
        except Exception as wrong:  # noqa: BLE001  # the edge of a task
            get_logger().exception("redis_subscriber_failed")
            self._end(repr(wrong))

    def _end(self, reason: str) -> None:
        if not self._tasks:
            return
        get_logger().warning("redis_subscriptions_lost", reason=reason, channels=len(self.names))
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for _, _, batch in self._expected:
            if batch is not None:
                batch.done.cancel()
        self._ended(self)

    async def _read(self) -> None:
        while True:
            try:
                reply = await self._connection.read_response(
                    disable_decoding=True, timeout=math.inf, disconnect_on_error=False
                )
            except ResponseError as refused:
                self._answer(None, b"", refused)
                continue
            if not isinstance(reply, list):
                self._answered = True  # a ping before the first subscription
            elif reply[0] == b"smessage":
                self._heard(reply[1], reply[2])
            elif reply[0] == b"pong":
                self._answered = True
            else:
                self._answer(reply[0], reply[1], None)

    def _answer(self, kind: bytes | None, name: bytes, refused: ResponseError | None) -> None:
        """Take an answer, or word that a channel went to another node."""
        if kind == b"sunsubscribe" and (
            not self._expected or self._expected[0][:2] != (kind, name)
        ):
            self.names.discard(name)
            self._moved(name)
            return
        if not self._expected:
            raise RedisError(f"an answer that nobody asked for: {kind!r} {refused}")
        _, expected, batch = self._expected.popleft()
        if batch is not None:
            batch.answer(expected, refused=refused is not None)

    async def _ping(self) -> None:
        """Ask again and again whether the node is there: a connection may end without a word."""
        while True:
            await asyncio.sleep(self._answer_s)
            if not self._answered:
                raise TimeoutError
            self._answered = False
            await self._send([("PING",)])
