"""Too few of something: requests are turned away, and the server goes on by itself."""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from socket import create_connection
from uuid import uuid4

import httpx
import pytest

from nova.app import all_rooms
from nova.backbone.migrations import Room, migrate
from nova.ports.database import Pool
from nova.web.file_descriptors import reserve
from support.app import App, like
from support.deployment import deployed
from support.waiting import until

PAGE = resource.getpagesize()
SPARE_MB = 256
LARGE = 200
"""Requests of a megabyte each."""
FEW = 200
"""File descriptors; a server at rest has about 60."""
WAITS = """
select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and query like $1
"""
PASSES = """
select count(*) = 0 from pg_stat_activity where wait_event_type = 'Lock' and query like $1
"""


@pytest.fixture
async def app(tmp_path: Path, dsn: str) -> AsyncIterator[App]:
    async with deployed(tmp_path, NOVA_DATABASE=dsn) as deployment:
        yield await deployment.start()


@contextmanager
def crowd(app: App, size: int) -> Iterator[None]:
    """Connect often and say little; the server may hang up."""
    where = (app.server.host, app.server.port)
    with ExitStack() as stack:
        for _ in range(size):
            stack.enter_context(closing(create_connection(where))).sendall(b"GET ")
        yield


def descriptors(app: App) -> int:
    return len(list(Path(f"/proc/{app.server.pid}/fd").iterdir()))


async def test_a_server_without_file_descriptors_serves_those_it_has_and_recovers(
    app: App,
) -> None:
    ada, ben = await app.people(2)

    async def turned_away() -> bool:
        """Ask while there is no room; again, where the silent crowd was cut off before."""
        async with app.client(patient=False) as late:
            with crowd(app, 2 * FEW):
                await until(lambda: descriptors(app) >= FEW - reserve(FEW))
                assert await ready(late)  # a probe gets in, in the place of one that asks nothing
                refused = await late.get("/v1/users/me")
        if refused.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return False
        assert refused.json()["code"] == "overloaded"
        assert refused.headers["retry-after"]
        return True

    async with app.phone(ben) as phone, app.client() as client:
        assert (await client.get("/readyz")).status_code == 200
        resource.prlimit(app.server.pid, resource.RLIMIT_NOFILE, (FEW, FEW))
        with crowd(app, 2 * FEW):
            await until(lambda: descriptors(app) >= FEW - reserve(FEW))
            event = like(to=ben, by=ada)
            answer = await client.post("/v1/events", json=[event])  # who is in is served
            assert answer.status_code == 202, answer.text
            await phone.until(lambda phone: phone.rings == [event["id"]])
            await until(lambda: descriptors(app) < FEW)
        await until(turned_away)  # and who is not, hears why
    async with app.client() as newcomer:
        assert (await newcomer.get("/readyz")).status_code == 200
    await until(lambda: descriptors(app) < FEW / 2)


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


def in_mb(app: App) -> int:
    """Return how much address space the server has."""
    return int(Path(f"/proc/{app.server.pid}/statm").read_text("ascii").split()[0]) * PAGE >> 20


async def test_a_server_short_of_memory_turns_large_requests_away_and_goes_on(
    tmp_path: Path, dsn: str
) -> None:
    """All at once, the requests would need several times what the server may have."""
    settings = {"NOVA_DATABASE": dsn, "NOVA_HTTP_BODIES_MB": "16"}
    async with deployed(tmp_path, **settings) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        bound = in_mb(app) + SPARE_MB << 20
        resource.prlimit(app.server.pid, resource.RLIMIT_AS, (bound, bound))
        large = [like(to=ada, by=ada, metadata={"text": "x" * 7_500}) for _ in range(130)]

        async def post() -> int:
            events = [event | {"id": uuid4().hex} for event in large]
            async with app.client(patient=False) as client:
                return (await client.post("/v1/events", json=events)).status_code

        async with app.phone(ben) as phone:
            statuses = Counter(await asyncio.gather(*(post() for _ in range(LARGE))))
            assert {*statuses} == {202, 503}, statuses
            event = like(to=ben, by=ada)
            await app.send(event)
            await phone.until(lambda phone: phone.rings == [event["id"]])
    assert b"Traceback" not in deployment.output


LOCKING = "alter table posts.posts add column colour text"


async def test_a_change_of_the_schema_fails_no_request(
    app: App, pool: Pool, tmp_path: Path
) -> None:
    """A reader holds the table for long, as a dump does; the change has to wait, nobody else."""
    room = Room("garden", tmp_path / "schema")
    room.folder.mkdir()
    (room.folder / "0001_colour.sql").write_text(LOCKING)
    statuses: Counter[int] = Counter()
    ended = asyncio.Event()

    async def write() -> None:
        async with app.client(patient=False) as client:
            while not ended.is_set():
                said = {"text": "Hello."}
                answer = await client.post("/v1/posts", params={"user": "ada"}, json=said)
                statuses[answer.status_code] += 1

    async with app.client() as client:
        assert (await client.post("/v1/users", json={"external_id": "ada"})).status_code == 201
    writing = [asyncio.create_task(write()) for _ in range(4)]
    async with pool.begin() as dump:
        await dump.fetch("select from posts.posts limit 1")
        migrating = asyncio.create_task(migrate(pool, [*all_rooms(), room]))
        for _ in range(3):
            await until(lambda: pool.value(WAITS, "alter table%"))
            await until(lambda: pool.value(PASSES, "alter table%"))
        assert not migrating.done()
    assert [each.number for each in await migrating] == [1]
    ended.set()
    await asyncio.gather(*writing)
    assert set(statuses) == {201}
