"""A table that somebody locked: who needs it is turned away soon, and nobody else waits."""

import asyncio
from pathlib import Path

import httpx

from nova.ports.database import Pool
from nova.settings import Settings
from support.app import App
from support.deployment import deployed

CROWD = 30
"""More than the server has connections."""


async def post(app: App) -> httpx.Response:
    async with app.client() as client:
        return await client.post("/v1/posts", params={"user": "ada"}, json={"text": "Hello."})


async def test_who_needs_a_locked_table_is_turned_away_and_told_to_come_back(
    tmp_path: Path, dsn: str, pool: Pool
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn) as deployment:
        app = await deployment.start()
        async with app.client() as client:
            created = await client.post("/v1/users", json={"external_id": "ada"})
            assert created.status_code == 201
            async with pool.begin() as others:
                await others.run("lock table posts.posts in access exclusive mode")
                # The lock outlasts the answers: nothing but the server's own patience ends them.
                refused = await asyncio.gather(*(post(app) for _ in range(CROWD)))
                assert (await client.get("/v1/users/ada")).status_code == 200
                assert (await client.get("/readyz")).status_code == 200
            assert {answer.status_code for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            told = {answer.json()["detail"] for answer in refused}
            assert "The database is waiting for a lock." in told
            assert told <= {"The database is waiting for a lock.", "The database is busy."}
        assert (await post(app)).status_code == 201


def test_a_lock_is_waited_for_less_than_a_quarter_of_a_second() -> None:
    assert Settings().postgres.lock_timeout_s < 0.25
