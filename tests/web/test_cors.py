"""Pages of other origins may call when they were named."""

from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from nova.web.actors import Rule
from nova.web.routes import Call, Route
from support.http import api_client

APP = "https://app.example"


async def nothing(call: Call[Any, Any]) -> None:
    return None


ROUTES = [Route(method="GET", path="/x", rule=Rule.PUBLIC, handler=nothing, summary="")]
ASKING = {"origin": APP, "access-control-request-method": "GET"}


async def asked(method: str, origins: Sequence[str], headers: dict[str, str]) -> httpx.Response:
    async with api_client(ROUTES, origins=origins) as client:
        return await client.request(method, "/x", headers=headers)


@pytest.mark.parametrize("origins", [[APP], [APP + "/"], ["*"]])
async def test_a_named_origin_may_call(origins: list[str]) -> None:
    preflight = await asked("OPTIONS", origins, ASKING)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == APP
    assert "GET" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = await asked("GET", origins, {"origin": APP})
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["vary"] == "origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origins", [[], ["https://other.example"], ["https://app.example.org"]])
async def test_others_may_not(origins: list[str]) -> None:
    for method in ("OPTIONS", "GET"):
        answer = await asked(method, origins, ASKING)
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_refusal_can_be_read_by_the_page_too() -> None:
    answer = await asked("DELETE", [APP], {"origin": APP})
    assert answer.status_code == 405
    assert answer.headers["access-control-allow-origin"] == APP
