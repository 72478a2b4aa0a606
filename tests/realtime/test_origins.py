"""A page of another origin gets no socket, and is told why."""

import msgspec
import pytest
from websockets.exceptions import InvalidStatus

from support.clients import http_client, websocket
from support.http import People
from support.memory import MemoryChannels
from support.sockets import make_hub, sockets

PEOPLE = People("ada")
FOREIGN = {"origin": "https://app.example"}
STREAMS = [("POST", "/connection/http_stream"), ("GET", "/connection/sse"), ("POST", "/emulation")]


async def test_a_refused_handshake_carries_a_problem() -> None:
    async with sockets(make_hub(MemoryChannels(), PEOPLE), PEOPLE) as server:
        with pytest.raises(InvalidStatus) as refused:
            await websocket(server.url, additional_headers=FOREIGN)
    response = refused.value.response
    assert response.status_code == 403
    assert response.headers["content-type"] == "application/problem+json"
    said = msgspec.json.decode(response.body or b"")
    assert said["code"] == "origin_not_allowed"
    assert "http.allowed_origins" in said["hint"]


@pytest.mark.parametrize(("method", "path"), STREAMS)
async def test_a_refused_stream_says_why_to_the_page_itself(method: str, path: str) -> None:
    async with (
        sockets(make_hub(MemoryChannels(), PEOPLE), PEOPLE) as server,
        http_client(f"http://{server.host}:{server.port}") as client,
    ):
        answer = await client.request(method, path, headers=FOREIGN)
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
        assert answer.headers["access-control-allow-origin"] == FOREIGN["origin"]
        preflight = await client.options(path, headers=FOREIGN)
        assert preflight.status_code == 403
        assert "access-control-allow-origin" not in preflight.headers
        wrong = await client.request("DELETE", path)
        assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
        assert wrong.headers["allow"] == ", ".join(sorted({method, "OPTIONS"}))


@pytest.mark.parametrize(("method", "path"), STREAMS)
async def test_pages_of_an_allowed_origin_are_let_in(method: str, path: str) -> None:
    async with (
        sockets(make_hub(MemoryChannels(), PEOPLE), PEOPLE, [FOREIGN["origin"]]) as server,
        http_client(f"http://{server.host}:{server.port}") as client,
    ):
        preflight = await client.options(path, headers=FOREIGN)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-methods"] == method
