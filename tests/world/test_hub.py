"""Somebody whom very many follow: whatever becomes of them, others go on meanwhile."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from nova.adapters.postgres.pool import open_pool
from support.deployment import Deployment, deployed
from support.waiting import until

CROWD = 100_000
MADE = """
insert into accounts.users (id, external_id, name)
select gen_random_uuid(), 'fan-' || n, 'Fan' from generate_series(1, $1::int) n
"""
PEOPLE = "insert into graph.people (user_id) select id from accounts.users on conflict do nothing"
FOLLOWS = """
with hub as (
    select p.number from graph.people p join accounts.users u on u.id = p.user_id
     where u.external_id = 'hub'
), made as (
    insert into graph.follows (follower, followee, since)
    select p.number, hub.number, now() from graph.people p, hub where p.number <> hub.number
    returning follower
), fans as (
    update graph.people set following = 1 where number in (select follower from made)
)
update graph.people set followers = (select count(*) from made)
 where number = (select number from hub)
"""


@pytest.fixture
async def deployment(tmp_path: Path, dsn: str) -> AsyncIterator[Deployment]:
    """Yield a deployment where a hundred thousand people follow one."""
    async with deployed(tmp_path, NOVA_DATABASE=dsn) as one:
        app = await one.start()
        async with app.client() as client:
            users = {"users": [{"external_id": "hub"}]}
            (await client.post("/v1/users/bulk", json=users)).raise_for_status()
        async with open_pool(dsn, size=1, wait_s=60.0, statement_timeout_s=600.0) as pool:
            await pool.run(MADE, CROWD)
            for statement in (PEOPLE, FOLLOWS):
                await pool.run(statement)
        assert (await one.run("rebuild", "graph"))[0] == 0
        yield one


async def test_a_hub_is_followed_listed_blocked_and_erased_while_others_go_on(
    deployment: Deployment,
) -> None:
    app = await deployment.app()
    async with app.client() as client:

        async def ask(method: str, path: str, status: int = 200, **more: Any) -> Any:
            answer = await client.request(method, f"/v1/users/{path}", **more)
            assert answer.status_code == status, answer.text
            return answer.json() if answer.content else None

        async def indexed() -> bool:
            return "nova_graph_index_follows 100000.0" in (await client.get("/metrics")).text

        await until(indexed)
        page = await ask("GET", "hub/followers?limit=5")
        more = await ask("GET", f"hub/followers?limit=5&cursor={page['next_cursor']}")
        assert len(page["data"]) == len(more["data"]) == 5
        for path in ("hub/mutuals", "fan-1/common/fan-2", "fan-1/suggestions", "hub/suggestions"):
            await ask("GET", path)
        await ask("DELETE", "fan-1/following/hub")
        await ask("PUT", "fan-1/following/hub")
        await ask("PUT", "hub/blocks/fan-2")
        await ask("PUT", "fan-3/blocks/hub")
        assert (await ask("GET", "hub/connections"))["followers"] == CROWD - 2

        busy = Busy(client)
        going = asyncio.create_task(busy.go_on())
        await until(lambda: busy.answers > 10)
        before = busy.answers
        await ask("DELETE", "hub", 204)
        assert busy.answers > before + 10
        busy.tired = True
        await going
        assert (await ask("GET", "fan-9/connections"))["following"] == len(
            (await ask("GET", "fan-9/following?limit=100"))["data"]
        )
        await ask("GET", "hub/connections", 404)

        async def forgotten() -> bool:
            said = (await client.get("/metrics")).text
            held = re.search(r"^nova_graph_index_follows (\S+)$", said, re.MULTILINE)
            return held is not None and float(held[1]) < CROWD / 2

        await until(forgotten)


class Busy:
    """Fans who follow each other; nobody is turned away."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.answers = 0
        self.tired = False
        self._client = client

    async def go_on(self) -> None:
        random = Random(1)  # noqa: S311  # an example
        while not self.tired:
            one, other = random.sample(range(1, CROWD), 2)
            answer = await self._client.put(f"/v1/users/fan-{one}/following/fan-{other}")
            assert answer.status_code == 200, answer.text
            self.answers += 1
