"""The documentation in a browser: guides, the API with calls to copy, and problems."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import msgspec
import pytest
from playwright.async_api import Browser, Page, expect

from support.app import App
from support.browser import needs_chromium, opened
from support.clients import http_client
from support.programs import PROGRAMS, run

PHONE = {"width": 390, "height": 844}
HEAVIEST = 25_000
"""Pixels of the longest page, where the API was one page of 90,000."""


@pytest.fixture
async def page(browser: Browser, app: App) -> AsyncIterator[Page]:
    async with opened(
        browser, f"{app.url}/docs/api/events", permissions=["clipboard-read", "clipboard-write"]
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
    await operation.get_by_role("button", name="Copy").first.click()
    await expect(operation.get_by_role("button", name="Copied")).to_be_visible()
    text = await page.evaluate("navigator.clipboard.readText()")
    assert f"{app.url}/v1/events" in text
    said = await run(language, text, tmp_path, TOKEN=app.server.server_key)
    answer = msgspec.json.decode(said)
    assert answer["results"][0]["status"] in {"accepted", "duplicate"}


@needs_chromium
async def test_a_language_stays_chosen_on_the_next_page(page: Page) -> None:
    await page.get_by_role("button", name="Python").first.click()
    await page.get_by_role("link", name="Posts", exact=True).click()
    await expect(page.get_by_role("heading", name="Posts", exact=True)).to_be_visible()
    await expect(page.locator(".call pre:visible").first).to_have_attribute("data-of", "Python")


@needs_chromium
async def test_where_there_is_no_clipboard_a_call_is_selected(page: Page) -> None:
    """As over plain HTTP from another machine, where browsers have none."""
    await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    operation = page.locator("#op-post_events")
    await operation.get_by_role("button", name="Copy").first.click()
    await expect(operation.get_by_role("button", name="Selected")).to_be_visible()
    shown = await operation.locator(".call pre:visible").inner_text()
    assert await page.evaluate("getSelection().toString()") == shown


@needs_chromium
async def test_an_operation_and_a_guide_are_found_by_their_words(page: Page) -> None:
    await page.get_by_label("Search the documentation").fill("server key revoke")
    await page.locator(".found").get_by_role("link").first.click()
    await expect(page.locator("#op-delete_keys_key")).to_be_in_viewport()
    await page.get_by_label("Search the documentation").fill("dead letters replay")
    await page.locator(".found").get_by_role("link", name="Replay dead letters").first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Replay dead letters")


@needs_chromium
async def test_fields_of_bodies_and_answers_are_explained(page: Page) -> None:
    operation = page.locator("#op-post_events")
    row = operation.get_by_role("row").filter(has=page.get_by_text("recipient_id", exact=True))
    await expect(row.first).to_contain_text("required")
    await expect(row.first).to_contain_text("Whom to tell, by either id.")
    await expect(operation.get_by_text("How many were accepted before.")).to_be_visible()


@needs_chromium
async def test_the_type_of_a_problem_leads_to_its_row(browser: Browser, app: App) -> None:
    async with app.client() as client:
        problems = [
            (await client.get("/v1/nothing")).json(),
            (await client.get("/v1/users/nobody-at-all")).json(),
            (await client.post("/v1/events", json={"id": 7})).json(),
            (await client.delete("/docs")).json(),
        ]
    assert len({each["code"] for each in problems}) == 4
    async with opened(browser, f"{app.url}/docs/problems") as page:
        assert await page.get_by_role("row").count() > 80
        for each in problems:
            await page.goto(urljoin(app.url, each["type"]))
            row = page.locator("tr:target")
            await expect(row).to_be_in_viewport()
            await expect(row).to_contain_text(each["code"])
            await expect(row).to_contain_text(str(each["status"]))


@needs_chromium
async def test_a_phone_shows_wide_tables_as_rows_below_one_another(
    browser: Browser, app: App
) -> None:
    async with opened(browser, f"{app.url}/docs/reference/settings", viewport=PHONE) as page:
        row = page.locator(".wide tbody tr").filter(has_text="NOVA_DATABASE").first
        await expect(row).to_contain_text("or a postgresql:// address")
        for cell in await row.locator("td").all():
            box = await cell.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= PHONE["width"]
    async with opened(browser, f"{app.url}/docs/readme", viewport=PHONE) as page:
        code = page.locator("pre").filter(has_text="curl").first
        await expect(code).to_have_attribute("tabindex", "0")  # it scrolls, also by keyboard


@needs_chromium
async def test_no_link_is_dead_and_every_page_fits_on_a_phone(browser: Browser, app: App) -> None:
    waiting, pages, links = ["/docs"], set[str](), set[str]()
    names: dict[str, set[str]] = {}
    async with opened(browser, f"{app.url}/docs", viewport=PHONE) as page:
        while waiting:
            here = waiting.pop()
            pages.add(here)
            answer = await page.goto(app.url + here)
            assert answer is not None
            assert answer.status == 200, here
            width, height = await page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
            )
            assert width <= PHONE["width"], f"{here} is {width} pixels wide"
            assert height < HEAVIEST, f"{here} is {height} pixels long"
            names[here] = set(
                await page.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)")
            )
            found = await page.evaluate("[...document.links].map((one) => one.href)")
            for each in found:
                if not each.startswith(app.url):
                    continue
                link = each.removeprefix(app.url)
                links.add(link)
                where = urldefrag(link).url
                if where.startswith("/docs") and where not in {*pages, *waiting}:
                    waiting.append(where)
    assert len(pages) > 50
    assert len(links) > 200
    async with http_client(app.url) as client:
        for link in links:
            where, name = urldefrag(link)
            if where not in pages:
                assert (await client.get(where)).is_success, f"{link} leads nowhere"
            elif name:
                assert name in names[where], f"{link} leads to no part of the page"


@needs_chromium
async def test_on_a_phone_the_contents_are_a_step_away(browser: Browser, app: App) -> None:
    async with opened(browser, f"{app.url}/docs/how-to/authenticate", viewport=PHONE) as page:
        await page.get_by_role("link", name="Contents", exact=True).first.click()
        await expect(page.get_by_role("navigation")).to_be_in_viewport()
        await page.get_by_role("link", name="Send notifications").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Send notifications")


@needs_chromium
async def test_it_has_the_colours_of_the_console(browser: Browser, app: App) -> None:
    colours = []
    for path in ("/docs", "/console"):
        async with opened(browser, app.url + path, color_scheme="dark") as page:
            colours.append(
                await page.evaluate(
                    "(({ backgroundColor, color }) => [backgroundColor, color])"
                    "(getComputedStyle(document.body))"
                )
            )
    assert colours[0] == colours[1]
