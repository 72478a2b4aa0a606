"""Alive, ready, and the reasons why not."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Gauge

from nova.web.probes import Readiness, healthz, metrics, read_only
from support.http import api_client


async def here() -> str:
    return "PostgreSQL 18"


async def gone() -> str:
    raise ConnectionRefusedError("nobody listens")


async def silent() -> str:
    await asyncio.Event().wait()
    return "never"


async def test_ready_when_everything_answers() -> None:
    async with api_client([], mounts={"/readyz": Readiness({"truth": here})}) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "checks": {"truth": "PostgreSQL 18"}}


async def test_what_does_not_answer_is_named() -> None:
    pings = {"truth": here, "search": gone, "graph": silent}
    ready = Readiness(pings, within_s=0.05)
    async with api_client([], mounts={"/readyz": ready, "/healthz": healthz}) as client:
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {
            "status": "unready",
            "checks": {
                "truth": "PostgreSQL 18",
                "search": "ConnectionRefusedError: nobody listens",
                "graph": "no answer within 0.05 s",
            },
        }
        assert (await client.get("/healthz")).status_code == 200


async def test_what_can_be_spared_is_shown_and_keeps_nobody_away() -> None:
    ready = Readiness({"truth": here}, spared={"graph": gone})
    async with api_client([], mounts={"/readyz": ready}) as client:
        answer = await client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {
        "truth": "PostgreSQL 18",
        "graph": "ConnectionRefusedError: nobody listens",
    }


async def test_draining_is_not_ready() -> None:
    ready = Readiness({"truth": here})
    ready.drain()
    async with api_client([], mounts={"/readyz": ready}) as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
async def test_probes_are_answered_when_requests_are_not(path: str) -> None:
    mounts = {"/readyz": Readiness({}), "/healthz": healthz}
    async with api_client([], mounts=mounts, most=0) as client:
        assert (await client.get(path)).status_code == 200
        assert (await client.get("/other")).status_code == 503


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "CONNECT"])
async def test_a_fixed_path_names_the_methods_it_answers_to(method: str) -> None:
    async with api_client([], mounts={"/healthz": read_only(healthz)}) as client:
        answer = await client.request(method, "/healthz")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_fixed_path_answers_head_without_a_body() -> None:
    registry = CollectorRegistry()
    Gauge("one", "One", registry=registry)
    mounts = {"/healthz": read_only(healthz), "/metrics": read_only(metrics(registry))}
    async with api_client([], mounts=mounts) as client:
        for path in mounts:
            whole, head = await client.get(path), await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(whole.content)) != "0"
            options = await client.options(path)
            assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
