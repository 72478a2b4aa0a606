"""The API's page in a browser: what it shows can be copied, and does what it says."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from nova.app import all_routes, built
from nova.ports.database import Pool
from nova.settings import Settings, Tokens
from nova.web.examples import example
from nova.web.openapi import document
from support.app import App
from support.browser import needs_chromium, opened
from support.programs import PROGRAMS, run


@pytest.fixture
async def page(browser: Browser, app: App) -> AsyncIterator[Page]:
    async with opened(
        browser, f"{app.url}/docs", permissions=["clipboard-read", "clipboard-write"]
    ) as page:
        yield page


@needs_chromium
@pytest.mark.parametrize("language", PROGRAMS)
async def test_a_call_is_copied_and_does_what_it_says(
    page: Page, app: App, language: str, tmp_path: Path
) -> None:
    operation = page.locator("#op-post_events")
    await operation.get_by_role("button", name=language).click()
    await expect(page.locator(".call pre:visible").first).to_have_attribute("data-of", language)
    await operation.get_by_role("button", name="Copy").click()
    await expect(operation.get_by_role("button", name="Copied")).to_be_visible()
    text = await page.evaluate("navigator.clipboard.readText()")
    assert f"{app.url}/v1/events" in text
    said = await run(language, text, tmp_path, TOKEN=app.server.server_key)
    answer = msgspec.json.decode(said)
    assert answer["results"][0]["status"] in {"accepted", "duplicate"}


@needs_chromium
async def test_where_there_is_no_clipboard_a_call_is_selected(page: Page) -> None:
    """As over plain HTTP from another machine, where browsers have none."""
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    operation = page.locator("#op-post_events")
    await operation.get_by_role("button", name="Copy").click()
    await expect(operation.get_by_role("button", name="Selected")).to_be_visible()
    shown = await operation.locator("pre:visible").nth(1).inner_text()
    assert await page.evaluate("getSelection().toString()") == shown


@needs_chromium
async def test_an_operation_is_found_by_its_words(page: Page) -> None:
    await page.get_by_label("Find an operation").fill("server key revoke")
    links = page.locator("nav li:visible")
    await expect(links).to_have_count(1)
    await links.get_by_role("link").click()
    await expect(page.locator("#op-delete_keys_key")).to_be_in_viewport()


async def test_the_example_of_every_body_is_one_that_its_route_takes(pool: Pool) -> None:
    secrets = Tokens(secret="s" * 32, signing_secret="t" * 32)
    async with built(Settings(tokens=secrets), pool) as house:
        routes = all_routes(house)
    described = document(routes, version="1")
    examined = 0
    for route in routes:
        operation = described["paths"][route.path][route.method.lower()]
        if "requestBody" not in operation:
            continue
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = example(schema, described["components"]["schemas"])
        msgspec.json.decode(msgspec.json.encode(body), type=route.body)
        examined += 1
    assert examined > 20
