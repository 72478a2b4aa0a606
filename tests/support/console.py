"""The operators' console, as the tests sign in to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Page, expect

from support.app import App
from support.browser import opened


@asynccontextmanager
async def console(browser: Browser, app: App, view: str = "", **how: Any) -> AsyncIterator[Page]:
    """Sign in, and look at a view."""
    async with opened(browser, f"{app.url}/console#{view}", **how) as page:
        await sign_in(page, app.server.server_key)
        await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        yield page


async def sign_in(page: Page, key: str) -> None:
    await page.get_by_label("Server key").fill(key)
    await page.keyboard.press("Enter")


async def reachable(app: App, user: str) -> None:
    """Give somebody a phone and a mailbox, and send likes at once."""
    async with app.client() as client:
        users = {"users": [{"external_id": user, "email": "ben@example.org", "name": "Ben"}]}
        assert (await client.post("/v1/users/bulk", json=users)).is_success
        device = {"platform": "ios", "token": "6f8a" * 16}
        assert (await client.put(f"/v1/users/{user}/devices", json=device)).is_success
        assert (await client.put("/v1/delivery-policies/like", json={})).is_success
