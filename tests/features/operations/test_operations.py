"""What operators ask of a running process."""

from collections.abc import AsyncIterator

import httpx
import pytest

from nova.features.operations import Engines, Watch, plug
from nova.kernel.clock import SystemClock
from nova.kernel.errors import Unavailable
from support.http import SERVER, api_client, bearer
from support.notified import World, world

KEY = bearer(SERVER)


@pytest.fixture
async def here(dsn: str) -> AsyncIterator[World]:
    async with world(dsn) as one:
        yield one


@pytest.fixture
async def api(here: World) -> AsyncIterator[httpx.AsyncClient]:
    async def gone() -> str:
        raise Unavailable("nobody listens")

    engines = Engines({"database": here.pool.ping}, {"mail": gone})
    watch = Watch(here.registry, SystemClock(), list, lambda: 3)
    async with api_client(plug(here.backbone, lambda: engines, watch).routes, here) as client:
        yield client


async def test_consumers_tell_what_they_did_and_how_far_they_lag(
    here: World, api: httpx.AsyncClient
) -> None:
    await here.like("e0")
    await here.settled()
    consumer, subjects = (await api.get("/v1/consumers", headers=KEY)).json()["data"]
    assert (subjects["consumer"], subjects["events"]) == ("subjects", 0)
    assert (consumer["consumer"], consumer["events"], consumer["batches"]) == (
        "notifications",
        1,
        1,
    )
    assert (consumer["failures"], consumer["dead_letters"]) == (0, 0)
    assert consumer["lag_s"] >= 0


async def test_the_overview_counts_what_was_decided_and_times_it(
    here: World, api: httpx.AsyncClient
) -> None:
    await here.like("e0")
    await here.settled()
    overview = (await api.get("/v1/overview", headers=KEY)).json()
    assert overview["sockets"] == 3
    assert [each["name"] for each in overview["rates"]] == ["events", "requests", "deliveries"]
    assert [each["name"] for each in overview["consumers"]] == ["notifications", "subjects"]
    [published] = overview["timings"]
    assert (published["feature"], published["what"], published["count"]) == (
        "notifications",
        "published",
        1,
    )
    assert 0 < published["p50_ms"] <= published["p95_ms"] <= published["p99_ms"]


async def test_every_engine_is_asked_and_a_sick_one_says_why(api: httpx.AsyncClient) -> None:
    database, mail = (await api.get("/v1/engines", headers=KEY)).json()["data"]
    assert (database["name"], database["needed"], database["healthy"]) == ("database", True, True)
    assert database["says"]
    assert mail == {
        "name": "mail",
        "needed": False,
        "healthy": False,
        "says": "Unavailable: nobody listens",
    }
