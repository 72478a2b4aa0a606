"""Whether everybody can read and operate the console: contrast, names and ids."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from support.app import App, like
from support.browser import needs_chromium
from support.console import console, reachable

pytestmark = needs_chromium

OPEN = "for (const each of document.querySelectorAll('#view details')) each.open = true"
FAULTS = (Path(__file__).parents[1] / "support" / "legible.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_and_every_control_has_a_name(
    browser: Browser, app: App, scheme: str
) -> None:
    ada, ben = await app.people(2)
    await reachable(app, ben)
    await app.send(like(to=ben, by=ada), like(to=ben, by=ben))
    async with console(browser, app, color_scheme=scheme) as page:
        views = [await link.get_attribute("href") for link in await page.locator("#views a").all()]
        for view in (*views, f"#people/{ben}", "#people/+", "#types/like", "#policies/like"):
            async with page.expect_response("**/v1/**"):
                await page.evaluate("view => { location.hash = view }", view)
            await expect(page.locator("#view h2").first).not_to_have_text("…")
            await page.evaluate(OPEN)
            assert await page.evaluate(FAULTS) == [], view
