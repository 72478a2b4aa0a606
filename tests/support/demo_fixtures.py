"""Fixtures: a demo that runs, and its page."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page

from support.demo import Demo, demo_page, run_demo


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with run_demo("--port", "0") as demo:
        yield demo


@pytest.fixture
async def page(browser: Browser, demo: Demo) -> AsyncIterator[Page]:
    async with demo_page(browser, demo) as page:
        yield page
