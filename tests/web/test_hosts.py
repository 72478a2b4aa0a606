"""Which names the server answers to, and which pages may call it."""

from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from nova.web.actors import Rule
from nova.web.allowed_hosts import MOST_TOLD, Hosts
from nova.web.clients import Clients
from nova.web.metrics_access import guarded
from nova.web.probes import healthz, metrics, read_only
from nova.web.routes import Call, Route
from support.http import SERVER, People, api_client, bearer


async def nothing(call: Call[Any, Any]) -> None:
    return None


ROUTES = [Route(method="GET", path="/x", rule=Rule.PUBLIC, handler=nothing, summary="")]
HOSTS = ["nova.example", "192.0.2.1"]
PASS = [
    "localhost",
    "localhost:8000",
    "LocalHost:1",
    "nova.localhost:8000",
    "127.0.0.1:8000",
    "[::1]:8000",
    "192.168.1.5",
    "nova.example",
    "NOVA.example.:443",
]
FAIL = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "nova.example.evil",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "xlocalhost",
    "evil.example@localhost",
    "evil.example/@localhost",
    "localhost/.evil.example",
    "localhost?evil.example",
    "localhost#evil.example",
    "localhost\\.evil.example",
    "local\thost",
    "localhost, evil.example",
    "[::1",
    "",
]


@pytest.mark.parametrize("path", ["/x", "/healthz", "/elsewhere"])
@pytest.mark.parametrize(("host", "passes"), [(h, True) for h in PASS] + [(h, False) for h in FAIL])
async def test_only_names_of_its_own_are_answered(path: str, host: str, passes: bool) -> None:
    mounts = {"/healthz": read_only(healthz)}
    async with api_client(ROUTES, mounts=mounts, hosts=Hosts(HOSTS)) as client:
        for _ in range(2):
            answer = await client.get(path, headers={"host": host})
            assert (answer.status_code != 421) is passes
    if not passes:
        assert answer.json()["code"] == "host_not_allowed"
        assert "http.allowed_hosts" in answer.json()["hint"]


async def test_a_star_allows_every_name() -> None:
    async with api_client(ROUTES, hosts=Hosts(["*"])) as client:
        assert (await client.get("/x", headers={"host": "any.example"})).status_code == 204


async def test_every_refused_name_is_logged_once_and_there_is_an_end() -> None:
    async with api_client(ROUTES, hosts=Hosts()) as client:
        with capture_logs() as logs:
            for number in range(MOST_TOLD + 20):
                for _ in range(2):
                    await client.get("/x", headers={"host": f"evil-{number}.example"})
    told = [each["host"] for each in logs if each["event"] == "host_refused"]
    assert len(told) == len(set(told)) == MOST_TOLD


async def test_a_refused_preflight_names_the_setting() -> None:
    asked = {"origin": "https://app.example", "access-control-request-method": "GET"}
    async with api_client(ROUTES) as client:
        with capture_logs() as logs:
            for _ in range(3):
                answer = await client.options("/x", headers=asked)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
        assert "http.allowed_origins" in answer.json()["hint"]
        assert [each["origin"] for each in logs if each["event"] == "origin_refused"] == [
            "https://app.example"
        ]
        own = await client.options("/x", headers=asked | {"origin": "http://nova.test"})
        assert own.status_code == 204


async def test_an_unnamed_proxy_is_told_once() -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        shown: list[bool] = []
        clients = Clients()
        clients.seen = lambda shown=shown: shown.append(True)  # type: ignore[misc]
        async with api_client(ROUTES, clients=clients) as client:
            with capture_logs() as logs:
                await client.get("/x")
                assert shown == []
                for _ in range(3):
                    await client.get("/x", headers={name: "198.51.100.1"})
        told = [each for each in logs if each["event"] == "proxy_not_named"]
        assert len(told) == 1
        assert "http.trusted_proxies" in told[0]["fix"]
        assert shown


async def test_a_named_proxy_is_nothing_to_speak_of() -> None:
    async with api_client(ROUTES, clients=Clients(["127.0.0.1/32"])) as client:
        with capture_logs() as logs:
            await client.get("/x", headers={"X-Forwarded-For": "198.51.100.1"})
    assert logs == []


async def metrics_status(local: bool, **headers: str) -> httpx.Response:
    people = People("ada")
    clients = Clients()
    shown = guarded(metrics(CollectorRegistry()), people, clients, token="t" * 32, local=local)
    async with api_client([], people, mounts={"/metrics": read_only(shown)}) as client:
        return await client.get("/metrics", headers={"host": "localhost"} | headers)


PASSED_ON = ["x-forwarded-for", "x-forwarded-host", "forwarded", "via", "cf-connecting-ip"]


@pytest.mark.parametrize(
    ("headers", "local", "public"),
    [
        ({}, 200, 401),
        ({"host": "127.0.0.1:8000"}, 200, 401),
        ({"host": "nova.test"}, 401, 401),
        *(({name: "198.51.100.1"}, 401, 401) for name in PASSED_ON),
        (bearer("t" * 32), 200, 200),
        (bearer("t" * 31), 401, 401),
        (bearer(SERVER), 200, 200),
        (bearer("ada"), 401, 401),
        (bearer("x"), 401, 401),
    ],
)
async def test_metrics_are_for_this_machine_and_for_who_has_a_key(
    headers: dict[str, str], local: int, public: int
) -> None:
    for is_local, status in ((True, local), (False, public)):
        answer = await metrics_status(is_local, **headers)
        assert answer.status_code == status
        if status == 401:
            assert answer.headers["www-authenticate"] == "Bearer"
