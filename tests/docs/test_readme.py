"""The README's commands do what it says."""

import asyncio
import os
import re
import sys
from itertools import count
from pathlib import Path

from nova.bench.processes import Server, serving

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def block(language: str, holding: str) -> str:
    blocks: list[str] = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    [found] = [each for each in blocks if holding in each]
    return found


async def run(server: Server, *command: str) -> asyncio.subprocess.Process:
    environment = os.environ | {"NOVA_TOKENS_SECRET": server.token_secret}
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )


async def test_the_commands_make_a_notification_that_the_listener_prints() -> None:
    async with serving({}) as server:
        address = f"{server.host}:{server.port}"
        shell = block("sh", "curl").replace("$(cat nova-data/server.key)", server.server_key)
        program = block("python", "Ben")
        program = program.replace('[".venv/bin/nova"', f'["{sys.executable}", "-m", "nova"')
        program = program.replace("import asyncio", "import sys, functools, asyncio")
        program = program.replace("print(", "functools.partial(print, flush=True)(")
        people, *rest = re.split(r"(?=curl )", shell.replace("127.0.0.1:8000", address))[1:]
        setting = shell.replace("127.0.0.1:8000", address).split("curl", 1)[0]
        created = await run(server, "sh", "-c", setting + people)
        assert b'"created"' in (await created.communicate())[0]

        listening = await run(
            server, sys.executable, "-c", program.replace("127.0.0.1:8000", address)
        )
        assert listening.stdout is not None
        try:
            for number in count(2):  # until Ben's socket is open, and hears a like
                told = await run(server, "sh", "-c", setting + "".join(rest))
                answers = (await told.communicate())[0].decode()
                assert '"stored"' in answers or '"pending"' in answers
                try:
                    line = await asyncio.wait_for(listening.stdout.readline(), 1)
                except TimeoutError:
                    rest = [re.sub(r"like-\d+", f"like-{number}", each) for each in rest]
                    continue
                assert line.decode().strip() == "Ada liked your post"
                return
        finally:
            listening.kill()
            await listening.wait()
