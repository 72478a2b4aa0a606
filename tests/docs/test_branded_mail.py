"""Every snippet of the guide about branded mail runs, against a whole server."""

import json
import os
import re
import shutil
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from nova.bench.processes import running
from nova.features.deliveries.mail.models import LAYOUT_EXAMPLE
from support.app import App

GUIDE = (Path(__file__).parents[2] / "docs/how-to/send-branded-mail.md").read_text("utf-8")
SECRET = "a secret of thirty-two characters"
LOGO: Any = LAYOUT_EXAMPLE["logo"]


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


async def ran(app: App, folder: Path, *command: str) -> str:
    """Run a command as a reader of the guide does; fail if it fails."""
    known = {"nova": app.url, "key": app.server.server_key}
    process = await create_subprocess_exec(
        *command, cwd=folder, env=dict(os.environ) | known, stdout=PIPE, stderr=PIPE
    )
    out, wrong = await process.communicate()
    assert process.returncode == 0, (command, wrong.decode())
    return out.decode()


@pytest.mark.skipif(
    not shutil.which("node") and not os.environ.get("CI"), reason="node is not installed"
)
async def test_every_snippet_does_what_the_guide_says(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b64decode(LOGO["image"]))
    words, trial = snippets("sh")
    (layout,), (preview,), (html,) = snippets("python"), snippets("js"), snippets("html")
    (tmp_path / "preview.mjs").write_text(preview)
    async with running(tmp_path, SECRET, {}) as server:
        app = App(server)
        assert json.loads(await ran(app, tmp_path, "bash", "-c", words))["type"] == "like"
        assert (await ran(app, tmp_path, sys.executable, "-c", layout)).strip() == "Harbour"
        seen = await ran(app, tmp_path, "node", "preview.mjs")
        assert seen.startswith("أعجب \u2068Grace Hopper\u2069 بمنشورك rtl ")
        tried, caught = (await ran(app, tmp_path, "bash", "-c", trial)).splitlines()
        assert json.loads(tried)["verdict"] == "sent"
        (mail,) = json.loads(caught)["data"]
        assert mail["mail"]["subject"] == "Ada Lovelace likes My first post"
        assert "Harbour Ltd, 1 Pier Road, Lisbon" in mail["mail"]["text"]
        async with app.client() as client:
            put = await client.put("/v1/mail-layout", json={"html": html, "name": "Harbour"})
            assert put.is_success, put.text
            wrong = {"templates": {"en": {"subject": "{titel}"}}}
            refused = (await client.put("/v1/mail-templates/like", json=wrong)).json()
            (shown,) = snippets("json")
            said = json.loads(shown)
            assert {name: refused[name] for name in said} == said
