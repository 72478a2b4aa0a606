"""The README's commands do what it says."""

import asyncio
import os
import re
import sys
from itertools import count
from pathlib import Path

from nova.bench.processes import Server, serving
from support.programs import run as run_program

ROOT = Path(__file__).parents[2]


def blocks(language: str, holding: str, page: str = "README.md") -> list[str]:
    text = (ROOT / page).read_text("utf-8")
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return [each for each in found if holding in each]


def block(language: str, holding: str) -> str:
    [found] = blocks(language, holding)
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


async def test_the_tutorial_goes_from_people_to_the_inbox() -> None:
    settings, *steps = blocks("sh", "$", page="docs/tutorials/first-notification.md")
    async with serving({}) as server:
        here = settings.replace("$(cat nova-data/server.key)", server.server_key)
        here = here.replace("127.0.0.1:8000", f"{server.host}:{server.port}")
        for step, said in zip(steps, ("created", "accepted", "outcome", "data"), strict=True):
            told = await run(server, "sh", "-c", here + step)
            answer = (await told.communicate())[0].decode()
            assert f'"{said}"' in answer
            assert answer.endswith("}\n")


async def test_a_backend_in_javascript_sends_the_same(tmp_path: Path) -> None:
    async with serving({}) as server:
        program = block("javascript", "like-2").replace(
            "nova-data/server.key", str(tmp_path / "key")
        )
        program = program.replace("127.0.0.1:8000", f"{server.host}:{server.port}")
        (tmp_path / "key").write_text(server.server_key)
        assert '"accepted"' in (await run_program("JavaScript", program, tmp_path)).replace(
            "'", '"'
        )
