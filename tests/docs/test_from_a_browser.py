"""The JavaScript of the guides runs on a page of another origin, in a real browser."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from nova.bench.processes import Server, running
from nova.web.tokens import mint
from support.browser import chromium, needs_chromium, opened
from support.clients import http_client

ROOT = Path(__file__).parents[2]
GUIDES = ("README.md", "docs/tutorials/first-notification.md")
SECRET = "a secret of thirty-two characters"
READY = (
    "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
    "Connection: close\r\n\r\n"
)


def script(guide: str) -> str:
    [found] = re.findall(r"```js\n(.*?)```", (ROOT / guide).read_text("utf-8"), re.DOTALL)
    return str(found)


@asynccontextmanager
async def app(program: str, token: str) -> AsyncIterator[str]:
    """Serve the host app's page and its tokens, at an origin of its own; yield the origin."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)[1]
        page = f'<!doctype html><body><script type="module">{program}</script>'
        kind, body = ("text/plain", token) if asked == b"/nova-token" else ("text/html", page)
        if asked == b"/favicon.ico":
            body = ""
        raw = body.encode()
        writer.write(READY.format(kind=kind, length=len(raw)).encode() + raw)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def tell(server: Server, id_: str) -> None:
    url = f"http://{server.host}:{server.port}"
    async with http_client(url, headers={"authorization": f"Bearer {server.server_key}"}) as client:
        users = [{"external_id": "ada", "name": "Ada"}, {"external_id": "ben", "name": "Ben"}]
        (await client.post("/v1/users/bulk", json={"users": users})).raise_for_status()
        like = {"id": id_, "event_type": "like", "recipient_id": "ben", "actor_id": "ada"}
        (await client.post("/v1/events", json=like)).raise_for_status()


def refusals(folder: Path) -> list[dict[str, str]]:
    lines = (folder / "log").read_bytes().splitlines()
    events = [msgspec.json.decode(line) for line in lines if line.startswith(b"{")]
    return [each for each in events if each["event"] == "origin_refused"]


@needs_chromium
@pytest.mark.parametrize("guide", GUIDES)
async def test_a_page_of_an_allowed_origin_shows_what_happens(guide: str, tmp_path: Path) -> None:
    port = "http://127.0.0.1:8000"
    program, token = script(guide), mint(SECRET, "ben")
    assert port in program
    settings = {"NOVA_HTTP_ALLOWED_ORIGINS": "*"}
    async with running(tmp_path, SECRET, settings) as server, chromium() as browser:
        await tell(server, "like-1")
        program = program.replace(port, f"http://{server.host}:{server.port}")
        async with app(program, token) as origin, opened(browser, origin) as page:
            await page.get_by_text("Ada liked your post").first.wait_for()
            await tell(server, "like-2")
            second = page.get_by_text("Ada liked your post").nth(1)
            await second.wait_for()


@needs_chromium
async def test_a_page_of_another_origin_is_told_why_and_so_is_the_operator(tmp_path: Path) -> None:
    token = mint(SECRET, "ben")
    async with running(tmp_path, SECRET, {}) as server, chromium() as browser:
        url = f"http://{server.host}:{server.port}"
        program = f"""
          const said = [];
          for (let n = 0; n < 2; n++) {{
            await fetch("{url}/v1/notifications", {{ headers: {{ Authorization: "Bearer x" }} }})
              .catch(() => said.push("call refused"));
            await new Promise((done) => {{
              const socket = new WebSocket("{url.replace("http", "ws")}/connection/websocket");
              socket.onerror = () => done(said.push("socket refused"));
            }});
          }}
          const asked = {{ method: "POST", body: "" }};
          const answer = await fetch("{url}/connection/http_stream", asked);
          said.push((await answer.json()).hint);
          document.body.append(said.join("; "));
        """
        tolerated = ("403", "CORS", "net::ERR_FAILED", "WebSocket")
        async with (
            app(program, token) as origin,
            opened(browser, origin, tolerates=tolerated) as page,
        ):
            said = page.get_by_text("call refused; socket refused; call refused; socket refused")
            await said.wait_for()
            assert "http.allowed_origins" in await said.inner_text()
        told = refusals(tmp_path)
        assert {each["origin"] for each in told} == {origin}
        assert 1 <= len(told) <= 2  # once by the API, once by the socket
        assert "http.allowed_origins" in told[0]["fix"]
