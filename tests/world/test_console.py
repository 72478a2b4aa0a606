"""The operators' console in a browser, before a whole server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from nova.adapters.postgres.embedded import attach
from nova.adapters.postgres.pool import open_pool
from nova.backbone.dead_letters import bury
from nova.kernel.events import Position, Record
from nova.simulators.scripts import Rule
from support.app import App, like
from support.browser import needs_chromium, opened
from support.carried import post_office
from support.console import console, reachable, sign_in
from support.deployment import deployed

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
NEWEST = """
select topic, key, partition, id, type, payload, trace, at
from backbone.event_log where type = 'EventAccepted' order by position desc limit 1
"""


@pytest.fixture
async def liked(app: App) -> AsyncIterator[dict[str, Any]]:
    """Ben has been told of a like, on his phone and by mail."""
    ada, ben = await app.people(2)
    await reachable(app, ben)
    event = like(to=ben, by=ada, metadata={"title": HOSTILE})
    await app.send(event)
    yield event
    async with app.client() as client:
        await client.delete("/v1/delivery-policies/like")


async def test_without_a_server_key_there_is_nothing_to_see(browser: Browser, app: App) -> None:
    [ben] = await app.people(1)
    async with opened(browser, f"{app.url}/console", tolerates=("401", "403")) as page:
        for key in ("nova_sk_made-up", app.token(ben)):
            await sign_in(page, key)
            await expect(page.locator("#refusal")).not_to_be_empty()
            await expect(page.get_by_role("navigation", name="Views")).to_be_hidden()
            assert await page.evaluate("sessionStorage.length") == 0
            await page.reload()


async def test_the_key_stays_in_the_tab_and_out_of_addresses_and_cookies(
    browser: Browser, app: App
) -> None:
    key = app.server.server_key
    async with opened(browser, f"{app.url}/console") as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await sign_in(page, key)
        await expect(page.get_by_role("navigation", name="Views")).to_be_visible()
        await page.locator("#views a[href='#engines']").click()
        await expect(page.get_by_role("list", name="Engines")).to_contain_text("Database")
        await page.reload()
        await expect(page.get_by_role("list", name="Engines")).to_contain_text("Database")
        assert not [url for url in [*asked, page.url] if key in url]
        assert await page.context.cookies() == []
        assert await page.evaluate("localStorage.length") == 0
        await page.get_by_role("button", name="Sign out").click()
        assert await page.evaluate("sessionStorage.length") == 0
        await page.reload()
        await expect(page.get_by_label("Server key")).to_be_visible()


async def test_a_key_that_is_revoked_leads_back_to_the_door(browser: Browser, app: App) -> None:
    async with app.client() as client:
        made = (await client.post("/v1/keys", json={"name": "console"})).json()
        async with opened(browser, f"{app.url}/console", tolerates=("401",)) as page:
            await sign_in(page, made["secret"])
            await expect(page.get_by_role("navigation", name="Views")).to_be_visible()
            await client.delete(f"/v1/keys/{made['id']}")
            await expect(page.get_by_label("Server key")).to_be_visible()
            await expect(page.locator("#refusal")).to_contain_text("revoked")
            assert await page.evaluate("sessionStorage.length") == 0


async def test_an_event_comes_into_the_tail_and_its_story_is_a_waterfall(
    browser: Browser, app: App
) -> None:
    ada, ben = await app.people(2)
    async with console(browser, app, "events") as page:
        event = like(to=ben, by=ada)
        await app.send(event)
        line = page.locator(f"[data-event='{event['id']}']")
        await expect(line.locator(".chip")).to_have_text("stored")
        await line.locator("summary").click()
        for moment in ("accepted", "decided", "stored"):
            await expect(line.locator(".fall")).to_contain_text(moment)
        await expect(line.locator(".ms").first).to_have_text("0.0 ms")


async def test_why_somebody_was_not_told_is_found_by_the_events_id(
    browser: Browser, app: App
) -> None:
    [ben] = await app.people(1)
    event = like(to=ben, by=ben)
    await app.send(event)
    async with console(browser, app, "events", tolerates=("404",)) as page:
        await expect(page.locator(f"[data-event='{event['id']}']")).to_be_visible()
        await page.get_by_label("Id of an event or a notification").fill(event["id"])
        await page.keyboard.press("Enter")
        await expect(page.locator(".found")).to_contain_text("Nobody is told of what they did")
        await page.get_by_label("Id of an event or a notification").fill("nothing")
        await page.keyboard.press("Enter")
        await expect(page.locator("#told")).not_to_be_empty()


async def test_more_events_than_a_page_holds_leave_no_gap(browser: Browser, app: App) -> None:
    ada, ben = await app.people(2)
    async with console(browser, app, "events") as page:
        await expect(page.get_by_role("heading", name="Events")).to_be_visible()
        events = [like(to=ben, by=ada) for _ in range(60)]
        await app.send(*events)
        first, last = (page.locator(f"[data-event='{events[n]['id']}']") for n in (0, -1))
        await expect(last).to_be_visible()
        if not await first.count():
            await page.get_by_role("button", name="Older").click()
        await expect(first).to_be_visible()


async def test_a_server_that_does_not_answer_is_said_until_it_does(
    browser: Browser, app: App
) -> None:
    async with console(browser, app, "log", tolerates=("ERR_FAILED",)) as page:
        await expect(page.locator("tbody")).to_contain_text("notifications")
        await page.route("**/v1/**", lambda route: route.abort())
        await expect(page.locator("#told")).to_contain_text("Nova does not answer.")
        await page.unroute("**/v1/**")
        await expect(page.locator("#told")).to_be_empty()


async def test_push_and_mail_are_rendered_and_nothing_in_them_runs(
    browser: Browser, app: App, liked: dict[str, Any]
) -> None:
    async with console(browser, app, f"outbox/{liked['recipient_id']}") as page:
        title = f"{liked['actor_id']} liked {HOSTILE}"
        await expect(page.locator(".pushes .push b")).to_have_text(title)
        await expect(page.locator(".letter h3")).to_have_text(title)
        frame = page.frame_locator(".mails iframe")
        await expect(frame.get_by_role("heading")).to_have_text(title)
        await expect(page.locator(".ribbon")).to_contain_text("No quiet hours")


@asynccontextmanager
async def elsewhere() -> AsyncIterator[tuple[str, list[str]]]:
    """Listen as somebody else would: yield the address, and the requests that came."""
    came: list[str] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.extend(line.decode() for line in [await reader.readline()] if line)
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1") as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", came


async def test_a_mail_that_means_harm_does_none(
    browser: Browser, app: App, liked: dict[str, Any]
) -> None:
    """Nova writes no such mail; here something did, between it and the browser."""
    async with elsewhere() as (evil, came):

        async def poisoned(route: Route) -> None:
            said = await (await route.fetch()).json()
            for each in said["data"]:
                each["parcel"]["html"] = (
                    f"<h1>Harm</h1>{HOSTILE}<script>parent.document.title = 'taken'</script>"
                    f"<form action='{evil}'><button>Win</button></form>"
                    f"<a href='{evil}' target='_top'>Win</a><a href='{evil}'>Away</a>"
                    f"<meta http-equiv=refresh content='0;url={evil}'>"
                    f"<link rel=stylesheet href='{evil}/a.css'>"
                    f"<img src='{evil}/pixel.gif' style='color:red'>"
                )
            await route.fulfill(body=json.dumps(said), content_type="application/json")

        blocked = (evil, "Blocked script execution", "Content Security Policy", "sandboxed")
        async with console(browser, app, "events", tolerates=blocked) as page:
            await page.route("**/v1/outbox*", poisoned)
            await page.locator("#views a[href='#outbox']").click()
            frame = page.frame_locator(".mails iframe").first
            await expect(frame.get_by_role("heading", name="Harm")).to_be_visible()
            await expect(frame.get_by_role("img").last).to_have_css("color", "rgb(255, 0, 0)")
            await frame.get_by_role("button", name="Win").click()
            await frame.get_by_role("link", name="Win").click()
            async with page.expect_console_message(lambda said: "frame" in said.text):
                await frame.get_by_role("link", name="Away").click()
            await expect(page).to_have_title("Push and mail · Nova console")
            assert page.url.startswith(app.url)
        assert came == []


async def test_the_funnel_leads_to_the_deliveries_behind_a_number(
    browser: Browser, app: App, liked: dict[str, Any]
) -> None:
    async with app.client() as client:
        await client.put("/v1/delivery-policies/like", json={"escalate_after_s": {"push": 3600}})
    await app.send(like(to=liked["recipient_id"], by=liked["actor_id"]))
    async with console(browser, app, "funnel") as page:
        await expect(page.locator(".funnels")).to_contain_text("In the app")
        await expect(page.locator(".by-email")).to_contain_text("sent")
        await page.locator(".by-push").get_by_role("link", name="stands by").click()
        lines = page.get_by_role("list", name="Deliveries, the newest first")
        await expect(lines.locator(".chip.standby").first).to_be_visible()
        assert await page.get_by_label("phase").input_value() == "standby"


async def test_a_dead_delivery_is_tried_again_and_arrives(browser: Browser, tmp_path: Path) -> None:
    async with post_office(security="none") as (office, _):
        office.script.add(Rule(match="ben@", answer="toobig"))
        settings = {
            "NOVA_SMTP_HOST": "127.0.0.1",
            "NOVA_SMTP_PORT": str(office.port),
            "NOVA_SMTP_SECURITY": "none",
            "NOVA_SMTP_SENDER": "Nova <nova@example.com>",
        }
        async with deployed(tmp_path, **settings) as deployment:
            app = await deployment.start()
            ada, ben = await app.people(2)
            await reachable(app, ben)
            await app.send(like(to=ben, by=ada))
            async with console(browser, app, "deliveries/dead/email") as page:
                line = page.get_by_role("list", name="Deliveries, the newest first").locator("li")
                await line.locator("summary").click()
                await expect(line.locator("table")).to_contain_text("5.3.4")
                office.script.clear()
                await line.get_by_role("button", name="Try again").click()
                await expect(page.get_by_text("There are none.")).to_be_visible()
                await page.get_by_label("phase").select_option("done")
                await line.locator("summary").click()
                await expect(line.locator("tbody tr")).to_have_count(2)
                await page.locator("#views a[href='#engines']").click()
                await expect(page.get_by_role("list", name="Engines")).to_contain_text("Mail")
            assert [mail.recipient for mail in office.received.items if not mail.answered] == [
                "ben@example.org"
            ]


async def test_a_letter_that_a_consumer_gave_up_on_is_replayed(
    browser: Browser, tmp_path: Path
) -> None:
    async with deployed(tmp_path) as deployment:
        app = await deployment.start()
        ada, ben = await app.people(2)
        await app.send(like(to=ben, by=ada))
        dsn = await attach(app.server.data / "postgres")
        assert dsn is not None
        async with open_pool(dsn, size=1) as pool:
            [row] = await pool.fetch(NEWEST)
            failed = Record(position=Position("1"), attempt=3, **row)
            await bury(pool, "notifications", failed, "Bug: no such key")
            async with console(browser, app, "log") as page:
                await expect(page.locator("tbody")).to_contain_text("notifications")
                letter = page.get_by_role("list", name="Dead letters").locator("li")
                await letter.locator("summary").click()
                await expect(letter.locator("pre")).to_have_text("Bug: no such key")
                await letter.get_by_role("button", name="Replay").click()
                await expect(page.get_by_text("No dead letters.")).to_be_visible()
            assert await pool.value("select count(*) from backbone.dead_letters") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_view_fits_a_phone_and_answers_to_the_keyboard(
    browser: Browser, app: App, liked: dict[str, Any], scheme: str
) -> None:
    narrow = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    async with console(browser, app, "engines", **narrow) as page:
        menu = page.locator("#menu")
        views = [
            str(await link.get_attribute("href")) for link in await page.locator("#views a").all()
        ]
        assert {"#overview", "#events", "#people", "#types", "#posts", "#engines"} <= set(views)
        for view in views:
            link = page.locator(f"#views a[href='{view}']")
            await menu.focus()
            await page.keyboard.press("Enter")
            await expect(menu).to_have_attribute("aria-expanded", "true")
            await link.focus()
            await page.keyboard.press("Enter")
            await expect(link).to_be_hidden()
            await expect(page.locator("#view")).to_be_focused()
            await expect(link).to_have_attribute("aria-current", "page")
            await expect(page.locator("#view h2").first).to_be_visible()
            assert await page.evaluate("document.documentElement.scrollWidth") == 390
        await menu.click()
        await page.locator("#views a[href='#events']").click()
        summary = page.locator(f"[data-event='{liked['id']}'] summary")
        await summary.focus()
        await page.keyboard.press("Enter")
        await expect(page.locator(".fall")).to_be_visible()
