"""The accounts of one process on a real database: what tests of credentials and users stand on."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from zoneinfo import available_timezones

import httpx

from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.backbone.signals import Signals
from nova.feature import Feature
from nova.features.accounts import Accounts, Credentials, Erasures, People, plug
from nova.features.accounts.models import NewUser, User
from nova.features.graph import Followees, Sights, Silences
from nova.kernel.clock import Clock, SystemClock
from nova.ports.database import Pool
from nova.web.auth import Auth
from nova.web.tokens import Tokens
from support.http import api_client, bearer

SECRET = "a shared secret of thirty-two chars"


class Process:
    """One of the processes of a deployment; `features` are the others besides accounts."""

    def __init__(
        self,
        pool: Pool,
        *,
        features: Sequence[Feature] = (),
        creates: bool = False,
        strangers: bool = False,
    ) -> None:
        self.clock: Clock = SystemClock()
        self.db = Database(pool, PostgresOutbox(), wrote=lambda _: None, published=lambda _: None)
        self.signals = Signals(pool)
        self.people = People(self.db)
        self.tokens = Tokens(clock=self.clock, secret=SECRET, needs_subject=not strangers)
        self.credentials = Credentials(
            self.db, self.people, tokens=self.tokens, secret=SECRET, clock=self.clock
        )
        self.accounts = Accounts(
            self.db,
            self.people,
            clock=self.clock,
            zones=available_timezones(),
            features=lambda: [*features, self.feature],
        )
        self.erasures = Erasures(self.db, self.clock, self.accounts, steps=list)
        self.feature = plug(
            self.accounts, self.credentials, self.erasures, cursor_secret=b"cursors"
        )
        self.auth = Auth(
            tokens=self.tokens,
            keys=self.credentials,
            people=self.people,
            revocations=self.credentials,
            sights=Sights(self.db, self.clock, Followees(self.db), Silences(self.db, self.clock)),
            clock=self.clock,
            token_creates_users=creates,
        )

    async def start(self) -> None:
        self.signals.on("user", self.people.forget)
        self.signals.on("user", self.auth.forget_users)
        self.signals.on("key", self.auth.forget_keys)
        self.signals.on("revoked", self.auth.forget_tokens)
        await self.signals.start()

    async def user(self, external_id: str) -> User:
        return await self.accounts.create(NewUser(external_id=external_id))

    async def server(self) -> dict[str, str]:
        """Return headers with a new server key."""
        return bearer((await self.credentials.create_key("test")).secret)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        async with api_client(self.feature.routes, self.auth) as client:
            yield client
