"""The OpenAPI document as tools read it: a linter, and generators of clients."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from nova.bench.processes import Server, serving
from support.clients import http_client
from support.node import node_with_packages

FOLDER = Path(__file__).parent / "js"
USE = """
import type { paths } from "./nova";

type Body = paths["/v1/events"]["post"]["requestBody"]["content"]["application/json"];
const event: Body = { id: "like-1", event_type: "like", recipient_id: "ben" };
const batch: Body = { events: [event] };
const cloud: Body = {
  specversion: "1.0", id: "1", source: "/posts/7", type: "like",
  datacontenttype: "application/json", data: { recipient_id: "ben" },
};
// @ts-expect-error: an event says whom to tell
const nobody: Body = { id: "like-1", event_type: "like" };
console.log(event, batch, cloud, nobody);
"""
CALLS = """
import os
from nova_client import AuthenticatedClient
from nova_client.api.events import post_events
from nova_client.api.users import post_users
from nova_client.models import CloudData, CloudEvent, Event, NewUser

client = AuthenticatedClient(base_url=os.environ["NOVA"], token=os.environ["TOKEN"])
print(post_users.sync(client=client, body=NewUser(external_id="ben", name="Ben")).name)
event = Event(id="like-1", event_type="like", recipient_id="ben")
cloud = CloudEvent(
    specversion="1.0", id="1", source="/a", type_="like", data=CloudData(recipient_id="ben")
)
for body in (event, [event, cloud], Event(id="x", event_type="none", recipient_id="ben")):
    answer = post_events.sync(client=client, body=body)
    results = getattr(answer, "results", None)
    print([one.status.value for one in results] if results else answer.code)
"""


class Described(NamedTuple):
    """A server, and the file with its OpenAPI document."""

    server: Server
    url: str
    file: Path


@pytest.fixture(scope="module")
async def described(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Described]:
    file = tmp_path_factory.mktemp("openapi") / "openapi.json"
    async with serving({}) as server:
        url = f"http://{server.host}:{server.port}"
        async with http_client(url) as client:
            file.write_bytes((await client.get("/openapi.json")).content)
        yield Described(server, url, file)


async def said(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a program that has to succeed; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=os.environ | variables, stdout=PIPE, stderr=STDOUT
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    return printed.decode()


async def test_the_linter_has_nothing_to_say(described: Described) -> None:
    node = node_with_packages(FOLDER)
    spectral = FOLDER / "node_modules/@stoplight/spectral-cli/dist/index.js"
    rules = ("--ruleset", FOLDER / "spectral.yaml", "--fail-severity", "hint")
    found = await said(node, spectral, "lint", described.file, *rules, cwd=FOLDER)
    assert found.strip() == "No results with a severity of 'hint' or higher found!"


async def test_types_for_typescript_hold_what_bodies_hold(
    described: Described, tmp_path: Path
) -> None:
    node = node_with_packages(FOLDER)
    modules = FOLDER / "node_modules"
    generator = modules / "openapi-typescript/bin/cli.js"
    types = tmp_path / "nova.ts"
    printed = await said(node, generator, described.file, "--output", types, cwd=FOLDER)
    assert "warn" not in printed.lower()
    (tmp_path / "use.ts").write_text(USE, "utf-8")
    options = "--strict --noEmit --lib es2022,dom --module es2022 --moduleResolution bundler"
    await said(node, modules / "typescript/bin/tsc", *options.split(), "use.ts", cwd=tmp_path)


async def test_a_generated_client_for_python_talks_to_the_server(
    described: Described, tmp_path: Path
) -> None:
    client = tmp_path / "nova_client"
    printed = await said(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", described.file, "--output-path", client, "--fail-on-warning"),
        cwd=tmp_path,
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    assert "warning" not in printed.lower()
    modules = [
        ".".join(file.relative_to(tmp_path).with_suffix("").parts) for file in client.rglob("*.py")
    ]
    assert len(modules) > 100
    every = "".join(f"import {module}\n" for module in modules if "__init__" not in module)
    await said(sys.executable, "-W", "error", "-c", every, cwd=tmp_path)
    credentials = {"NOVA": described.url, "TOKEN": described.server.server_key}
    answers = await said(sys.executable, "-c", CALLS, cwd=tmp_path, **credentials)
    assert answers.split("\n")[:4] == [
        *("Ben", "['accepted']", "['duplicate', 'accepted']", "unknown_type"),
    ]
