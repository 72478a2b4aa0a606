"""A graph whose index may not take the memory it needs: the database answers, and says so."""

from pathlib import Path

import httpx

from nova.adapters.postgres.pool import open_pool
from support.app import App
from support.deployment import deployed
from support.waiting import until

# More people than have room in one megabyte.
CROWD = """
with made as (
    insert into accounts.users (id, external_id, name)
    select gen_random_uuid(), 'crowd-' || n, 'Crowd' from generate_series(1, 30000) n returning id
)
insert into graph.people (user_id) select id from made
"""


async def test_a_full_index_lets_the_database_answer_and_says_so(tmp_path: Path, dsn: str) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH_MEMORY_MB="1") as deployment:
        app = await deployment.start()
        async with app.client() as client:

            async def said() -> tuple[int, str]:
                answer = await client.get("/readyz")
                return answer.status_code, answer.json()["checks"]["graph"]

            async def is_filled() -> bool:
                return (await said())[1].endswith(" of 1 MB")

            await until(is_filled)
            assert (await deployment.run("doctor"))[0] == 0
            await triangle(app, client)
            async with open_pool(dsn, size=1, wait_s=5.0) as pool:
                await pool.run(CROWD)
            late = await app.people(2)
            await follow(client, *late)  # a number beyond all of them

            async def is_full() -> bool:
                return "more than 1 MB" in (await said())[1]

            await until(is_full)
            assert (await said())[0] == 200
            assert b"graph_index_full" in deployment.output
            metrics = (await client.get("/metrics")).text
            assert "nova_graph_index_full 1.0" in metrics
            assert "nova_graph_index_bytes 0.0" in metrics
            await suggested(client)
            status, told = await deployment.run("doctor")
            assert (status, "raise the setting 'graph_memory_mb'" in told) == (1, True), told
        # It does not come back by itself, and a start finds out again.
        await deployment.end()
        app = await deployment.start()
        async with app.client() as client:
            await until(lambda: deployment.output.count(b"graph_index_full") == 2)
            await suggested(client)


async def triangle(app: App, client: httpx.AsyncClient) -> None:
    users = [{"external_id": name, "name": name.title()} for name in ("ada", "ben", "cleo")]
    (await client.post("/v1/users/bulk", json={"users": users})).raise_for_status()
    await follow(client, "ada", "ben")
    await follow(client, "ben", "cleo")


async def follow(client: httpx.AsyncClient, one: str, other: str) -> None:
    (await client.put(f"/v1/users/{one}/following/{other}")).raise_for_status()


async def suggested(client: httpx.AsyncClient) -> None:
    """Ada may know Cleo, whoever answers."""
    found = (await client.get("/v1/users/ada/suggestions?limit=1")).json()["data"]
    assert [each["reason"]["says"] for each in found] == ["followed by Ben"]
    assert found[0]["person"]["external_id"] == "cleo"
