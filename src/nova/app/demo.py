"""The composition root's part about the demo: its host app."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from nova.features import posts
from nova.features.accounts import Accounts, Credentials
from nova.features.accounts.models import Change, NewDevice, NewToken, Upsert
from nova.features.deliveries import Deliveries
from nova.features.deliveries.policies import Policy
from nova.features.demo import DemoPerson
from nova.features.graph import EdgeImport
from nova.features.notifications import Notifications
from nova.features.posts.models import NewPost

MOST_SHOWN = 30
"""Parcels on the page."""


class DemoApp:
    """The demo's host app: it calls the features as a backend calls the API."""

    def __init__(
        self,
        people: Accounts,
        credentials: Credentials,
        *,
        notifications: Notifications,
        deliveries: Deliveries,
        edges: EdgeImport,
        written: posts.House,
    ) -> None:
        self._people = people
        self._credentials = credentials
        self._notifications = notifications
        self._deliveries = deliveries
        self._edges = edges
        self._posts = written.posts

    async def person(self, external_id: str, name: str) -> DemoPerson:
        await self._people.upsert([Upsert(external_id=external_id, name=name)])
        minted = await self._credentials.mint(NewToken(user=external_id, lifetime_s=86_400))
        return DemoPerson(minted.user, external_id, name, minted.token)

    async def follow(self, edges: Path) -> None:
        await self._edges.run(edges, lambda _progress, _problems: None)

    async def post(self, author: UUID, text: str) -> None:
        await self._posts.publish(author, NewPost(text=text))

    async def has_posted(self, author: UUID) -> bool:
        return bool((await self._posts.of_author(None, author, limit=1, cursor=None)).data)

    async def reach(self, person: UUID, *, email: str, phone: str) -> None:
        await self._people.change(person, Change(email=email), by_server=True)
        await self._people.register(person, NewDevice(platform="ios", token=phone))

    async def pace(self, kind: str, policy: Mapping[str, Any]) -> None:
        await self._deliveries.policies.put(kind, msgspec.convert(policy, Policy))

    async def outbox(self, person: UUID) -> object:
        return await self._deliveries.log.outbox(person, MOST_SHOWN)

    async def tell(self, event: Mapping[str, Any]) -> None:
        await self._notifications.ingest.body(msgspec.json.encode(event))

    async def retract(self, event: str) -> None:
        await self._notifications.retraction.retract(event)

    async def trace(self, event: str) -> object:
        return await self._notifications.traces.event(event)
