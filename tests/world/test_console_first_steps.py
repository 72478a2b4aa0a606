"""The console of a new server: what to do first, a test event, and what is red."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from nova.bench.client import Subscriber
from support.browser import needs_chromium
from support.console import console
from support.deployment import deployed

pytestmark = needs_chromium


async def test_a_new_server_says_what_to_do_first_and_a_test_event_is_traced(
    browser: Browser, tmp_path: Path
) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        async with console(browser, app) as page:
            steps = page.get_by_role("region", name="First steps")
            await expect(steps.get_by_label("Send an event with curl").first).to_contain_text(
                f"{app.url}/v1/events"
            )
            await expect(page.locator(".state")).to_have_text("Everything works.")
            engines = page.get_by_role("list", name="Engines")
            await expect(engines).to_contain_text(re.compile(r"PostgreSQL \d+\.\d+, embedded"))
            await steps.get_by_role("button", name="Create Ada and Ben").click()
            await expect(steps.locator("li.done")).to_have_count(1)
            await steps.get_by_role("link", name="Send a test event").click()
            who = page.get_by_label("Who is told")
            await page.get_by_role("button", name="Send", exact=True).click()
            await expect(who).to_have_accessible_description("This is needed.")
            await who.fill("be")
            await expect(page.get_by_role("option", name=re.compile("Ben"))).to_be_visible()
            await page.keyboard.press("ArrowDown")
            await page.keyboard.press("Enter")
            await expect(who).to_have_value("Ben")
            by = page.get_by_label("Who did it")
            await by.fill("somebody else")
            await page.get_by_role("button", name="Try without sending").click()
            await expect(by).to_have_accessible_description(re.compile("no user with the actor"))
            await by.fill("ada")
            await page.get_by_role("option", name=re.compile("Ada")).click()
            await page.get_by_label("Metadata").fill('{"title": "<b>bread</b>"}')
            await page.get_by_role("button", name="Try without sending").click()
            await expect(page.locator(".result .preview")).to_have_text("Ada liked <b>bread</b>")
            await page.get_by_role("button", name="Send", exact=True).click()
            await expect(page.locator(".result .chip").first).to_have_text("stored")
            for moment in ("accepted", "decided", "stored"):
                await expect(page.locator(".result .fall")).to_contain_text(moment)
            await page.locator("#views a[href='#overview']").click()
            await expect(page.locator(".tiles article")).to_have_count(5)
            await expect(steps).to_be_hidden()


async def test_what_is_wrong_is_red_named_and_marked_in_the_menu(
    browser: Browser, tmp_path: Path, dsn: str
) -> None:
    async with deployed(tmp_path, NOVA_DATABASE=dsn, NOVA_SOCKET_PER_USER="1") as deployment:
        app = await deployment.start()
        [ben] = await app.people(1)
        async with console(browser, app) as page:
            state = page.locator(".state")
            await expect(state).to_have_text("Everything works.")
            async with app.phone(ben):
                with pytest.raises(ConnectionError):
                    await Subscriber.open(
                        app.server.host, app.server.port, app.token(ben), lambda _message: None
                    )
                await expect(state).to_contain_text(
                    "1 socket was refused in the last five minutes by the setting socket.per_user."
                )
            await expect(page.locator(".tiles .sick")).to_contain_text("1 refused")
            await expect(page.locator("#views a[href='#overview'] .mark")).to_have_text("1")
