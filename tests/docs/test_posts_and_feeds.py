"""The guide's commands do what it says."""

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import msgspec

from nova.bench.processes import Server, serving
from support.clients import http_client

GUIDE = Path(__file__).parents[2] / "docs/how-to/posts-and-feeds.md"


async def run(server: Server, commands: str, **variables: str) -> list[dict[str, Any]]:
    """Run commands, and return the answers that they print."""
    environment = os.environ | {
        "nova": f"http://{server.host}:{server.port}",
        "key": server.server_key,
        **variables,
    }
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", commands.replace("curl ", "echo; curl -s ")),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await shell.communicate()
    return [msgspec.json.decode(line) for line in said.splitlines() if line]


async def test_the_commands_post_like_comment_and_read_a_feed() -> None:
    publish, more = re.findall(r"```sh\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    async with serving({}) as server:
        users = [{"external_id": name, "name": name.title()} for name in ("ada", "ben")]
        async with http_client(
            f"http://{server.host}:{server.port}",
            headers={"Authorization": f"Bearer {server.server_key}"},
        ) as backend:
            (await backend.post("/v1/users/bulk", json={"users": users})).raise_for_status()
        [post] = await run(server, publish)
        assert [each["name"] for each in post["mentions"]] == ["Ada"]
        assert post["tags"] == ["harbour"]
        liking, comment, feed = await run(server, more, POST=post["id"])
    assert liking == {"liked": True, "likes": 1}
    assert comment["author"]["name"] == "Ada"
    [only] = feed["data"]
    assert (only["id"], only["likes"], only["comments"]) == (post["id"], 1, 1)
