"""Neo4j goes away: answers go on, nothing is lost, and it catches up by itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import httpx
import pytest

from engines.neo4j import Server
from nova.adapters.neo4j.graph import open_graph
from nova.ports.database import Pool
from nova.ports.graph import GraphUnavailable
from support.app import App
from support.deployment import deployed
from support.graphs import PATIENT_S, followed, own_neo4j
from support.waiting import until

FOLLOWS = """
select p.number, array_agg(f.followee) filter (where f.followee is not null) as followees
  from graph.people p left join graph.follows f on f.follower = p.number group by p.number
"""


@pytest.fixture
async def neo4j() -> AsyncIterator[Server]:
    with own_neo4j() as server:
        await asyncio.to_thread(server.start)
        yield server


class Crowd:
    """People who follow and unfollow each other, and ask whom they may know."""

    def __init__(self, app: App, people: list[str]) -> None:
        self.app = app
        self.people = people
        self.follows: set[tuple[str, str]] = set()
        self.answers = 0
        self.tired = False
        self._random = Random(5)  # noqa: S311  # an example

    async def live(self) -> None:
        async with self.app.client() as client:
            while not self.tired:
                await self.act(client)

    async def act(self, client: httpx.AsyncClient) -> None:
        one, other = self._random.sample(self.people, 2)
        starts = self._random.random() < 0.7
        path = f"/v1/users/{one}/following/{other}"
        answer = await client.request("PUT" if starts else "DELETE", path)
        assert answer.status_code == 200, answer.text
        (self.follows.add if starts else self.follows.discard)((one, other))
        answer = await client.get(f"/v1/users/{one}/suggestions")
        assert answer.status_code == 200, answer.text
        known = {each["person"]["external_id"] for each in answer.json()["data"]}
        assert not known & {whom for who, whom in self.follows if who == one}
        self.answers += 1

    async def goes_on(self, answers: int) -> None:
        wanted = self.answers + answers
        await until(lambda: self.answers >= wanted)


async def is_whole(neo4j: Server, pool: Pool) -> bool:
    """Return whether Neo4j holds exactly the follows of the truth."""
    async with open_graph(neo4j.url, answer_s=PATIENT_S) as index:
        try:
            return all(
                [
                    await followed(index, row["number"]) == set(row["followees"] or ())
                    for row in await pool.fetch(FOLLOWS)
                ]
            )
        except GraphUnavailable:
            return False


async def metric(app: App, name: str) -> float:
    async with app.client() as client:
        said = (await client.get("/metrics")).text
    found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


async def ready(app: App) -> tuple[int, str]:
    async with app.client() as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()["checks"]["graph"]


LAG = 'nova_log_lag_seconds{consumer="graph-index"}'


async def test_answers_go_on_without_neo4j_and_it_catches_up(
    tmp_path: Path, dsn: str, pool: Pool, neo4j: Server
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH=neo4j.url) as deployment:
        app = await deployment.start()
        crowd = Crowd(app, await app.people(12))
        living = asyncio.create_task(crowd.live())
        await crowd.goes_on(40)
        await until(lambda: is_served(app))
        assert (await ready(app))[1].startswith("Neo4j 5.26")
        assert (await deployment.run("doctor"))[0] == 0

        await asyncio.to_thread(neo4j.kill)
        before = await metric(app, "nova_graph_fallbacks_total")
        await crowd.goes_on(60)
        assert await metric(app, "nova_graph_fallbacks_total") > before
        await until(lambda: lags(app))
        status, said = await ready(app)
        assert (status, "cannot be reached" in said) == (200, True), said
        status, told = await deployment.run("doctor")
        assert (status, "FAIL graph index: Neo4j: It cannot be reached" in told) == (1, True), told

        await asyncio.to_thread(neo4j.start)
        await crowd.goes_on(40)
        crowd.tired = True
        await living
        await until(lambda: is_whole(neo4j, pool))
        assert await pool.value("select count(*) from graph.follows") == len(crowd.follows)

        async def current() -> bool:
            return await metric(app, LAG) == 0

        await until(current)
        assert (await deployment.run("doctor"))[0] == 0
    assert b"Traceback" not in deployment.output
    password = neo4j.url.split(":")[2].split("@")[0]
    assert password.encode() not in deployment.output


async def test_answers_go_on_while_neo4j_hangs(
    tmp_path: Path, dsn: str, pool: Pool, neo4j: Server
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH=neo4j.url) as deployment:
        app = await deployment.start()
        crowd = Crowd(app, await app.people(6))
        async with app.client() as client:
            for _ in range(10):
                await crowd.act(client)
            neo4j.pause()
            try:
                for _ in range(20):
                    await crowd.act(client)
                status, said = await ready(app)
                assert (status, "no answer within" in said or "did not answer" in said) == (
                    200,
                    True,
                )
            finally:
                neo4j.resume()
        await until(lambda: is_whole(neo4j, pool))


async def lags(app: App) -> bool:
    return await metric(app, LAG) > 0


async def is_served(app: App) -> bool:
    """Return whether Neo4j answers: then nothing falls back."""
    before = await metric(app, "nova_graph_fallbacks_total")
    async with app.client() as client:
        [someone, *_] = (await client.get("/v1/users")).json()["data"]
        await client.get(f"/v1/users/{someone['id']}/suggestions")
    return await metric(app, "nova_graph_fallbacks_total") == before


async def test_a_neo4j_that_lost_everything_is_filled_again(
    tmp_path: Path, dsn: str, pool: Pool, neo4j: Server
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH=neo4j.url) as deployment:
        app = await deployment.start()
        crowd = Crowd(app, await app.people(8))
        async with app.client() as client:
            for _ in range(40):
                await crowd.act(client)
        await until(lambda: is_whole(neo4j, pool))
        async with open_graph(neo4j.url, answer_s=PATIENT_S) as index:
            await index.clear()
            assert not await is_whole(neo4j, pool)
            status, said = await deployment.run("rebuild", "graph")
            assert (status, said.splitlines()[-1].startswith("The graph index was filled")) == (
                0,
                True,
            ), said
            assert await is_whole(neo4j, pool)
            await index.begin(empty=True, force=True)  # as an empty server would be: no place
            async with index._writing() as tx:
                await tx.run("match (i:NovaIndex) delete i")
        await until(lambda: is_whole(neo4j, pool))


@pytest.mark.parametrize(
    ("url", "status", "told"),
    [
        ("neo4j://neo4j:s3cret@127.0.0.1:1", 1, "cannot be reached"),
        ("neo4j://neo4j:s3cret@:1", 1, "names no host"),
        ("http://neo4j:s3cret@127.0.0.1:1", 78, "graph: expected an address"),
    ],
)
async def test_nova_refuses_to_start_without_the_graph_it_was_told_of(
    tmp_path: Path, dsn: str, url: str, status: int, told: str
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH=url) as deployment:
        ended, said = await deployment.run("serve")
        assert (ended, told in said) == (status, True), said
        assert "s3cret" not in said
        assert "Traceback" not in said


async def test_a_wrong_password_is_told_as_such(tmp_path: Path, dsn: str, neo4j: Server) -> None:
    port = neo4j.url.rpartition(":")[2]
    url = f"neo4j://neo4j:s3cret@127.0.0.1:{port}"
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH=url) as deployment:
        ended, said = await deployment.run("serve")
        assert (ended, "refuses user and password" in said) == (1, True), said
        assert "s3cret" not in said


async def test_a_missing_driver_is_named_with_what_brings_it(tmp_path: Path, dsn: str) -> None:
    (tmp_path / "neo4j.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'neo4j'\", name='neo4j')\n"
    )
    async with deployed(
        tmp_path, NOVA_DATABASE=dsn, NOVA_GRAPH="neo4j://neo4j:s3cret@127.0.0.1:1"
    ) as deployment:
        ended, said = await deployment.run("serve")
        assert (ended, "Install nova-social[neo4j]." in said) == (1, True), said


async def test_the_index_in_process_is_rebuilt_by_whoever_has_it(tmp_path: Path) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        await app.people(2)

        def fills() -> int:
            return deployment.output.count(b"graph_index_filled")

        await until(lambda: fills() == 1)
        status, said = await deployment.run("rebuild", "graph")
        assert (status, said.startswith("Every running server fills")) == (0, True), said
        await until(lambda: fills() == 2)
