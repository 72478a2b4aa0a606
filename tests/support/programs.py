"""What a page shows to be copied, run as somebody would who copied it."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

import pytest

PROGRAMS = {"curl": "sh", "Python": sys.executable, "JavaScript": "node"}
SUFFIXES = {"curl": "sh", "Python": "py", "JavaScript": "mjs"}


async def run(language: str, text: str, folder: Path, **variables: str) -> str:
    """Run a call with these variables of the environment, and return what it printed."""
    program = shutil.which(PROGRAMS[language])
    if program is None:
        pytest.skip(f"{PROGRAMS[language]} is not installed")
    script = folder / f"call.{SUFFIXES[language]}"
    script.write_text(text, "utf-8")
    process = await asyncio.create_subprocess_exec(
        program,
        script,
        env=os.environ | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, wrong = await process.communicate()
    assert process.returncode == 0, wrong.decode()
    return said.decode()
