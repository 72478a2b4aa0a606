"""`nova bench graph`: the numbers of the social graph, in process and over HTTP."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
from msgspec import Struct

from nova.app import visited
from nova.bench import feeds, graph_index, graph_outside
from nova.bench.client import Caller, ask_all, asked
from nova.bench.notifications import create_users
from nova.bench.people import Follows, follows
from nova.bench.processes import Server, serving
from nova.bench.receipts import percentile
from nova.features.graph.imports import STRETCH_S
from nova.settings import Settings, Tokens

UNBOUND = {"NOVA_LIMITS_USER_PER_S": "1000000", "NOVA_LIMITS_USER_BURST": "1000000"}
"""One user reads the feed over and over."""
STEPPED_S = 0.002
SERVED = re.compile(rb"^nova_graph_index_follows (\S+)$", re.MULTILINE)
INDEXED_S = 300.0


class Plan(Struct, frozen=True):
    """How much to measure."""

    people: int = 1_000_000
    """Of the index in process, and of that in Neo4j, if one is given."""
    asked: int = 5_000
    served: int = 100_000
    """People of the real server; their follows are imported."""
    callers: int = 128
    requests: int = 20_000
    follows: int = 20_000
    newcomers: int = 40
    authors: int = 1_000
    """Whom somebody follows whose home feed is read."""
    pages: int = 1_000


QUICK = Plan(
    people=20_000,
    asked=500,
    served=1_000,
    callers=16,
    requests=500,
    follows=500,
    newcomers=5,
    authors=50,
    pages=100,
)
"""A look in a quarter of a minute; its figures are not for publication."""


async def run(
    plan: Plan, progress: Callable[[str], None], neo4j: str | None = None
) -> dict[str, Any]:
    """Measure the index, then a server, then the same index in Neo4j, if one is given."""
    progress(f"the index of {plan.people:,} people")
    result: dict[str, Any] = await asyncio.to_thread(graph_index.measure, plan.people, plan.asked)
    async with serving(UNBOUND) as server:
        result |= await served(server, plan, progress)
    if neo4j is None:
        return result
    progress(f"the index of {plan.people:,} people in Neo4j; to fill it may take half an hour")
    return result | {"neo4j": await graph_outside.measure(neo4j, plan.people, plan.asked)}


async def served(server: Server, plan: Plan, progress: Callable[[str], None]) -> dict[str, float]:
    """Bring a graph to a server, and ask it over HTTP."""
    graph = follows(plan.served)
    progress(f"importing {len(graph.followees):,} follows of {plan.served:,} people")
    async with calling(server, 1) as (caller,):
        await create_users(caller, [_name(number) for number in range(1, plan.served + 1)])
    result = await imported(server, graph)
    async with calling(server, plan.callers) as callers:
        await indexed(callers[0], len(graph.followees))
        progress(f"{plan.requests:,} requests for suggestions")
        result |= await suggestions(server, callers, plan)
    async with calling(server, 1) as (caller,):
        progress(f"{plan.asked:,} lists of mutual follows, and ways between two")
        result |= await lists(caller, plan)
        progress(f"{plan.newcomers} times from a follow to suggestions")
        result |= await visible(caller, plan)
    async with calling(server, plan.callers) as callers:
        progress(f"{plan.pages:,} pages of the home feed of who follows {plan.authors:,}")
        result["feed_p95_ms"] = await feeds.measure(server, callers, plan.authors, plan.pages)
    paths = strangers(graph, plan.follows)
    async with calling(server, plan.callers) as callers:
        progress(f"{plan.follows:,} follows and as many ends of them, {plan.callers} at once")
        return result | await following(server, callers, paths)


@asynccontextmanager
async def calling(server: Server, count: int) -> AsyncIterator[Sequence[Caller]]:
    """Open connections; the server closes those that are idle for long."""
    callers = [await Caller.open(server.host, server.port, server.server_key) for _ in range(count)]
    try:
        yield callers
    finally:
        for caller in callers:
            caller.close()


async def imported(server: Server, graph: Follows) -> dict[str, float]:
    """Import the graph as `nova import edges` does, beside the running server."""
    tokens = Tokens(secret="b" * 32, signing_secret="b" * 32)
    with TemporaryDirectory(prefix="nova-bench-") as folder:
        file = Path(folder) / "edges.jsonl"
        _write(file, graph)
        settings = Settings(data=server.data, tokens=tokens)
        async with visited(settings, statement_s=STRETCH_S, creates=True) as house:
            start = perf_counter()
            done = await house.edges.run(file, lambda _at, _problems: None)
            took = perf_counter() - start
    if done.added != len(graph.followees):
        raise RuntimeError(f"{done.added} of {len(graph.followees)} follows were imported")
    return {"import_edges_per_s": done.added / took}


async def indexed(caller: Caller, edges: int) -> None:
    """Wait until the server's index has so many follows."""
    async with asyncio.timeout(INDEXED_S):
        while await _indexed(caller) != edges:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.1)


async def suggestions(server: Server, callers: Sequence[Caller], plan: Plan) -> dict[str, float]:
    """Ask for suggestions from every connection; what counts is the server's own CPU time."""
    whom = np.random.default_rng(3).integers(1, plan.served + 1, 2 * plan.requests).tolist()
    paths = [f"/v1/users/{_name(each)}/suggestions?limit=20" for each in whom]
    # What the first requests find out about people is remembered afterwards.
    await ask_all(callers, [("GET", path, b"") for path in paths[: plan.requests]])
    before = server.cost()
    took = await ask_all(callers, [("GET", path, b"") for path in paths[plan.requests :]])
    cost = server.cost().since(before)
    return {
        "fof_per_s_per_core": plan.requests / cost.server_s,
        "fof_http_per_s": plan.requests / took,
        "fof_postgres_us": 1e6 * cost.postgres_s / plan.requests,
    }


async def lists(caller: Caller, plan: Plan) -> dict[str, float]:
    """Ask for one thing at a time, over HTTP."""
    pairs = np.random.default_rng(4).integers(1, plan.served + 1, (plan.asked, 2)).tolist()
    result = {}
    for what, path in (
        ("mutuals", "/v1/users/{}/mutuals"),
        ("common", "/v1/users/{}/common/{}"),
        ("path", "/v1/users/{}/path/{}"),
    ):
        took = []
        for one, other in ((one, other) for one, other in pairs if one != other):
            start = perf_counter()
            await asked(caller, "GET", path.format(_name(one), _name(other)))
            took.append(perf_counter() - start)
        result[f"{what}_http_p95_ms"] = 1e3 * percentile(took, 0.95)
    return result


async def visible(caller: Caller, plan: Plan) -> dict[str, float]:
    """Have newcomers follow somebody, and ask for their suggestions until that shows."""
    names = [f"newcomer-{number}" for number in range(plan.newcomers)]
    await create_users(caller, names)
    took = []
    for number, name in enumerate(names, 1):
        start = perf_counter()
        await asked(caller, "PUT", f"/v1/users/{name}/following/{_name(number)}")
        async with asyncio.timeout(INDEXED_S):
            while not await _suggested(caller, name):  # noqa: ASYNC110  # another process's
                await asyncio.sleep(STEPPED_S)
        took.append(perf_counter() - start)
    return {
        "visible_ms": 1e3 * percentile(took, 0.95),
        "visible_p50_ms": 1e3 * percentile(took, 0.50),
    }


async def _suggested(caller: Caller, name: str) -> bool:
    """Whether somebody gets suggestions that have to do with whom they follow."""
    return b"followed by" in await asked(caller, "GET", f"/v1/users/{name}/suggestions")


async def following(
    server: Server, callers: Sequence[Caller], paths: Sequence[str]
) -> dict[str, float]:
    """Have people follow others over HTTP, and end that again; each answer is durable."""
    before = server.cost()
    there = await ask_all(callers, [("PUT", path, b"") for path in paths])
    back = await ask_all(callers, [("DELETE", path, b"") for path in paths])
    cost = server.cost().since(before)
    return {
        "follows_per_s": len(paths) / there,
        "unfollows_per_s": len(paths) / back,
        "follow_cpu_us": 1e6 * cost.server_s / (2 * len(paths)),
        "follow_postgres_us": 1e6 * cost.postgres_s / (2 * len(paths)),
    }


def strangers(graph: Follows, count: int) -> list[str]:
    """Return where to follow, for so many different pairs of whom neither follows the other."""
    rows = [set(row.tolist()) for row in graph.rows()]
    random = np.random.default_rng(5)
    found: dict[str, None] = {}
    while len(found) < count:
        one, other = random.integers(1, graph.people + 1, 2).tolist()
        if one != other and other not in rows[one - 1]:
            found[f"/v1/users/{_name(one)}/following/{_name(other)}"] = None
    return list(found)


async def _indexed(caller: Caller) -> int:
    found = SERVED.search(await asked(caller, "GET", "/metrics"))
    return int(float(found[1])) if found else 0


def _name(number: int) -> str:
    return f"user-{number}"


def _write(file: Path, graph: Follows) -> None:
    with file.open("w", encoding="ascii") as lines:
        for number, row in enumerate(graph.rows(), 1):
            lines.writelines(
                f'{{"follower":"{_name(number)}","followee":"{_name(each)}"}}\n'
                for each in row.tolist()
            )
