"""`nova bench notifications`: the numbers of the main job, over real sockets."""

import asyncio
import resource
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

import msgspec
from msgspec import Struct

from nova.bench.client import Caller, Subscriber, asked
from nova.bench.micro import event_parse_us, preference_lookup
from nova.bench.processes import Server, serving
from nova.bench.receipts import Receipts, percentile
from nova.web.tokens import mint

CREATED = 200
ACCEPTED = range(200, 300)
TYPES = ("like", "comment", "follow")
BULK = 1000
CONNECTING = 50
SETTLE_S = 30.0
MESSAGE = b'{"data":{"text":"one message to everybody"}}'
PUBLICATION = b'"pub":'
TIMER_S = 0.001
"""What a timer of the event loop may be late by."""
EXACT_PER_S = 200
"""Up to this rate, sending on time costs the load generator little."""


class Plan(Struct, frozen=True):
    """How long and how wide to measure."""

    recipients: int = 1000
    seconds: float = 30.0
    rated_seconds: float = 120.0
    """Long enough to meet what is done once a minute."""
    callers: int = 3
    batch: int = 1000
    """Events in a request when throughput is measured: as many as one takes."""
    outstanding: int = 8000
    """Events accepted but not yet received, at most: what keeps the flow steady."""
    idle: int = 10_000
    messages: int = 200
    publishers: int = 16
    """Of messages to everybody, when many publish at once."""


QUICK = Plan(recipients=100, seconds=3, rated_seconds=2, idle=500, messages=32)
"""A look in half a minute; its figures are not for publication."""


class Crowd:
    """Recipients with an open socket each, and those who send them events."""

    def __init__(self, server: Server, plan: Plan) -> None:
        self.server = server
        self.plan = plan
        self.receipts = Receipts()
        self.callers: list[Caller] = []
        self.sockets: list[Subscriber] = []

    async def gather(self) -> None:
        """Create the users, open their sockets and the callers' connections."""
        for _ in range(max(self.plan.callers, 64)):
            self.callers.append(await self._caller())
        names = [f"user-{number}" for number in range(self.plan.recipients)]
        await create_users(self.callers[0], [*names, "actor"])
        self.sockets = await open_sockets(self.server, names, self.receipts.on_message)

    async def _caller(self) -> Caller:
        return await Caller.open(self.server.host, self.server.port, self.server.server_key)

    async def send(self, caller: Caller, count: int, at: float | None = None) -> None:
        """Post `count` events in one request; raises unless every one was accepted."""
        numbers = self.receipts.send(count, at)
        status, answer = await caller.post("/v1/events", self._events(numbers))
        if status not in ACCEPTED or answer.count(b'"status":"accepted"') != count:
            raise RuntimeError(f"POST /v1/events answered {status}: {answer[:500]!r}")

    def _events(self, numbers: range) -> bytes:
        return msgspec.json.encode(
            [
                {
                    "id": f"bench-{number}",
                    "event_type": TYPES[number % len(TYPES)],
                    # A stride that is prime to every round number spreads a batch over people.
                    "recipient_id": f"user-{number * 7919 % self.plan.recipients}",
                    "actor_id": "actor",
                    "related_entity_id": f"post-{number % 1000}",
                    "timestamp": "2026-01-01T00:00:00Z",
                    "metadata": {"source": "bench"},
                }
                for number in numbers
            ]
        )

    async def settled(self) -> int:
        """Wait until everything arrived, and return how many events did not.

        Raises if the server closed a socket: what that one missed is not lost, but not measured.
        """
        await self.receipts.complete(SETTLE_S)
        if closed := [socket.ended for socket in self.sockets if socket.ended]:
            raise RuntimeError(f"the server closed {len(closed)} sockets: {closed[0]}")
        # Something sent twice would come now.
        await asyncio.sleep(0.5)
        return self.receipts.outstanding

    def close(self) -> None:
        close(*self.sockets, *self.callers)


@asynccontextmanager
async def crowd(server: Server, plan: Plan) -> AsyncIterator[Crowd]:
    gathered = Crowd(server, plan)
    try:
        await gathered.gather()
        yield gathered
    finally:
        gathered.close()


def close(*connections: Caller | Subscriber) -> None:
    for connection in connections:
        connection.close()


async def create_users(caller: Caller, names: list[str]) -> None:
    for start in range(0, len(names), BULK):
        users = [{"external_id": name, "name": name} for name in names[start : start + BULK]]
        status, answer = await caller.post("/v1/users/bulk", msgspec.json.encode({"users": users}))
        if status not in ACCEPTED:
            raise RuntimeError(f"POST /v1/users/bulk answered {status}: {answer[:500]!r}")


async def open_sockets(
    server: Server,
    names: list[str],
    on_message: Callable[[bytes], None],
    channels: tuple[str, ...] = (),
) -> list[Subscriber]:
    sockets: list[Subscriber] = []
    for start in range(0, len(names), CONNECTING):
        sockets += await asyncio.gather(
            *(
                Subscriber.open(
                    server.host, server.port, mint(server.token_secret, name), on_message, channels
                )
                for name in names[start : start + CONNECTING]
            )
        )
    return sockets


async def throughput(server: Server, plan: Plan) -> dict[str, float]:
    """Send batches as fast as they are received, for `plan.seconds`."""
    async with crowd(server, plan) as people:
        until = perf_counter() + plan.seconds

        async def keep_sending(caller: Caller) -> None:
            while perf_counter() < until:
                if people.receipts.outstanding > plan.outstanding:
                    await asyncio.sleep(0.001)
                else:
                    await people.send(caller, plan.batch)

        before, start = server.cost(), perf_counter()
        await asyncio.gather(*(keep_sending(caller) for caller in people.callers[: plan.callers]))
        within, elapsed = people.receipts.received, perf_counter() - start
        lost = await people.settled()
        cost = server.cost().since(before)
        received = max(1, people.receipts.received)
        return {
            "throughput_per_s": within / elapsed,
            "saturated_p50_ms": 1000 * percentile(people.receipts.latencies, 0.50),
            "lost": lost,
            "duplicated": people.receipts.duplicated,
            "cpu_us_per_event": 1e6 * (cost.server_s + cost.postgres_s) / received,
            "server_cpu_s": cost.server_s,
            "postgres_cpu_s": cost.postgres_s,
            "rss_mb_after": server.resident_kb() / 1024,
        }


async def one_by_one(server: Server, plan: Plan) -> dict[str, float]:
    """Send one event a request over 64 connections as fast as they are answered and received."""
    async with crowd(server, plan) as people:
        until = perf_counter() + plan.seconds

        async def keep_sending(caller: Caller) -> None:
            while perf_counter() < until:
                if people.receipts.outstanding > plan.outstanding:
                    await asyncio.sleep(0.001)
                else:
                    await people.send(caller, 1)

        start = perf_counter()
        await asyncio.gather(*(keep_sending(caller) for caller in people.callers))
        within, elapsed = people.receipts.received, perf_counter() - start
        return {
            "single_per_s": within / elapsed,
            "lost": await people.settled(),
            "duplicated": people.receipts.duplicated,
        }


async def rated(server: Server, plan: Plan, per_s: int) -> dict[str, float]:
    """Send single events at a steady rate; latency counts from when each was due."""
    async with crowd(server, plan) as people:
        free: asyncio.Queue[Caller] = asyncio.Queue()  # holds the callers, and nothing else
        for caller in people.callers:
            free.put_nowait(caller)

        async def send_one(due: float) -> None:
            caller = await free.get()
            await people.send(caller, 1, due)
            free.put_nowait(caller)

        start = perf_counter()
        async with asyncio.TaskGroup() as sending:
            for number in range(int(per_s * plan.rated_seconds)):
                due = start + number / per_s
                await until(due, exactly=per_s <= EXACT_PER_S)
                sending.create_task(send_one(due))
        lost = await people.settled()
        latencies = people.receipts.latencies
        return {
            "p50_ms": 1000 * percentile(latencies, 0.50),
            "p95_ms": 1000 * percentile(latencies, 0.95),
            "p99_ms": 1000 * percentile(latencies, 0.99),
            "longest_stall_ms": 1000 * people.receipts.longest_stall,
            "lost": lost,
            "duplicated": people.receipts.duplicated,
        }


async def until(due: float, *, exactly: bool) -> None:
    """Wait; `exactly` spends CPU on not being late by the event loop's millisecond."""
    await asyncio.sleep(max(0.0, due - perf_counter() - (TIMER_S if exactly else 0.0)))
    while exactly and perf_counter() < due:  # noqa: ASYNC110  # an Event would wake as late
        await asyncio.sleep(0)


async def batch_of_100(server: Server, plan: Plan) -> dict[str, float]:
    """Send 100 events at once: to the last socket from the request's first byte, and from the log.

    They are in the log when they are acknowledged; that the answer has a way to go is left out.
    """
    async with crowd(server, plan) as people:
        took, logged = [], []
        for _ in range(plan.messages):
            start = perf_counter()
            await people.send(people.callers[0], 100)
            durable = perf_counter()
            await people.receipts.complete(SETTLE_S)
            took.append((end := perf_counter()) - start)
            logged.append(end - durable)
            await asyncio.sleep(0.01)
        return {
            "batch_of_100_p50_ms": 1000 * percentile(took, 0.50),
            "batch_of_100_p95_ms": 1000 * percentile(took, 0.95),
            "batch_of_100_from_log_p50_ms": 1000 * percentile(logged, 0.50),
            "batch_of_100_from_log_p95_ms": 1000 * percentile(logged, 0.95),
        }


async def fan_out(server: Server, plan: Plan, publishers: int) -> float:
    """Publish to one channel with every recipient subscribed; return CPU seconds a delivery.

    A publisher sends its next message when it has its answer, and everybody all but the last
    messages of the others.
    """
    received = 0
    moved = asyncio.Event()

    def count(message: bytes) -> None:
        nonlocal received
        received += message.count(PUBLICATION)
        moved.set()

    callers = [
        await Caller.open(server.host, server.port, server.server_key) for _ in range(publishers)
    ]
    names = [f"user-{number}" for number in range(plan.recipients)]
    await create_users(callers[0], names)
    sockets = await open_sockets(server, names, count, ("bench:all",))
    waiting = iter(range(plan.messages * publishers))
    published = 0

    async def received_but(messages: int) -> None:
        while received < (published - messages) * plan.recipients:
            moved.clear()
            await moved.wait()

    async def keep_publishing(caller: Caller) -> None:
        nonlocal published
        for _ in waiting:
            await asked(caller, "POST", "/v1/channels/bench:all/publications", MESSAGE)
            published += 1
            await received_but(publishers - 1)

    before = server.cost()
    await asyncio.gather(*(keep_publishing(caller) for caller in callers))
    await received_but(0)
    cost = server.cost().since(before)
    close(*sockets, *callers)
    return cost.server_s / received


async def idle(server: Server, plan: Plan) -> dict[str, float]:
    """Hold many sockets that do nothing."""
    caller = await Caller.open(server.host, server.port, server.server_key)
    names = [f"idle-{number}" for number in range(plan.idle)]
    await create_users(caller, names)
    # What the first connections make the process load is not the price of each.
    first = await open_sockets(server, names[:100], lambda _message: None)
    before = server.resident_kb()
    rest = await open_sockets(server, names[100:], lambda _message: None)
    after = server.resident_kb()
    close(*first, *rest, caller)
    return {
        "kb_per_idle_connection": (after - before) / len(rest),
        "idle_connections": len(first) + len(rest),
    }


async def run(plan: Plan, progress: Callable[[str], None]) -> dict[str, float]:
    """Run every part, each on a server of its own, and return the figures."""
    allow_many_files()
    bench = {"NOVA_NAMESPACES": '[{"name": "bench"}]'}
    progress("event parsing and preference look-up")
    result: dict[str, float] = {**event_parse_us(), **await preference_lookup()}
    progress(f"throughput, {plan.seconds:g} s")
    async with serving(bench) as server:
        result |= await throughput(server, plan)
    progress(f"one event a request, {plan.seconds:g} s")
    async with serving(bench) as server:
        _add(result, await one_by_one(server, plan))
    for per_s, suffix in ((100, ""), (2000, "_at_2000_per_s")):
        progress(f"latency at {per_s}/s, {plan.rated_seconds:g} s")
        async with serving(bench) as server:
            _add(result, await rated(server, plan, per_s), suffix)
    progress("batches of 100")
    async with serving(bench) as server:
        result |= await batch_of_100(server, plan)
    for publishers, name in ((1, "fanout"), (plan.publishers, "fanout_busy")):
        progress(f"messages to {plan.recipients} sockets, publishers: {publishers}")
        async with serving(bench) as server:
            spent = await fan_out(server, plan, publishers)
        result[f"{name}_cpu_us_per_delivery"] = 1e6 * spent
    progress(f"{plan.idle} idle connections")
    async with serving(bench) as server:
        result |= await idle(server, plan)
    return result


def _add(result: dict[str, float], figures: dict[str, float], suffix: str = "") -> None:
    """Put figures to the others; losses are added up, and the longest stall is of all runs."""
    for name in ("lost", "duplicated"):
        result[name] += figures.pop(name)
    if (stall := figures.pop("longest_stall_ms", None)) is not None:
        result["longest_stall_ms"] = max(result.get("longest_stall_ms", 0.0), stall)
    result |= {name + suffix: value for name, value in figures.items()}


def allow_many_files() -> None:
    """Lift this process's bound on open files, which its servers inherit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
