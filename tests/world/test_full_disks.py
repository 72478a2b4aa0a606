"""A disk is full: what was accepted stays, reads go on, and it heals once there is room."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from support.app import App, like
from support.deployment import Deployment, deployed
from support.disks import Disk, small_disk
from support.follower import following
from support.waiting import until

AT_ONCE = 50
BULK = {"text": "x" * 3_000}


@asynccontextmanager
async def on_a_small_disk(
    folder: Path, place: str, megabytes: int
) -> AsyncIterator[tuple[Deployment, Disk]]:
    """A deployment, with one folder of its PostgreSQL on a disk of its own."""
    async with deployed(folder) as deployment:
        assert (await deployment.run("migrate"))[0] == 0
        with small_disk(deployment.data / "postgres/postgres/data" / place, megabytes) as disk:
            try:
                yield deployment, disk
            finally:
                await deployment.close()


async def refusal(app: App, events: list[dict[str, Any]]) -> str | None:
    """Send events once; return why they were refused, as it should be, or None if they were not."""
    async with app.client(patient=False) as client:
        answer = await client.post("/v1/events", json=events)
    if answer.status_code == httpx.codes.ACCEPTED:
        return None
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["code"] == "database_unavailable"
    return str(answer.json()["detail"])


class Feeder:
    """Sends likes of Ada's to Ben until Nova takes no more of them."""

    def __init__(self, app: App, ben: str, ada: str) -> None:
        self._app = app
        self._ben = ben
        self._ada = ada
        self.taken: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []

    async def once(self, count: int = AT_ONCE) -> str | None:
        events = [
            like(to=self._ben, by=self._ada, related_entity_id=uuid4().hex, metadata=BULK)
            for _ in range(count)
        ]
        why = await refusal(self._app, events)
        (self.taken if why is None else self.refused).extend(events)
        return why

    async def feed(self) -> str:
        """Return why it was refused in the end."""
        while (why := await self.once()) is None:
            pass
        return why

    @property
    def all(self) -> list[dict[str, Any]]:
        return [*self.taken, *self.refused]


async def test_a_full_data_disk_refuses_writes_and_serves_reads(tmp_path: Path) -> None:
    async with on_a_small_disk(tmp_path, "base", 100) as (deployment, disk):
        app = await deployment.start()
        ada, ben = await app.people(2)
        feeder = Feeder(app, ben, ada)
        async with following(deployment.app, ben) as phone:
            assert await feeder.once() is None
            await phone.rung(*feeder.taken)
            disk.fill()
            assert await feeder.feed() == "The database's disk is full."
            async with app.client(ben, patient=False) as client:
                for path in ("/v1/notifications", "/v1/notifications/counts", "/readyz"):
                    assert (await client.get(path)).status_code == httpx.codes.OK
            disk.clear()
            await deployment.send(*feeder.refused)
            await phone.rung(*feeder.all)
            assert sorted(phone.rings) == sorted(each["id"] for each in feeder.all)
        assert (await app.counts(ben))["unread"] == len(feeder.all)
    assert b"Traceback" not in deployment.output


async def test_a_full_disk_of_the_write_ahead_log_stops_postgresql_until_there_is_room(
    tmp_path: Path,
) -> None:
    async with on_a_small_disk(tmp_path, "pg_wal", 64) as (deployment, disk):
        app = await deployment.start()
        ada, ben = await app.people(2)
        feeder = Feeder(app, ben, ada)
        async with following(deployment.app, ben) as phone:
            assert await feeder.once() is None
            await phone.rung(*feeder.taken)
            disk.fill()
            await feeder.feed()
            await until(lambda: b"postgres_not_restarted" in deployment.output)
            assert await feeder.once(1) is not None
            disk.clear()
            await deployment.send(*feeder.refused)
            await phone.rung(*feeder.all)
            assert sorted(phone.rings) == sorted(each["id"] for each in feeder.all)
        assert (await app.counts(ben))["unread"] == len(feeder.all)
        assert (await deployment.app()).server.pid == app.server.pid
    assert b"Traceback" not in deployment.output
