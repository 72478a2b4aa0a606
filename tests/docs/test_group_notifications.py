"""The guide's snippets group events and take them back, as a page shows it."""

import asyncio
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from docs.test_from_a_browser import app as host_app
from nova.bench.processes import Server, running
from nova.web.tokens import mint
from support.browser import chromium, needs_chromium, opened

GUIDE = (Path(__file__).parents[2] / "docs/how-to/group-notifications.md").read_text("utf-8")
SECRET = "a secret of thirty-two characters"
HERE = "http://127.0.0.1:8000"
READY = "socket.addEventListener('message', () => { document.title = 'ready'; });"
CALLS = """
import { liked, unliked } from "./backend.mjs";
const results = [];
for (const who of ["ada", "cleo"]) results.push(await liked("photo-8", "ben", who));
await unliked("photo-8", "ada");
await unliked("photo-8", "ada");
console.log(results.map((each) => each.status).join());
"""


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


async def ran(server: Server, *command: str) -> str:
    environment = os.environ | {
        "nova": f"http://{server.host}:{server.port}",
        "key": server.server_key,
        "NOVA_KEY": server.server_key,
    }
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return said.decode()


async def people(server: Server) -> None:
    users = [{"external_id": name, "name": name.title()} for name in ("ada", "ben", "cleo", "dora")]
    async with httpx.AsyncClient(
        base_url=f"http://{server.host}:{server.port}",
        headers={"Authorization": f"Bearer {server.server_key}"},
        timeout=60,
    ) as backend:
        (await backend.post("/v1/users/bulk", json={"users": users})).raise_for_status()


def here(server: Server) -> Callable[[str], str]:
    return lambda program: program.replace(HERE, f"http://{server.host}:{server.port}")


@needs_chromium
async def test_a_page_shows_a_group_grow_and_shrink(tmp_path: Path) -> None:
    send, take_back = snippets("sh")
    backend, show = snippets("js")
    settings = {"NOVA_HTTP_ALLOWED_ORIGINS": "*"}
    async with running(tmp_path, SECRET, settings) as server, chromium() as browser:
        await people(server)
        program = here(server)(show) + READY
        async with (
            host_app(program, mint(SECRET, "ben")) as origin,
            opened(browser, origin) as page,
        ):
            await page.wait_for_function("document.title === 'ready'", timeout=120_000)
            told = await ran(server, "sh", "-c", send)
            assert told.count('"accepted":1') == 3
            assert "warnings" not in told
            await page.get_by_text("Ada and 2 others liked your photo").wait_for(timeout=120_000)
            assert await page.locator("li").count() == 1
            await ran(server, "sh", "-c", take_back)
            await page.get_by_text("Cleo and 1 other liked your photo").wait_for(timeout=120_000)

            node = shutil.which("node")
            if node is None:
                pytest.skip("node is not installed")
            (tmp_path / "backend.mjs").write_text(here(server)(backend))
            (tmp_path / "calls.mjs").write_text(CALLS)
            assert await ran(server, node, str(tmp_path / "calls.mjs")) == "accepted,accepted\n"
            await page.get_by_text("Cleo liked your photo", exact=True).wait_for(timeout=120_000)
            for who in ("cleo", "dora"):
                await ran(server, "sh", "-c", take_back.replace("7-ada", f"7-{who}"))
            await page.wait_for_function(
                "document.querySelectorAll('li').length === 1", timeout=120_000
            )
            assert await page.locator("li").inner_text() == "Cleo liked your photo"
