"""An in-process client of a few routes, and credentials for it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
from prometheus_client import CollectorRegistry

from nova.kernel.errors import Unauthenticated
from nova.kernel.ids import new_id
from nova.web.actors import Actor, Authenticator, Meeting, ServerKey, User
from nova.web.allowed_hosts import Hosts
from nova.web.api import Admission, Api, Capacity, Elsewhere
from nova.web.clients import Clients
from nova.web.limits import Budgets
from nova.web.routes import Limit, Route

SERVER = "server-key"
"""The bearer of People's server key."""


class People:
    """A small world of credentials: each person's token is the person's own name.

    `People("ada", "ben")`; `people["ada"]` is her id; `bearer("ada")` her headers;
    `bearer(SERVER)` the server's. References are names or ids.
    """

    def __init__(self, *names: str, ids: Mapping[str, UUID] | None = None) -> None:
        self.ids: dict[str, UUID] = {name: new_id() for name in names} | dict(ids or {})
        self.key = ServerKey(new_id(), "test")

    def __getitem__(self, name: str) -> UUID:
        return self.ids[name]

    def known(self, authorization: str) -> Actor | None:
        scheme, _, token = authorization.partition(" ")
        if token == SERVER:
            return self.key
        user = self.ids.get(token) if scheme == "Bearer" else None
        return User(user, token) if user else None

    async def bearer(self, authorization: str) -> Actor:
        actor = self.known(authorization)
        if actor is None:
            raise Unauthenticated("The token is nobody's.")
        return actor

    def counted(self, authorization: str) -> bool:
        return isinstance(self.known(authorization), ServerKey)

    async def user(self, token: str) -> User:
        actor = await self.bearer(f"Bearer {token}")
        if not isinstance(actor, User):
            raise Unauthenticated("The token is no user's.")
        return actor

    async def resolve(self, reference: str) -> UUID | None:
        if reference in self.ids:
            return self.ids[reference]
        return next((one for one in self.ids.values() if str(one) == reference), None)

    async def find_for(self, viewer: UUID, reference: str, meeting: Meeting) -> UUID | None:
        found = await self.resolve(reference)
        return found if meeting is not Meeting.SELF or found == viewer else None


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def api_of(routes: Sequence[Route], authenticator: Authenticator | None = None, **more: Any) -> Api:
    """Return an Api of these routes; `more` are its other arguments."""
    more.setdefault("registry", CollectorRegistry())
    more.setdefault("budgets", Budgets(strangers=Limit("strangers", per_s=1e6, burst=1_000_000)))
    elsewhere = Elsewhere(mounts=more.pop("mounts", {}), fallback=more.pop("fallback", None))
    admission = Admission(
        clients=more.pop("clients", None) or Clients(),
        hosts=more.pop("hosts", None) or Hosts("*"),
        origins=more.pop("origins", ()),
    )
    capacity = Capacity(
        requests=more.pop("most", Capacity().requests),
        bytes=more.pop("most_bytes", Capacity().bytes),
    )
    return Api(
        routes,
        authenticator=authenticator or People(),
        elsewhere=elsewhere,
        admission=admission,
        capacity=capacity,
        **more,
    )


@asynccontextmanager
async def api_client(
    routes: Sequence[Route], authenticator: Authenticator | None = None, **more: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of an Api of these routes; pass headers=bearer("ada") with a request."""
    transport = httpx.ASGITransport(api_of(routes, authenticator, **more))
    async with httpx.AsyncClient(transport=transport, base_url="http://nova.test") as client:
        yield client
