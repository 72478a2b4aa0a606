"""Several workers behind one address: replaced when they end, and restarted one by one."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from nova.ports.database import Pool
from support.app import App, like
from support.books import balance
from support.deployment import Deployment, deployed
from support.follower import following
from support.waiting import until

WORKERS = "2"
STORED = 'nova_notifications_total{outcome="stored"}'


def workers(deployment: Deployment) -> set[int]:
    """Return the process ids of the workers."""
    supervisor = deployment.pid
    found = set()
    for child in Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split():
        with suppress(OSError):  # it may be gone by now
            if b"--worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class Senders:
    """Clients that post one event after the other over connections that are kept alive."""

    def __init__(self, deployment: Deployment, ben: str, ada: str) -> None:
        self.accepted: list[dict[str, Any]] = []
        self.failed: list[str] = []
        self._deployment = deployment
        self._ben, self._ada = ben, ada

    @asynccontextmanager
    async def sending(self, count: int = 4) -> AsyncIterator[None]:
        stop = asyncio.Event()
        app = await self._deployment.app()

        async def send() -> None:
            async with app.client() as client:
                while not stop.is_set():
                    event = like(to=self._ben, by=self._ada)
                    try:
                        answer = await client.post("/v1/events", json=event)
                    except httpx.TransportError as error:
                        self.failed.append(repr(error))
                        continue
                    assert answer.status_code == 202, answer.text
                    self.accepted.append(event)

        tasks = [asyncio.create_task(send()) for _ in range(count)]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def more(self) -> None:
        """Wait until some more were accepted."""
        so_far = len(self.accepted)
        await until(lambda: len(self.accepted) >= so_far + 20)


async def test_workers_are_restarted_one_by_one_and_no_request_fails(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_WORKERS=WORKERS) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        before = workers(deployment)
        assert len(before) == 2
        senders = Senders(deployment, ben, ada)
        async with following(deployment.app, ben) as phone:
            async with senders.sending():
                await senders.more()
                os.kill(deployment.pid, signal.SIGHUP)
                await until(lambda: b"workers_restarted" in deployment.output)
                await senders.more()
            await phone.rung(*senders.accepted)
            assert senders.failed == []
            after = workers(deployment)
            assert len(after) == 2
            assert not after & before
            await balance(pool, delivered=senders.accepted)
            assert sorted(phone.rings) == sorted(event["id"] for event in senders.accepted)


async def test_a_worker_that_is_killed_is_replaced_and_nothing_accepted_is_lost(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_WORKERS=WORKERS) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        victim, other = sorted(workers(deployment))
        events = [like(to=ben, by=ada) for _ in range(60)]
        async with following(deployment.app, ben) as phone:
            sending = [asyncio.create_task(deployment.send(event)) for event in events]
            await phone.rung(events[0])
            os.kill(victim, signal.SIGKILL)
            await asyncio.gather(*sending)
            await phone.rung(*events)
            await until(lambda: len(workers(deployment)) == 2)
            assert other in workers(deployment)
            assert victim not in workers(deployment)
            await balance(pool, delivered=events)
            assert sorted(phone.rings) == sorted(event["id"] for event in events)


async def counted(app: App) -> float:
    """Return how many events the server counts as accepted, whichever worker answers."""
    async with app.client() as client:
        said = (await client.get("/metrics")).text
    (line,) = [each for each in said.splitlines() if each.startswith(STORED)]
    return float(line.rpartition(" ")[2])


async def test_counts_are_those_of_all_workers_and_stay_when_one_is_killed(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_WORKERS=WORKERS) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        events = [like(to=ben, by=ada) for _ in range(40)]
        await asyncio.gather(*map(deployment.send, events))
        await balance(pool, delivered=events)

        async def all_counted() -> bool:
            return await counted(app) == len(events)

        await until(all_counted)
        before = workers(deployment)
        for victim in before:
            os.kill(victim, signal.SIGKILL)
            await until(lambda gone=victim: gone not in workers(deployment))  # type: ignore[misc]
        await until(lambda: len(workers(deployment)) == 2)
        await deployment.send(another := like(to=ben, by=ada))
        await balance(pool, delivered=[*events, another])
        events.append(another)
        await until(all_counted)


async def test_workers_end_with_their_supervisor_when_it_is_asked_and_when_it_is_killed(
    tmp_path: Path,
) -> None:
    async with deployed(tmp_path, NOVA_WORKERS=WORKERS) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        pids = workers(deployment)
        await deployment.strike()
        await deployment.gone()
        await until(lambda: not any(map(alive, pids)))
        await deployment.start()
        await deployment.send(event := like(to=ben, by=ada))
        async with following(deployment.app, ben) as phone:
            await deployment.send(event, another := like(to=ben, by=ada))
            await phone.rung(another)
        pids = workers(deployment)
        assert await deployment.end() == 0
        assert not any(map(alive, pids))


async def test_more_connections_than_the_embedded_database_takes_are_refused_with_the_fix(
    tmp_path: Path,
) -> None:
    async with deployed(tmp_path, NOVA_WORKERS="20") as deployment:
        status, said = await deployment.run("serve")
    assert status == 1
    assert "postgres.connections" in said
    assert "workers" in said


async def test_a_worker_that_cannot_start_ends_the_server_with_its_reason(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    settings = {"NOVA_GRAPH": "neo4j://neo4j:secret@127.0.0.1:9/"}
    async with deployed(
        tmp_path, NOVA_DATABASE=dsn, NOVA_WORKERS=WORKERS, **settings
    ) as deployment:
        status, said = await deployment.run("serve")
    assert status == 1
    assert "A worker did not start" in said
    assert "setting 'graph'" in said
