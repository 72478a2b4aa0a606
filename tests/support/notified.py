"""A small world with notifications in it: real log, real people, a real database."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import msgspec
from prometheus_client import CollectorRegistry

from nova.adapters.postgres.backbone import postgres_backbone
from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.adapters.postgres.pool import PostgresPool
from nova.app.installing import listen
from nova.features import accounts, graph, posts
from nova.features.accounts import store as stored_accounts
from nova.features.accounts.models import Written
from nova.features.accounts.people import People
from nova.features.graph import FOLLOWEES, SIGNAL, Graph, Sights, Silences
from nova.features.notifications import Knobs, Notifications, Others, plug
from nova.features.notifications.models import Event, Results
from nova.kernel.clock import Clock, SystemClock
from nova.kernel.ids import new_id
from nova.ports.channels import Publication
from nova.web import access
from nova.web.actors import Meeting, ServerKey, User
from support.postgres import patient_pool
from support.waiting import until

SERVER = "server-key"
UNDECIDED = """
select count(*) from backbone.intake a
 where not exists (select from notifications.inbox i where i.id = a.record)
   and not exists (select from notifications.suppressed s where s.id = a.record)
"""


class World:
    """Ada, Ben and Cleo, and whatever happens to them."""

    def __init__(
        self, pool: PostgresPool, clock: Clock, feeds: posts.Knobs | None = None, **knobs: Any
    ) -> None:
        self.registry = registry = CollectorRegistry()
        self.pool = pool
        self.backbone = postgres_backbone(
            pool, clock=clock, registry=registry, broadcast=PostgresBroadcast(pool)
        )
        self.db = self.backbone.db
        self.people = People(self.db)
        self.graph = Graph(self.db, clock, Silences(self.db, clock))
        self.sights = sights = Sights(self.db, clock, self.graph.followees, self.graph.silences)
        self.posts = posts.House(
            self.db, clock, self.people, sights, cursor_secret=b"of the tests", knobs=feeds
        )
        self.all = Notifications(
            self.db,
            clock,
            self.people,
            registry,
            others=Others(
                blocks=self.graph.silences,
                subjects=[
                    accounts.subjects(self.db),
                    *graph.subjects(self.db),
                    posts.subjects(self.db, sights),
                ],
                dead_letters=self.backbone.dead_letters,
                failures=self.backbone.dead_letters,
                reach=knobs.pop("reach", None),
                afterwards=knobs.pop("afterwards", None),
            ),
            signing_secret=b"of the tests",
            knobs=Knobs(**knobs),
        )
        self.feature = plug(self.all)
        listen(self.feature, self.backbone)
        listen(posts.plug(self.posts), self.backbone)
        for name, forget in (
            ("user", self.people.forget),
            (SIGNAL, self.graph.silences.forget),
            (FOLLOWEES, self.graph.followees.forget),
        ):
            self.backbone.signals.on(name, forget)
        self.published: list[Publication] = []
        self.backbone.on_publication(self.published.extend)
        self.ids: dict[str, UUID] = {}

    async def meet(self, *names: str, locale: str | None = None) -> None:
        """Make users whose external ids are their names in lower case."""
        async with self.db.transaction() as tx:
            users = [
                Written(
                    external_id=name.lower(),
                    name=name,
                    avatar_url=None,
                    locale=locale,
                    timezone=None,
                    profile=None,
                )
                for name in names
            ]
            await stored_accounts.upsert(tx, [new_id() for _ in names], users)
        self.ids |= await self.people.resolve([name.lower() for name in names])

    async def send(self, *events: Event) -> Results:
        return await self.all.ingest.accept(events)

    async def like(self, id_: str, *, of: str = "ben", by: str = "ada") -> Results:
        return await self.send(event(id_, recipient_id=of, actor_id=by))

    async def settled(self) -> None:
        """Wait until every accepted event was decided."""

        async def nothing_left() -> bool:
            return bool(await self.pool.value(UNDECIDED) == 0)

        await until(nothing_left)

    def socket(self, name: str) -> list[dict[str, Any]]:
        """Return what an open socket of this person got, in the order of offsets."""
        channel = f"user:{self.ids[name]}"
        mine = sorted((p for p in self.published if p.channel == channel), key=lambda p: p.offset)
        assert [each.offset for each in mine] == list(range(1, len(mine) + 1))
        return [msgspec.json.decode(each.data) for each in mine]

    async def told(self, name: str, count: int) -> list[dict[str, Any]]:
        """Wait until that many publications reached a person's socket, and return them."""

        async def enough() -> bool:
            return len(self.socket(name)) >= count

        await until(enough)
        return self.socket(name)

    async def inbox(self, name: str, **which: Any) -> list[dict[str, Any]]:
        page = await self.all.inbox.list(self.ids[name], limit=200, **which)
        return [msgspec.json.decode(msgspec.json.encode(each)) for each in page.data]

    # What an Authenticator does, so that a World can stand in front of the API.
    def known(self, authorization: str) -> ServerKey | User | None:
        token = authorization.removeprefix("Bearer ")
        if token == SERVER:
            return ServerKey(UUID(int=1), "test")
        user = self.ids.get(token)
        return User(user, token) if user else None

    async def bearer(self, authorization: str) -> ServerKey | User:
        actor = self.known(authorization)
        assert actor is not None
        return actor

    async def user(self, token: str) -> User:
        return User(self.ids[token], token)

    async def resolve(self, reference: str) -> UUID | None:
        return (await self.people.resolve([reference])).get(reference)

    async def find_for(self, viewer: UUID, reference: str, meeting: Meeting) -> UUID | None:
        return await access.find_for(self.people, self.sights, viewer, reference, meeting)


def event(id_: str, **fields: Any) -> Event:
    return Event(**({"id": id_, "event_type": "like", "recipient_id": "ben"} | fields))


def statuses(results: Results) -> Sequence[str]:
    return [each.status for each in results.results]


@asynccontextmanager
async def world(dsn: str, *, clock: Clock | None = None, **knobs: Any) -> AsyncIterator[World]:
    """Yield a running world with Ada, Ben and Cleo."""
    async with patient_pool(dsn) as pool:
        one = World(pool, clock or SystemClock(), **knobs)
        async with one.backbone.run():
            try:
                await one.meet("Ada", "Ben", "Cleo")
                yield one
            finally:
                await one.all.close()
