"""The machine's clock jumps by an hour, and back: nothing is lost, and nothing stands still."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nova.web.tokens import mint
from support.app import App, like
from support.clients import http_client
from support.clocks import WallClock, needs_faketime, wall_clock
from support.deployment import Deployment, deployed
from support.follower import Follower, following
from support.waiting import until

pytestmark = needs_faketime

HOUR = timedelta(hours=1)
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@pytest.fixture
def clock() -> Iterator[WallClock]:
    with wall_clock() as clock:
        yield clock


class Life:
    """Ben has a phone, and is left alone from half an hour to one and a half hours from now."""

    def __init__(
        self, deployment: Deployment, clock: WallClock, app: App, people: list[str]
    ) -> None:
        self._deployment = deployment
        self._clock = clock
        self._app = app
        self.ada, self.ben = people

    async def settle_in(self) -> None:
        start, end = (f"{self._clock.now() + n * HOUR / 2:%H:%M}" for n in (1, 3))
        quiet = {"days": {day: [{"start": start, "end": end}] for day in WEEK}}
        async with self._app.client(self.ben) as client:
            device = {"platform": "ios", "token": "6f8a" * 16}
            assert (await client.put("/v1/users/me/devices", json=device)).is_success
            assert (await client.put("/v1/quiet-hours", json=quiet)).is_success
        await self.rule({})

    async def rule(self, policy: dict[str, Any]) -> None:
        async with self._app.client() as client:
            assert (await client.put("/v1/delivery-policies/like", json=policy)).is_success

    async def liked(self, phone: Follower, what: str) -> None:
        """Ada likes something, and Ben's open socket hears of it."""
        event = like(to=self.ben, by=self.ada, id=what, related_entity_id=what)
        await self._deployment.send(event)
        await phone.rung(event)

    async def pushes(self, phase: str, count: int) -> None:
        """Wait until so many pushes are in a phase."""

        async def there() -> bool:
            app = await self._deployment.app()
            async with app.client() as client:
                asked = {"user": self.ben, "phase": phase}
                answer = await client.get("/v1/deliveries", params=asked)
            return len(answer.json()["data"]) == count

        await until(there)

    async def admits(self, token: str) -> httpx.Response:
        app = await self._deployment.app()
        headers = {"Authorization": f"Bearer {token}"}
        async with http_client(app.url, headers=headers) as client:
            return await client.get("/v1/users/me")


async def test_an_hour_forth_and_two_back(tmp_path: Path, clock: WallClock) -> None:
    async with deployed(tmp_path, **clock.environment) as deployment:
        app = await deployment.start()
        life = Life(deployment, clock, app, await app.people(2))
        await life.settle_in()
        short = mint(deployment.secret, life.ben, lifetime_s=1_800)
        async with following(deployment.app, life.ben) as phone:
            await life.liked(phone, "now")
            await life.pushes("done", 1)

            clock.jump(HOUR)
            await life.liked(phone, "in an hour")
            await life.pushes("held", 1)
            refused = await life.admits(short)
            assert refused.status_code == httpx.codes.UNAUTHORIZED
            assert refused.json()["claim"] == "exp"

            clock.jump(-2 * HOUR)
            await life.liked(phone, "an hour ago")
            await life.pushes("done", 2)
            # What gathers digests is due again every second: by no clock of an hour from now.
            await life.rule({"digests": {"push": {"window_s": 0.5}}})
            await life.liked(phone, "gathered")
            await life.pushes("done", 3)

            clock.jump(HOUR)
            await deployment.strike()
            await deployment.gone()
            await deployment.start()
            await life.liked(phone, "after a restart")
            assert (await life.admits(short)).status_code == httpx.codes.OK
            await life.pushes("held", 1)

            clock.jump(2 * HOUR)
            await life.pushes("held", 0)
            assert len({*phone.rings}) == len(phone.rings) == 5
            assert phone.connections == 2  # one before the restart, one after it
    assert b"Traceback" not in deployment.output
