"""A whole server in a process of its own, as the tests of this folder meet it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from nova.bench.processes import Server, serving
from support.app import App
from support.browser import chromium


@pytest_asyncio.fixture(scope="session")
async def server() -> AsyncIterator[Server]:
    """One server for all tests that leave it as they found it."""
    async with serving({"NOVA_NAMESPACES": '[{"name": "room", "publish": true}]'}) as running:
        yield running


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as one:
        yield one


@pytest.fixture
def app(server: Server) -> App:
    return App(server)
