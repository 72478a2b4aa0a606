"""A database that hangs, or is no longer heard: nobody waits, and no right outlives it."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from nova.bench.proxy import Proxy, proxied
from nova.ports.database import Pool
from support.app import App, like
from support.clients import websocket
from support.deployment import Deployment, deployed
from support.follower import following
from support.waiting import until

LISTENERS = """
select pid from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name = 'nova'
    and (query like 'LISTEN%' or query = 'select' or query like '%backbone.signals where xact%')
"""
BACKENDS = """
select pid from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid() and application_name = 'nova'
"""


@pytest.fixture
def dsn(apart: str) -> str:
    return apart


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def found(pool: Pool, sql: str) -> list[int]:
    return [row["pid"] for row in await pool.fetch(sql)]


@asynccontextmanager
async def behind(dsn: str, folder: Path) -> AsyncIterator[tuple[Proxy, Deployment]]:
    (folder / "proxy").mkdir(parents=True)
    async with (
        proxied(dsn, folder / "proxy") as proxy,
        deployed(folder, NOVA_DATABASE=proxy.dsn) as deployment,
    ):
        yield proxy, deployment


async def opened(app: App, token: str) -> ClientConnection:
    socket = await websocket(app.url.replace("http", "ws") + "/connection/websocket")
    await socket.send(json.dumps({"id": 1, "connect": {"token": token}}))
    assert "connect" in str(await socket.recv())
    return socket


async def closing(socket: ClientConnection) -> int:
    """Return the code with which the server closes a socket."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 0


async def revoke(app: App, token: str) -> None:
    async with app.client() as client:
        answer = await client.post("/v1/tokens/revoke", json={"token": token})
    assert answer.is_success, answer.text


async def ready(app: App) -> bool:
    async with app.client(patient=False) as client:
        return (await client.get("/readyz")).status_code == 200


async def test_behind_a_silent_network_everybody_is_told_to_come_back_and_nothing_is_lost(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with behind(dsn, tmp_path) as (proxy, deployment):
        app = await deployment.start()
        ada, ben = await app.people(2)
        before = [like(to=ben, by=ada) for _ in range(3)]
        async with following(deployment.app, ben) as phone:
            await deployment.send(*before)
            await phone.rung(*before)
            proxy.blackhole = True
            stranger = {"Authorization": f"Bearer nova_sk_{uuid4().hex}"}
            async with app.client(patient=False) as client:
                asked = [
                    *(client.get(f"/v1/users/nobody-{n}") for n in range(40)),
                    *(client.post("/v1/events", json=like(to=ben, by=ada)) for _ in range(20)),
                ]
                answers = await asyncio.gather(*asked)
                assert {answer.status_code for answer in answers} == {503}
                assert all("retry-after" in answer.headers for answer in answers)

                async def no_longer_asked() -> bool:
                    assert (await client.get("/readyz")).status_code == 503
                    metrics = await client.get("/metrics")
                    assert metrics.status_code == 200
                    return "nova_postgres_breaker_open 1.0" in metrics.text

                await until(no_longer_asked)
                assert (await client.get("/metrics", headers=stranger)).status_code == 503
            proxy.blackhole = False
            proxy.reset()
            await until(lambda: ready(app))
            after = like(to=ben, by=ada)
            await deployment.send(after)
            await phone.rung(after)
        await deployment.end()
    assert b"Traceback" not in deployment.output
    assert b"database_hangs" in deployment.output


async def test_stopped_backends_are_not_waited_for(tmp_path: Path, dsn: str, pool: Pool) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn) as deployment:
        app = await deployment.start()
        with stopped(await found(pool, BACKENDS)):
            async with app.client(patient=False) as client:
                answers = await asyncio.gather(
                    *(client.get(f"/v1/users/nobody-{n}") for n in range(40))
                )
                assert {answer.status_code for answer in answers} <= {404, 503}
                # New connections are answered: the server helps itself.
                await until(lambda: ready(app))
                assert (await client.get("/v1/users/nobody-1")).status_code == 404
        assert b"Traceback" not in deployment.output


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_revocation_is_heard_while_the_listening_connection_is_silent(
    tmp_path: Path, dsn: str, pool: Pool, *, elsewhere: bool
) -> None:
    async with deployed(tmp_path / "a", NOVA_DATABASE=dsn) as first:
        (tmp_path / "a").mkdir()
        here = revoking = await first.start()
        async with deployed(tmp_path / "b", NOVA_DATABASE=dsn) as second:
            if elsewhere:
                second.data.mkdir(parents=True)
                second.secret = first.secret
                key = (first.data / "server.key").read_text()
                (second.data / "server.key").write_text(key)
                revoking = await second.start()
            [ada] = await here.people(1)
            token = here.token(ada, jti=str(uuid4()))
            async with await opened(here, token) as socket:
                with stopped(await found(pool, LISTENERS)):
                    await revoke(revoking, token)
                    assert await closing(socket) == 3500


async def test_a_server_that_can_know_nothing_has_its_sockets_connect_anew(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with behind(dsn, tmp_path / "b") as (proxy, cut_off):
        app = await cut_off.start()
        [ada] = await app.people(1)
        token = app.token(ada, jti=str(uuid4()))
        async with await opened(app, token) as socket:
            proxy.blackhole = True
            assert await closing(socket) == 3011
            proxy.blackhole = False
            proxy.reset()
            await until(lambda: ready(app))
