"""Debian's Chromium, for pages as somebody sees them who opens an address."""

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from support.waiting import SOON_S

CHROMIUM = Path("/usr/bin/chromium")

SOON_MS = SOON_S * 1_000
"""For a machine that is busy: nothing passes the sooner or the later for it."""
expect.set_options(timeout=SOON_MS)

needs_chromium = pytest.mark.skipif(
    not CHROMIUM.exists() and not os.environ.get("CI"), reason="chromium is not installed"
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"], timeout=SOON_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def opened(
    browser: Browser, address: str, *, tolerates: Collection[str] = (), **how: Any
) -> AsyncIterator[Page]:
    """Yield the page at an address, as nobody has seen it before; fail if it complains.

    Complaints that hold one of the texts in `tolerates` are passed over; `how` is the context's,
    such as its viewport.
    """
    context = await browser.new_context(**how)
    context.set_default_timeout(SOON_MS)
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
    page.on("dialog", lambda dialog: broken.append(f"dialog: {dialog.message}"))
    try:
        await page.goto(address)
        yield page
    finally:
        await context.close()
    complaints = [each for each in broken if not any(text in each for text in tolerates)]
    assert not complaints, "\n".join(complaints)
