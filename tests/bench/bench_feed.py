"""Home feed through HTTP: milliseconds and CPU of a page for somebody who follows a thousand.

python tests/bench/bench_feed.py [pages]
"""

import asyncio
import sys
from statistics import quantiles
from time import perf_counter
from typing import Any

import httpx

from nova.bench.processes import Server, serving
from nova.web.tokens import mint

FOLLOWS = 1_000
POSTS_EACH = 8
AT_ONCE = 64


async def main(pages: int) -> None:
    async with serving({}) as server, _client(server, server.server_key) as backend:
        await _settle(backend)
        token = mint(server.token_secret, "reader")
        async with _client(server, token) as reader:
            for limit in (20, 50):
                await _measure(server, reader, pages, limit=limit)
            await _older(server, reader)


def _client(server: Server, bearer: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"http://{server.host}:{server.port}/v1",
        headers={"Authorization": f"Bearer {bearer}"},
        timeout=60,
    )


async def _settle(backend: httpx.AsyncClient) -> None:
    """Make the people, let one follow all others, and let these post."""
    names = ["reader", *(f"author-{number}" for number in range(FOLLOWS))]
    for start in range(0, len(names), 500):
        users = [{"external_id": name, "name": name} for name in names[start : start + 500]]
        await _good(backend, "POST", "/users/bulk", json={"users": users})
    await _all([("PUT", f"/users/reader/following/{name}", {}) for name in names[1:]], backend)
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
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
