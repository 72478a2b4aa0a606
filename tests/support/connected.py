"""A small world whose people follow, block and mute each other, over the API."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from nova.adapters.local.graph import LocalGraph
from nova.features.graph import (
    HEARS,
    Faces,
    Feed,
    Lists,
    Mirrored,
    Numbers,
    Standby,
    Suggester,
    Ways,
    cursors,
    plug,
)
from nova.kernel.clock import Clock, SystemClock
from nova.ports.graph import GraphWalks, KeptGraphIndex
from support.http import api_client, bearer
from support.notified import SERVER, World
from support.postgres import patient_pool
from support.waiting import until


class Connected:
    """Ada, Ben, Cleo, Dora and Eve, and the calls that they make."""

    def __init__(self, world: World, client: httpx.AsyncClient, index: LocalGraph) -> None:
        self.world = world
        self.client = client
        self.index = index

    async def ask(self, who: str, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        """Call `/v1/users/{path}` as somebody, and return the answer's body."""
        answer = await self.client.request(method, f"/v1/users/{path}", headers=bearer(who), **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def follow(self, who: str, *whom: str) -> None:
        for other in whom:
            await self.ask(who, "PUT", f"me/following/{other}")

    async def names(self, who: str, path: str, **query: Any) -> list[str]:
        """Return the app's ids of those in a list, in its order, from all of its pages."""
        found: list[str] = []
        while True:
            page = await self.ask(who, "GET", path, params=query)
            found += [each["person"]["external_id"] for each in page["data"]]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async def counts(self, name: str) -> tuple[int, int]:
        found = await self.ask(SERVER, "GET", f"{name}/connections")
        return found["followers"], found["following"]

    async def suggested(self, who: str, **query: Any) -> dict[str, str]:
        """Return who is suggested to somebody, the likeliest first, and why."""
        page = await self.ask(who, "GET", "me/suggestions", params=query)
        return {each["person"]["external_id"]: each["reason"]["says"] for each in page["data"]}

    async def settled(self, who: str, *names: str) -> None:
        """Wait until exactly these are suggested, in any order."""

        async def holds() -> bool:
            await asyncio.sleep(0.25)  # suggestions take much from a user's budget
            return set(await self.suggested(who)) == set(names)

        await until(holds)


@asynccontextmanager
async def connected(
    dsn: str,
    clock: Clock | None = None,
    outside: KeptGraphIndex | None = None,
    most_bytes: int = 2**40,
) -> AsyncIterator[Connected]:
    """Yield a running world of five people who have nothing to do with each other yet.

    Its index is in process and may take `most_bytes`, unless there is one `outside`.
    """
    async with patient_pool(dsn) as pool:
        clock = clock or SystemClock()
        world = World(pool, clock)
        index = LocalGraph(most_bytes)
        walks: GraphWalks = Standby(world.db, index, CollectorRegistry(), catches_up=False)
        if outside is None:
            feed = Feed(world.db, index)
            world.backbone.project("graph", HEARS, fill=feed.fill, hear=feed.hear)
        else:
            world.backbone.project_outside("graph-index", HEARS, Mirrored(world.db, outside))
            walks = Standby(world.db, outside, CollectorRegistry())
        lists = Lists(
            world.db, clock, world.people, cursors(b"of the tests"), Ways(world.db, walks)
        )
        numbers = Numbers(world.db)
        faces = Faces(numbers, lists)
        world.backbone.signals.on("user", faces.forget)
        suggester = Suggester(numbers, walks, faces)
        feature = plug(world.graph, lists, suggester)
        async with world.backbone.run(), api_client(feature.routes, world) as client:
            await world.meet("Ada", "Ben", "Cleo", "Dora", "Eve")
            try:
                yield Connected(world, client, index)
            finally:
                await world.all.close()
