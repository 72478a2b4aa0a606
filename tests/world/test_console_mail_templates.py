"""Mail templates in the console: written, previewed in a frame without scripts, saved and tried."""

import json

from playwright.async_api import Browser, expect

from nova.features.deliveries.mail.models import LAYOUT_EXAMPLE
from support.app import App
from support.browser import needs_chromium
from support.console import console

pytestmark = needs_chromium
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
REFUSED = ("422",)


async def cleared(app: App) -> None:
    async with app.client() as client:
        for path in ("mail-templates/like", "mail-templates/default", "mail-layout"):
            await client.delete(f"/v1/{path}")


async def test_words_are_seen_while_they_are_written_and_then_saved(
    browser: Browser, app: App
) -> None:
    await cleared(app)
    async with app.client() as client:
        assert (await client.put("/v1/mail-layout", json=LAYOUT_EXAMPLE)).is_success
    async with console(browser, app, "mail/like/de") as page:
        preview = page.get_by_role("article")
        await expect(preview).to_contain_text("Ada Lovelace gefällt dein Beitrag")
        await page.get_by_label("Subject", exact=True).fill(f"Neu: {HOSTILE} {{title}}")
        text = f"Hallo {{recipient.name}}\n{HOSTILE}"
        await page.get_by_label("Text, a paragraph a line").fill(text)
        await expect(preview.locator("h3")).to_contain_text(f"Neu: {HOSTILE}")
        frame = page.frame_locator("iframe")
        await expect(frame.get_by_text("Hallo Ben")).to_be_visible()
        await expect(frame.get_by_text(HOSTILE)).to_be_visible()
        await expect(frame.locator("img")).to_have_js_property("naturalWidth", 1)
        assert await page.locator("iframe").get_attribute("sandbox") == ""
        await preview.get_by_text("As plain text").click()
        await expect(preview.locator("pre")).to_contain_text("Harbour Ltd, 1 Pier Road")
        await page.get_by_role("button", name="Save words").click()
        await expect(page.get_by_text("Saved. Mails of like")).to_be_visible()
        async with app.client() as client:
            stored = (await client.get("/v1/mail-templates/like")).json()["template"]
        assert stored["templates"]["de"]["body"] == text
        assert stored["fallback"] == "de"
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.get_by_text("The mail catcher has it.")).to_be_visible()
        await page.get_by_label("Language").fill("ar")
        await expect(preview).to_contain_text("the words of like, de")
        await page.get_by_label("Subject", exact=True).fill("مرحبا")
        await expect(preview).to_contain_text("the words of like, ar, from right to left")
        await expect(frame.locator("html[dir=rtl]")).to_have_count(1)
    await cleared(app)


async def test_what_is_wrong_is_said_where_it_is_written(browser: Browser, app: App) -> None:
    await cleared(app)
    async with console(browser, app, "mail/default", tolerates=REFUSED) as page:
        await page.get_by_label("Subject", exact=True).fill("{titel}")
        said = page.get_by_role("status").filter(has_text="templates.en.subject")
        await expect(said).to_contain_text("did you mean {title}?")
        await page.get_by_label("Subject", exact=True).fill("{title}!")
        await expect(page.get_by_text("templates.en.subject")).to_have_count(0)
        await page.get_by_text("Layout of all mails").click()
        await page.get_by_label("HTML of your own").fill("{body}{unsubscribe}\n<script>x</script>")
        await expect(page.get_by_text("html, line 2, column 1")).to_be_visible()
        await page.get_by_label("HTML of your own").fill("<p>Mine</p>{body}{unsubscribe}")
        await expect(page.frame_locator("iframe").get_by_text("Mine")).to_be_visible()
        await page.get_by_role("button", name="Save layout").click()
        await expect(page.get_by_text("Saved. All mails look so now.")).to_be_visible()
        async with app.client() as client:
            assert "Mine" in json.dumps((await client.get("/v1/mail-layout")).json())
    await cleared(app)
