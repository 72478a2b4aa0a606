"""`nova demo` as a command: what it prints, how it ends, and pages that outlive it."""

from asyncio import Event, create_task
from contextlib import suppress
from pathlib import Path
from socket import socket

import httpx
from playwright.async_api import Browser, Page, Route, expect

from nova.settings.serving import Http
from support.browser import needs_chromium, opened
from support.clients import http_client
from support.demo import Demo, demo_page, run_demo, run_to_end

pytest_plugins = ["support.demo_fixtures"]

AWAY = ("ERR_CONNECTION", "WebSocket connection", "401")
"""What the browser itself says of a server that is away, or came back as another one."""


async def answers(demo: Demo, path: str) -> httpx.Response:
    key = {"Authorization": f"Bearer {demo.key.read_text().strip()}"}
    async with http_client(demo.address, headers=key) as client:
        await client.get("/demo/session")
        return await client.get(path)


async def test_it_says_that_it_takes_another_port_where_its_own_is_taken() -> None:
    port = Http().port
    with socket() as taken:
        with suppress(OSError):  # or somebody else has it, which is as good
            taken.bind(("127.0.0.1", port))
            taken.listen()
        async with run_demo() as demo:
            assert demo.port != port
            assert f"Port {port} is taken, so the demo listens on port {demo.port}." in demo.said
            assert (await answers(demo, "/healthz")).status_code == 200


async def test_ctrl_c_ends_it_and_deletes_its_data(demo: Demo) -> None:
    assert "click Like" in demo.said
    assert (await answers(demo, "/v1/users/ben")).status_code == 200
    status, said = await demo.press_ctrl_c()
    assert (status, said) == (0, "The demo has ended.\n")
    assert not demo.key.parent.parent.exists()


async def test_data_that_is_kept_has_the_same_people_at_the_next_start(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--data", str(tmp_path / "kept"))
    seen = []
    for _ in range(2):
        async with run_demo(*arguments) as demo:
            ben = (await answers(demo, "/v1/users/ben")).json()["id"]
            posts = (await answers(demo, "/v1/users/ben/posts")).json()["data"]
            seen.append((ben, [post["id"] for post in posts]))
            assert (await demo.press_ctrl_c())[0] == 0
    assert seen[0] == seen[1]
    assert len(seen[0][1]) == 1


async def test_it_leaves_a_folder_alone_that_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text("")
    status, said = await run_to_end("--data", str(tmp_path))
    assert status != 0
    assert "Name a new folder." in said
    assert not (tmp_path / "data").exists()
    assert (tmp_path / "secrets.toml").read_text() == ""


@needs_chromium
async def test_a_page_says_that_the_server_is_away_and_goes_on_when_it_is_back(
    browser: Browser, tmp_path: Path
) -> None:
    kept = ("--data", str(tmp_path / "kept"))
    async with (
        run_demo("--port", "0", *kept) as first,
        demo_page(browser, first, tolerates=AWAY) as page,
    ):
        await page.get_by_role("button", name="Follow Ben", exact=True).click()
        await expect(page.locator("#inbox li")).to_have_count(1)
        await first.press_ctrl_c()
        await expect(page.locator("#lost")).to_contain_text("Nova does not answer")
        await page.get_by_role("tab", name="Feed").click()
        post = page.get_by_role("button", name="Post", exact=True)
        await page.get_by_label("What Ada posts").fill("Hello, @ben")
        await post.click()
        said = page.locator("#ada-posts + .feedback")
        await expect(said).to_contain_text("Check that it is running")
        await expect(page.get_by_label("What Ada posts")).to_have_value("Hello, @ben")
        async with run_demo("--port", str(first.port), *kept):
            await expect(page.locator("#lost")).to_be_empty()
            await expect(page.locator("#state")).to_have_text("connected")
            await post.click()
            await expect(page.locator("#inbox li").first).to_contain_text("mentioned you")
            await expect(page.locator("#inbox li")).to_have_count(2)


@needs_chromium
async def test_a_page_of_a_demo_that_was_deleted_shows_the_new_one(
    browser: Browser, demo: Demo
) -> None:
    async with demo_page(browser, demo, tolerates=AWAY) as page:
        await page.get_by_role("button", name="Like", exact=True).click()
        await expect(page.locator("#inbox li")).to_have_count(1)
        await demo.press_ctrl_c()
        await expect(page.locator("#lost")).to_contain_text("Nova does not answer")
        async with run_demo("--port", str(demo.port)):
            await expect(page.locator("#lost")).to_be_empty()
            await expect(page.locator("#inbox li")).to_have_count(0)
            await page.get_by_role("button", name="Like", exact=True).click()
            await expect(page.locator("#inbox .badge")).to_have_count(1)


@needs_chromium
async def test_two_tabs_show_the_same(page: Page, demo: Demo) -> None:
    other = await page.context.new_page()
    await other.goto(demo.address)
    await expect(other.locator("#state")).to_have_text("connected")
    await page.get_by_role("button", name="Follow Ben", exact=True).click()
    for tab in (page, other):
        await expect(tab.get_by_role("button", name="Unfollow Ben")).to_be_visible()
        await expect(tab.locator("#inbox li")).to_have_count(1)
    await other.get_by_role("button", name="Unfollow Ben").click()
    for tab in (page, other):
        await expect(tab.get_by_role("button", name="Follow Ben", exact=True)).to_be_visible()
        await expect(tab.locator("#inbox li")).to_have_count(0)


@needs_chromium
async def test_a_click_before_the_page_is_ready_is_not_lost(browser: Browser, demo: Demo) -> None:
    asked, released = Event(), Event()

    async def late(route: Route) -> None:
        asked.set()
        await released.wait()
        await route.continue_()

    async with opened(browser, "about:blank") as page:
        await page.route("**/demo/session", late)
        await page.goto(demo.address)
        await asked.wait()
        await expect(page.locator("#panes")).to_have_js_property("inert", value=True)
        click = create_task(page.get_by_role("button", name="Like", exact=True).click())
        released.set()
        await click
        await expect(page.locator("#inbox .badge")).to_have_count(1)


@needs_chromium
async def test_a_call_that_fails_at_the_start_is_told_and_the_page_can_be_used(
    browser: Browser, demo: Demo
) -> None:
    async with opened(browser, "about:blank", tolerates=("ERR_FAILED",)) as page:
        await page.route("**/v1/quiet-hours", lambda route: route.abort(), times=1)
        await page.goto(demo.address)
        await expect(page.locator("#problem")).not_to_be_empty()
        await page.get_by_role("button", name="Like", exact=True).click()
        await expect(page.locator("#inbox .badge")).to_have_count(1)
