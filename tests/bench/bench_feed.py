"""Home feed through HTTP: milliseconds and CPU of a page for somebody who follows many.

python tests/bench/bench_feed.py [pages] [follows]

It is pulled from rings, pulled where these do not hold the authors, and pushed ahead.
"""

import asyncio
import sys
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx

from nova.bench.processes import Server, serving
from nova.web.tokens import mint

POSTS_EACH = 4
AT_ONCE = 64
FANS = 500
SETTLED_S = 3.0
POSTS = 200

WAYS = {
    "pull": {},
    "pull, without rings": {"NOVA_FEEDS_AUTHORS": "1"},
    "push": {"NOVA_FEEDS_PUSH": "true", "NOVA_FEEDS_AUTHORS": "1"},
}


async def main(pages: int, follows: int) -> None:
    for way, settings in WAYS.items():
        say(f"-- {way}, {follows:,} followed")
        async with serving(settings) as server, _client(server, server.server_key) as backend:
            await _settle(backend, follows)
            token = mint(server.token_secret, "reader")
            async with _client(server, token) as reader:
                for limit in (20, 50):
                    await _measure(server, reader, pages, limit=limit)
                await _older(server, reader)
            await _published(server, backend)


def _client(server: Server, bearer: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{server.host}:{server.port}/v1",
        headers={"Authorization": f"Bearer {bearer}"},
        timeout=60,
    )


async def _settle(backend: httpx.AsyncClient, follows: int) -> None:
    """Make the people, let one follow all others and read, and let these post."""
    names = ["reader", *(f"author-{number}" for number in range(follows))]
    for start in range(0, len(names), 500):
        users = [{"external_id": name, "name": name} for name in names[start : start + 500]]
        await _good(backend, "POST", "/users/bulk", json={"users": users})
    await _all([("PUT", f"/users/reader/following/{name}", {}) for name in names[1:]], backend)
    await _good(backend, "GET", "/feeds/home", params={"user": "reader"})
    for number in range(POSTS_EACH):
        await _all(
            [
                ("POST", "/posts", {"params": {"user": name}, "json": {"text": f"post {number}"}})
                for name in names[1:]
            ],
            backend,
        )


async def _all(calls: list[tuple[str, str, dict[str, Any]]], client: httpx.AsyncClient) -> None:
    for start in range(0, len(calls), AT_ONCE):
        some = calls[start : start + AT_ONCE]
        await asyncio.gather(*(_good(client, method, path, **more) for method, path, more in some))


async def _good(client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    answer = await client.request(method, path, **more)
    answer.raise_for_status()
    return answer


async def _measure(server: Server, reader: httpx.AsyncClient, pages: int, *, limit: int) -> None:
    took: list[float] = []
    before = server.cost()
    for _ in range(pages):
        start = perf_counter()
        await _good(reader, "GET", "/feeds/home", params={"limit": limit})
        took.append((perf_counter() - start) * 1e3)
    spent = server.cost().since(before)
    p50, p95 = quantiles(took, n=100)[49], quantiles(took, n=100)[94]
    say(
        f"first page of {limit}: p50 {p50:.2f} ms, p95 {p95:.2f} ms with the client's own; CPU a "
        f"page: Nova {spent.server_s / pages * 1e3:.2f} ms, PostgreSQL "
        f"{spent.postgres_s / pages * 1e3:.2f} ms"
    )


async def _published(server: Server, backend: httpx.AsyncClient) -> None:
    """Have somebody post whom many follow who read; what is pushed, too, is in the CPU time."""
    fans = [f"fan-{number}" for number in range(FANS)]
    users = [{"external_id": name, "name": name} for name in fans]
    await _good(backend, "POST", "/users/bulk", json={"users": users})
    await _all([("PUT", f"/users/{name}/following/author-0", {}) for name in fans], backend)
    await _all([("GET", "/feeds/home", {"params": {"user": name}}) for name in fans], backend)
    before = server.cost()
    post = ("POST", "/posts", {"params": {"user": "author-0"}, "json": {"text": "to all"}})
    await _all([post] * POSTS, backend)
    await asyncio.sleep(SETTLED_S)
    spent = server.cost().since(before)
    say(
        f"a post to {FANS} who read: CPU of Nova {spent.server_s / POSTS * 1e3:.2f} ms, "
        f"PostgreSQL {spent.postgres_s / POSTS * 1e3:.2f} ms"
    )


async def _older(server: Server, reader: httpx.AsyncClient) -> None:
    """Read the whole feed, page by page."""
    took: list[float] = []
    query: dict[str, Any] = {"limit": 50}
    while True:
        start = perf_counter()
        page = (await _good(reader, "GET", "/feeds/home", params=query)).json()
        took.append((perf_counter() - start) * 1e3)
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    older = took[len(took) // 2 :]
    say(
        f"all {len(took)} pages of 50: mean {sum(took) / len(took):.2f} ms; "
        f"the older half: mean {sum(older) / len(older):.2f} ms, slowest {max(older):.2f} ms"
    )


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    asyncio.run(main(*(*given, *(1_000, 1_000)[len(given) :])))
