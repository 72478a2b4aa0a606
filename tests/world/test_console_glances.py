"""What the console shows at a glance, and what it lets operators do to keys and try of time."""

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, expect

from support.app import App, like
from support.browser import needs_chromium
from support.clients import http_client
from support.console import console, reachable, sign_in
from support.waiting import until

pytestmark = needs_chromium

NIGHTS = {
    "days": {
        day: [{"start": "22:00", "end": "07:00"}]
        for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    },
    "timezone": "Asia/Tokyo",
    "channels": ["push"],
}
HOSTILE = "<img src=x onerror=alert(1)>"


async def test_the_overview_shows_rates_sockets_percentiles_and_lag(
    browser: Browser, app: App
) -> None:
    ada, ben = await app.people(2)
    async with app.phone(ben) as phone, console(browser, app) as page:
        event = like(to=ben, by=ada)
        await app.send(event)
        await phone.until(lambda phone: phone.rings == [event["id"]])
        await expect(page).to_have_title("Overview · Nova console")
        tiles = page.locator(".tiles article")
        await expect(tiles).to_have_count(5)
        await expect(tiles.filter(has_text="Sockets").locator(".big")).to_have_text(
            re.compile(r"^[1-9]\d*open$")
        )
        for name in ("Events", "Requests", "Delivery attempts"):
            tile = tiles.filter(has_text=name)
            await expect(tile.locator(".big")).to_have_text(re.compile(r"^[\d.,]+a second$"))
            await expect(tile.get_by_role("img")).to_have_count(1)
        times = page.get_by_role("table", name="Percentiles")
        published = times.get_by_role("row").filter(has_text="event → sockets")
        await expect(published.get_by_role("img")).to_have_accessible_name(
            re.compile("half within .*99.% within .*")
        )
        await expect(times).to_contain_text("accounts requests")
        consumer = page.get_by_role("table", name="Consumers").get_by_role("row")
        await expect(consumer.filter(has_text="notifications")).to_contain_text("/s")


@pytest.mark.parametrize("view", ["overview", "keys"])
async def test_nothing_is_cut_off_on_a_phone(browser: Browser, app: App, view: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}}
    async with console(browser, app, view, **phone) as page:
        await expect(page.locator(".scroll tbody tr").first).to_be_visible()
        boxes = await page.locator(".scroll").all()
        assert boxes
        for box in boxes:
            assert await box.evaluate("box => box.scrollWidth <= box.clientWidth")
        await expect(page.locator("#menu")).to_have_text(view.title())


async def made(page: Page, name: str) -> str:
    """Make a key on the page, and return its secret."""
    await page.get_by_label("What the key is for").fill(name)
    await page.get_by_role("button", name="Make a key").click()
    shown = page.locator(".made")
    await expect(shown).to_contain_text(name)
    return await shown.locator("code").inner_text()


async def status(app: App, secret: str) -> int:
    headers = {"Authorization": f"Bearer {secret}"}
    async with http_client(app.url, headers=headers) as client:
        return (await client.get("/v1/users")).status_code


async def test_a_key_is_made_shown_once_and_revoked_when_asked_twice(
    browser: Browser, app: App
) -> None:
    async with console(browser, app, "keys") as page:
        secret = await made(page, HOSTILE)
        assert await status(app, secret) == 200
        row = page.get_by_role("table", name="Server keys").get_by_role("row", name=HOSTILE)
        await expect(row).to_contain_text(f"{secret[:12]}…")
        await page.get_by_role("button", name="I have copied it").click()
        assert secret not in await page.content()
        await page.reload()
        await expect(row).to_be_visible()
        assert secret not in await page.content()
        await row.get_by_role("button", name="Revoke").click()
        await expect(row.get_by_role("button", name="Revoke for good?")).to_be_visible()
        await page.get_by_label("What the key is for").focus()
        await expect(row.get_by_role("button", name="Revoke", exact=True)).to_be_visible()
        assert await status(app, secret) == 200
        await row.get_by_role("button", name="Revoke").click()
        await row.get_by_role("button", name="Revoke for good?").click()
        await expect(row).to_have_count(0)

    async def refused() -> bool:
        return await status(app, secret) == 401

    await until(refused)  # everywhere within a second


async def test_who_revokes_their_own_key_is_signed_out(browser: Browser, app: App) -> None:
    async with console(browser, app, "keys", tolerates=("401",)) as page:
        await expect(page.get_by_role("row", name="first")).to_contain_text("you")
        secret = await made(page, "colleague")
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, secret)
        mine = page.get_by_role("row", name="colleague")
        await expect(mine).to_contain_text("you")
        await mine.get_by_role("button", name="Revoke").click()
        await mine.get_by_role("button", name="Revoke, and sign out?").click()
        await expect(page.get_by_label("Server key", exact=True)).to_be_visible()
        assert await page.evaluate("sessionStorage.length") == 0


async def test_a_key_without_a_name_is_refused_by_the_page(browser: Browser, app: App) -> None:
    async with console(browser, app, "keys") as page:
        await expect(page.get_by_role("row", name="first")).to_be_visible()
        await page.get_by_label("What the key is for").fill("  ")
        await page.keyboard.press("Enter")
        field = page.get_by_label("What the key is for")
        await expect(field).to_have_accessible_description("This is needed.")
        await expect(field).to_be_focused()
        await expect(page.get_by_role("button", name="Make a key")).to_be_enabled()


async def test_the_funnel_tells_how_long_each_channel_took(browser: Browser, app: App) -> None:
    ada, ben = await app.people(2)
    await reachable(app, ben)
    await app.send(like(to=ben, by=ada))
    async with console(browser, app, "funnel") as page:
        for channel in (".by-push", ".by-email"):
            part = page.locator(channel)
            await expect(part).to_contain_text("From accepted to sent: half within")
            await expect(part.get_by_role("img")).to_have_accessible_name(re.compile(r": [1-9]"))
            assert await part.locator(".column i").count() == 12


@pytest.fixture
async def ben(app: App) -> AsyncIterator[str]:
    """Ben wants no push at night, in Tokyo."""
    [one] = await app.people(1)
    async with app.client() as client:
        answer = await client.put(f"/v1/users/{one}/quiet-hours", json=NIGHTS)
        assert answer.is_success, answer.text
        yield one


async def test_quiet_hours_are_tried_out_at_any_time(browser: Browser, app: App, ben: str) -> None:
    how = {"timezone_id": "UTC", "tolerates": ("422", "404")}
    async with console(browser, app, f"outbox/{ben}", **how) as page:
        await page.get_by_text("Check another time").click()
        when = page.get_by_label("Time, by your own clock")
        ask = page.get_by_role("button", name="Check")
        answer = page.locator(".trial .told")
        await when.fill("2026-01-15T14:30")
        await ask.click()
        await expect(answer).to_have_text(
            "A push at Thu 23:30 (Asia/Tokyo) is held until Fri 07:00."
        )
        await expect(page.locator(".trial .quiet-part").first).to_be_visible()
        await when.fill("2026-01-15T03:00")
        await ask.click()
        await expect(answer).to_have_text("A push at Thu 12:00 (Asia/Tokyo) goes out at once.")
        await when.fill("2026-01-15T14:30")
        await page.get_by_label("What is sent").select_option("email")
        await ask.click()
        await expect(answer).to_have_text("A mail at Thu 23:30 (Asia/Tokyo) goes out at once.")
        await when.fill("9000-01-15T14:30")
        await ask.click()
        await expect(page.locator("#told")).to_contain_text("1900 to 2200")
        for somebody_else in ("", "nobody-there"):
            await page.get_by_label("User").fill(somebody_else)
            await page.keyboard.press("Enter")
            await expect(page.get_by_text("Check another time")).to_be_hidden()
        await expect(page.locator("#told")).to_contain_text("no such user")
        await expect(page.locator(".outbox")).to_be_hidden()
