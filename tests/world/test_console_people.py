"""People in the console: found, changed, shut out and erased."""

import re
from uuid import uuid4

from playwright.async_api import Browser, Page, expect

from support.app import App, like
from support.browser import needs_chromium
from support.console import console, reachable
from support.waiting import until

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


async def named(app: App, **user: str) -> str:
    """Create somebody, and return the id that the app knows them by."""
    async with app.client() as client:
        new = {"external_id": f"p-{uuid4()}", **user}
        made = await client.post("/v1/users", json=new)
        assert made.is_success, made.text
    return str(new["external_id"])


async def user(app: App, who: str) -> dict[str, object]:
    async with app.client() as client:
        found: dict[str, object] = (await client.get(f"/v1/users/{who}")).json()
    return found


async def saved(page: Page, form: str) -> None:
    box = page.get_by_role("form", name=form)
    await box.get_by_role("button", name="Save").click()
    await expect(box.get_by_role("status")).to_have_text("Saved.")


async def test_people_are_found_and_whatever_they_are_called_is_text(
    browser: Browser, app: App
) -> None:
    who = await named(app, name=HOSTILE, email="harm@example.org")
    async with console(browser, app, "people") as page:
        await page.get_by_label("Search for people").fill(who.upper())
        rows = page.get_by_role("table", name="People").locator("tbody tr")
        await expect(rows).to_have_count(1)
        await expect(rows).to_contain_text(HOSTILE)
        await page.get_by_label("Search for people").fill("nobody has this name")
        await expect(page.get_by_text("Nobody has such a name")).to_be_visible()
        await page.get_by_label("Search for people").fill(who)
        await page.get_by_role("link", name=HOSTILE).click()
        await expect(page.get_by_role("heading", level=2)).to_have_text(HOSTILE)


async def test_a_profile_is_changed_and_what_is_refused_stands_beside_its_field(
    browser: Browser, app: App
) -> None:
    who = await named(app, name="Ben", email="ben@example.org")
    async with console(browser, app, f"people/{who}", tolerates=("422",)) as page:
        profile = page.get_by_role("form", name="Profile")
        await profile.get_by_label("Name").fill("Benjamin")
        await profile.get_by_label("Language").fill("de-AT")
        await profile.get_by_label("Mail address").fill("")
        await saved(page, "Profile")
        now = await user(app, who)
        assert (now["name"], now["locale"], now["email"]) == ("Benjamin", "de-AT", None)
        zone = profile.get_by_label("Time zone")
        await zone.fill("Europe/Lisboa")
        await profile.get_by_role("button", name="Save").click()
        await expect(zone).to_have_accessible_description(re.compile("IANA name"))
        await expect(zone).to_be_focused()
        await zone.fill("Europe/Lisbon")
        await saved(page, "Profile")
        assert (await user(app, who))["timezone"] == "Europe/Lisbon"


async def test_devices_quiet_hours_and_preferences_are_looked_at_and_changed(
    browser: Browser, app: App
) -> None:
    who = await named(app, name="Ben")
    await reachable(app, who)
    async with console(browser, app, f"people/{who}") as page:
        devices = page.get_by_role("table", name="Devices")
        await devices.get_by_role("button", name="Forget").click()
        await devices.get_by_role("button", name="Send no more push to it?").click()
        await expect(page.get_by_text("No device is registered")).to_be_visible()
        quiet = page.get_by_role("form", name="Quiet hours")
        await quiet.get_by_label("From").fill("21:30")
        await quiet.get_by_label("Sat").uncheck()
        await saved(page, "Quiet hours")
        await page.get_by_text("By type and channel").click()
        await page.get_by_label("like, Mail").select_option("off")
        await expect(page.locator(".is-off")).to_have_count(1)
        async with app.client() as client:
            hours = (await client.get(f"/v1/users/{who}/quiet-hours")).json()["schedule"]
            chosen = (await client.get(f"/v1/users/{who}/preferences")).json()["types"]
        assert hours["days"]["fri"] == [{"start": "21:30", "end": "07:00"}]
        assert "sat" not in hours["days"]
        assert chosen == {"like": {"email": False}}


async def test_somebody_is_suspended_let_in_again_and_erased_when_named(
    browser: Browser, app: App
) -> None:
    ada, ben = await named(app, name="Ada"), await named(app, name="Ben")
    await app.send(like(to=ada, by=ben))
    async with console(browser, app, f"people/{ben}", tolerates=("404",)) as page:
        await page.get_by_role("button", name="Suspend").click()
        await page.get_by_role("button", name="Close all sockets and refuse all tokens?").click()
        await expect(page.locator("h2 .chip")).to_have_text("suspended")
        assert (await user(app, ben))["suspended"] is True
        await page.get_by_role("button", name="End the suspension").click()
        await page.get_by_role("button", name="Let this person in again?").click()
        await expect(page.locator("h2 .chip")).to_have_count(0)
        await page.get_by_text("Erase this person", exact=True).click()
        name = page.get_by_label("To erase this person for good")
        await name.fill("Somebody else")
        await page.keyboard.press("Enter")
        await expect(name).to_have_accessible_description(re.compile("Type “Ben”"))
        assert (await user(app, ben))["name"] == "Ben"
        await name.fill("Ben")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=2)).to_have_text("Erased")
        await expect(page.locator(".progress .done")).to_have_count(3)

    async def gone() -> bool:
        async with app.client() as client:
            return (await client.get(f"/v1/users/{ben}")).status_code == 404

    await until(gone)
