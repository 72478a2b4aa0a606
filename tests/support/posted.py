"""A small world whose people post, comment and like, over the API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import httpx

from nova.adapters.local.graph import LocalGraph
from nova.features import posts
from nova.features.graph import EdgeImport, Faces, Lists, Numbers, Suggester, Ways, cursors
from nova.features.graph import plug as plug_graph
from nova.kernel.clock import Clock, SystemClock
from support.http import api_client, bearer
from support.notified import World
from support.postgres import patient_pool
from support.waiting import until

UNHEARD = """
select count(*) from backbone.event_log e join backbone.cursors c using (topic, partition)
 where (e.xact, e.position) > (backbone.xact_of(c.position), backbone.number_of(c.position))
   and ((c.consumer = 'notifications' and e.type in (
        'Liked', 'Commented', 'Mentioned', 'Followed', 'FollowRequested', 'FollowApproved'))
     or (c.consumer = 'subjects' and e.type in (
        'SubjectsTouched', 'Unliked', 'PostEdited', 'PostDeleted', 'CommentEdited',
        'CommentDeleted', 'Unfollowed', 'FollowCancelled', 'FollowDeclined', 'Blocked',
        'CloseFriendRemoved', 'PrivacyChanged', 'UserSuspended', 'UserDeleted')))
"""


UNPUSHED = """
select count(*) from backbone.event_log e
 where e.type in ('PostPublished', 'Followed', 'FollowApproved', 'EdgesImported')
   and not exists (select from backbone.cursors c
      where c.consumer = 'posts' and c.topic = e.topic and c.partition = e.partition
        and (e.xact, e.position)
            <= (backbone.xact_of(c.position), backbone.number_of(c.position)))
"""


class Town:
    """Ada, Ben, Cleo, Dora and Eve, and the calls that they make."""

    def __init__(self, world: World, client: httpx.AsyncClient, dsn: str) -> None:
        self.world = world
        self.dsn = dsn
        self.client = client

    async def ask(self, who: str, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        """Call `/v1/{path}` as somebody, and return the answer's body."""
        answer = await self.client.request(method, f"/v1/{path}", headers=bearer(who), **more)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    async def follow(self, who: str, *whom: str) -> None:
        for other in whom:
            await self.ask(who, "PUT", f"users/me/following/{other}")

    async def importing(self, who: str, whom: str) -> None:
        """Have somebody follow another by an import of edges."""
        edges = EdgeImport(self.world.db, SystemClock(), self.world.people)
        with NamedTemporaryFile(suffix=".csv") as file:
            file.write(f"{who},{whom}\n".encode())
            file.flush()
            await edges.run(Path(file.name), lambda _at, _problems: None)

    async def post(self, who: str, text: str = "hello", **more: Any) -> str:
        """Publish a post and return its id."""
        made = await self.ask(who, "POST", "posts", status=201, json={"text": text, **more})
        return str(made["id"])

    async def comment(self, who: str, post: str, text: str = "well", **more: Any) -> str:
        path, json = f"posts/{post}/comments", {"text": text, **more}
        return str((await self.ask(who, "POST", path, status=201, json=json))["id"])

    async def like(self, post: str, *by: str) -> None:
        for who in by:
            await self.ask(who, "PUT", f"posts/{post}/like")

    async def feed(self, who: str, **query: Any) -> list[str]:
        """Return the texts of the whole feed, newest first, once all is pushed that will be."""
        await self.pushed()
        return [each["text"] for each in await self.all(who, "feeds/home", **query)]

    async def all(self, who: str, path: str, **query: Any) -> list[dict[str, Any]]:
        """Return a whole list, from all of its pages."""
        found: list[dict[str, Any]] = []
        while True:
            page = await self.ask(who, "GET", path, params=query)
            found += page["data"]
            if page["next_cursor"] is None:
                return found
            query["cursor"] = page["next_cursor"]

    async def pushed(self) -> None:
        """Wait until what happened is in feeds that are written ahead, if there are any."""

        async def nothing_left() -> bool:
            return bool(await self.world.pool.value(UNPUSHED) == 0)

        if self.world.posts.push is not None:
            await until(nothing_left)

    async def heard(self) -> None:
        """Wait until everything that happened to posts was told, or was not."""

        async def nothing_left() -> bool:
            return bool(await self.world.pool.value(UNHEARD) == 0)

        await until(nothing_left)
        await self.world.settled()

    async def rings(self, who: str) -> list[str]:
        """Return the titles in a person's inbox, newest first."""
        await self.heard()
        return [each["title"] for each in await self.world.inbox(who)]

    async def snapshot(self, who: str) -> Mapping[str, Any]:
        """Return what a client knows that heard everything on its socket, by notification."""
        known: dict[str, Any] = {}
        for data in self.world.socket(who):
            if data["type"] in ("notification", "updated"):
                known[data["notification"]["id"]] = data["notification"]
        return known


@asynccontextmanager
async def town(dsn: str, clock: Clock | None = None, **knobs: Any) -> AsyncIterator[Town]:
    """Yield a running world of five people who have nothing to do with each other yet.

    Where feeds are pushed, everybody has read theirs once.
    """
    async with patient_pool(dsn) as pool:
        clock = clock or SystemClock()
        world = World(pool, clock, **knobs)
        index, numbers = LocalGraph(), Numbers(world.db)
        ways = Ways(world.db, index)
        lists = Lists(world.db, clock, world.people, cursors(b"of the tests"), ways)
        suggester = Suggester(numbers, index, Faces(numbers, lists))
        connected = plug_graph(world.graph, lists, suggester)
        posted = posts.plug(world.posts)
        routes = [*connected.routes, *posted.routes, *world.feature.routes]
        async with world.backbone.run(), api_client(routes, world) as client:
            await world.meet("Ada", "Ben", "Cleo", "Dora", "Eve")
            here = Town(world, client, dsn)
            try:
                if world.posts.push is not None:
                    for name in world.ids:
                        await here.feed(name)
                yield here
            finally:
                await world.posts.close()
                await world.all.close()
