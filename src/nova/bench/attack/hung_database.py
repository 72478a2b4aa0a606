"""Measure how long callers wait while the database hangs, and count lost accepted writes."""

import asyncio
import os
import secrets
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from time import perf_counter
from uuid import uuid4

import msgspec

from nova.bench.client import Caller, Subscriber
from nova.bench.notifications import create_users
from nova.bench.processes import Server, running, serving
from nova.bench.proxied_postgres import proxied_postgres
from nova.bench.receipts import percentile
from nova.web.tokens import mint

PER_S = 50
"""Requests come at this pace, however slowly they are answered."""
BEFORE_S = 5.0
"""A server that starts is slow, and what its database usually takes is learned."""
GIVEN_UP_S = 15.0
"""A request that is not answered by then counts as if it had been."""
RECOVERED_S = 60.0
SETTLED_S = 60.0
LISTED = 100
ACCEPTED = range(200, 300)
BUSY = 503

Call = Callable[[], Awaitable[int]]
Hang = Callable[[], AbstractContextManager[None]]


async def measured(seconds: float) -> dict[str, float | Mapping[str, float]]:
    """Hang a database for so long, once as a whole and once the way to it."""
    figures = {}
    async with _stopped() as (server, hang):
        figures["stopped"] = await _Trial(server).run(hang, seconds)
    async with _swallowed() as (server, hang):
        figures["swallowed"] = await _Trial(server).run(hang, seconds)
    return {
        "hung_database_p99_ms": max(each["p99_ms"] for each in figures.values()),
        "hung_database_lost": sum(each["lost"] for each in figures.values()),
        "hung_database_recovery_s": max(each["recovery_s"] for each in figures.values()),
        **{f"hung_database_{name}": each for name, each in figures.items()},
    }


@asynccontextmanager
async def _stopped() -> AsyncIterator[tuple[Server, Hang]]:
    """Have a server whose own PostgreSQL can be stopped: connections stay, nothing answers."""
    async with serving({}) as server:

        @contextmanager
        def hang() -> Iterator[None]:
            stopped = server.descendants()
            try:
                _signal(stopped, signal.SIGSTOP)
                yield
            finally:
                _signal(stopped, signal.SIGCONT)

        yield server, hang


def _signal(processes: list[int], number: signal.Signals) -> None:
    for pid in processes:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


@asynccontextmanager
async def _swallowed() -> AsyncIterator[tuple[Server, Hang]]:
    """Have a server whose way to PostgreSQL can swallow everything, as a lost network does."""
    async with proxied_postgres() as (folder, proxy, _):

        @contextmanager
        def hang() -> Iterator[None]:
            proxy.blackhole = True
            try:
                yield
            finally:
                proxy.blackhole = False

        settings = {"NOVA_DATABASE": proxy.dsn}
        async with running(folder, secrets.token_hex(32), settings) as server:
            yield server, hang


class _Trial:
    """Calls a server before, while and after its database hangs."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._accepted: list[str] = []
        self._posts: list[str] = []
        self._said: Counter[int] = Counter()

    async def run(self, hang: Hang, seconds: float) -> dict[str, float]:
        backend = await self._caller()
        await create_users(backend, ["ada", "ben"])
        backend.close()
        await self._call_for(BEFORE_S)
        with hang():
            self._said.clear()
            took = await self._call_for(seconds)
        said = dict(self._said)
        recovery_s = await self._recovered()
        return {
            "p50_ms": 1000 * percentile(took, 0.50),
            "p99_ms": 1000 * percentile(took, 0.99),
            "max_ms": 1000 * max(took),
            "recovery_s": recovery_s,
            "lost": await self._lost(),
            "answered_503": said.get(BUSY, 0),
            "answered": sum(said.values()),
            "not_answered": said.get(0, 0),
        }

    async def _call_for(self, seconds: float) -> list[float]:
        """Make requests at a steady pace, and return how long each took from when it was due."""
        start = perf_counter()
        calls = self._calls()
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(int(seconds * PER_S)):
                due = start + number / PER_S
                await asyncio.sleep(max(0.0, due - perf_counter()))
                tasks.append(group.create_task(self._timed(next(calls), due)))
        return [task.result() for task in tasks]

    async def _timed(self, call: Call, due: float) -> float:
        status = 0
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(GIVEN_UP_S):
                status = await call()
        self._said[status] += 1
        return perf_counter() - due

    def _calls(self) -> Iterator[Call]:
        while True:
            yield from (self._event, self._post, self._read, self._event, self._socket)

    async def _event(self) -> int:
        id_ = str(uuid4())
        event = {"id": id_, "event_type": "message", "recipient_id": "ben", "actor_id": "ada"}
        status, _ = await self._asked("POST", "/v1/events", event)
        if status in ACCEPTED:
            self._accepted.append(id_)
        return status

    async def _post(self) -> int:
        status, said = await self._asked("POST", "/v1/posts?user=ada", {"text": "Hello"})
        if status in ACCEPTED:
            self._posts.append(msgspec.json.decode(said)["id"])
        return status

    async def _read(self) -> int:
        token = mint(self._server.token_secret, "ben", jti=str(uuid4()))
        return (await self._asked("GET", "/v1/notifications", key=token))[0]

    async def _socket(self) -> int:
        token = mint(self._server.token_secret, "ben", jti=str(uuid4()))
        try:
            opened = await Subscriber.open(
                self._server.host, self._server.port, token, lambda _message: None
            )
        except ConnectionError:
            return BUSY
        opened.close()
        return 200

    async def _asked(
        self, method: str, path: str, body: object = None, *, key: str = ""
    ) -> tuple[int, bytes]:
        """Make a request over a connection of its own."""
        caller = await self._caller(key)
        try:
            encoded = b"" if body is None else msgspec.json.encode(body)
            return await caller.ask(method, path, encoded)
        finally:
            caller.close()

    async def _caller(self, key: str = "") -> Caller:
        server = self._server
        return await Caller.open(server.host, server.port, key or server.server_key)

    async def _recovered(self) -> float:
        """Return how long it took until an event was accepted again."""
        start = perf_counter()
        async with asyncio.timeout(RECOVERED_S):
            while await self._event() not in ACCEPTED:  # noqa: ASYNC110  # nobody announces it
                await asyncio.sleep(0.05)
        return perf_counter() - start

    async def _lost(self) -> int:
        """Count what was accepted and is not there, after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLED_S):
                while missing := {*self._accepted} - await self._inbox():  # noqa: ASYNC110  # nobody announces it
                    await asyncio.sleep(0.2)
        posts = [(await self._asked("GET", f"/v1/posts/{id_}"))[0] for id_ in self._posts]
        return len(missing) + sum(status not in ACCEPTED for status in posts)

    async def _inbox(self) -> set[str]:
        """Return the ids of all events in the recipient's inbox."""
        found: set[str] = set()
        path = cursor = f"/v1/notifications?user=ben&limit={LISTED}"
        while cursor:
            status, said = await self._asked("GET", cursor)
            if status not in ACCEPTED:
                return found
            page = msgspec.json.decode(said)
            found |= {each["event_id"] for each in page["data"]}
            after = page.get("next_cursor")
            cursor = f"{path}&cursor={after}" if after else ""
        return found
