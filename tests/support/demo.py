"""`nova demo` in a process of its own, and its page in a browser."""

import asyncio
import re
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

from playwright.async_api import Browser, Page, expect

from support.browser import opened
from support.waiting import SOON_S


class Demo:
    """What `nova demo` printed: where it is, and the file with its server key."""

    def __init__(self, process: Process, said: str, errors: IO[bytes]) -> None:
        self.said = said
        self.address = _found(r"^ +(http\S+)/$", said)
        self.key = Path(_found(r"^ +cat (.+)$", said))
        self.port = int(self.address.rpartition(":")[2])
        self._process = process
        self._errors = errors

    async def press_ctrl_c(self) -> tuple[int, str]:
        """Interrupt it, and return its exit status and what it said from then on."""
        self._errors.seek(0, 2)
        before = self._errors.tell()
        self._process.send_signal(signal.SIGINT)
        said, _ = await self._process.communicate()
        self._errors.seek(before)
        return await self._process.wait(), (said + self._errors.read()).decode()


def _found(pattern: str, said: str) -> str:
    match = re.search(pattern, said, re.MULTILINE)
    assert match is not None, said
    return match[1]


async def run_to_end(*arguments: str) -> tuple[int, str]:
    """Run `nova demo` where it refuses to start; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nova", "demo", *arguments), stdout=PIPE, stderr=STDOUT
    )
    said, _ = await process.communicate()
    return await process.wait(), said.decode()


@asynccontextmanager
async def run_demo(*arguments: str) -> AsyncIterator[Demo]:
    """Run `nova demo`, and yield it once it has said all that it says."""
    with tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "nova", "demo", *arguments), stdout=PIPE, stderr=errors
        )
        assert process.stdout is not None
        try:
            said = ""
            async with asyncio.timeout(SOON_S):
                while "Ctrl-C" not in said:
                    line = await process.stdout.readline()
                    assert line, said
                    said += line.decode()
            yield Demo(process, said, errors)
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


@asynccontextmanager
async def demo_page(browser: Browser, demo: Demo, **how: Any) -> AsyncIterator[Page]:
    """Yield the page once both people are connected, as nobody has seen it before."""
    async with opened(browser, demo.address, **how) as page:
        await expect(page.locator("#state")).to_have_text("connected")
        await expect(page.locator("#follow")).to_be_enabled()
        yield page
