"""The demo, as somebody sees it who opens the printed address in a browser."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

CHROMIUM = Path("/usr/bin/chromium")

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and not os.environ.get("CI"), reason="chromium is not installed"
)


@pytest.fixture
async def address() -> AsyncIterator[str]:
    """Run `nova demo`, and return the address that it prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "nova", "demo", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        yield next(word for word in line.split() if word.startswith("http"))
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
async def page(address: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox"]
        )
        page = await browser.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.on("console", lambda said: broken.append(said.text) if said.type == "error" else None)
        await page.goto(address)
        await expect(page.locator("#state")).to_have_text("connected")
        yield page
        await browser.close()
        assert broken == []


async def test_what_ada_does_rings_at_bens_with_measured_milliseconds(page: Page) -> None:
    for number, act in enumerate(("like", "comment", "follow"), 1):
        await page.click(f"[data-act={act}]")
        await expect(page.locator("#inbox .badge")).to_have_count(number)
        await expect(page.locator("#unseen")).to_have_text(str(number))
    for badge in await page.locator("#inbox .badge").all_inner_texts():
        assert float(badge.removesuffix(" ms")) > 0
    await page.click("#read")
    await expect(page.locator("#counts")).to_have_text("0 unseen, 0 unread")
    await page.locator("#inbox summary").first.click()
    await expect(page.locator("#inbox .fall").first).to_contain_text("published")


async def test_a_dropped_socket_recovers_what_it_missed(page: Page) -> None:
    await page.click("#drop")
    await expect(page.locator("#state")).to_have_text("disconnected")
    await page.click("[data-act=like]")
    await expect(page.locator("#code")).to_contain_text("event_type")
    await expect(page.locator("#inbox li")).to_have_count(0)
    await page.click("#drop")
    await expect(page.locator("#inbox .badge")).to_have_text("recovered")


async def test_likes_that_are_not_wanted_do_not_ring_and_the_page_says_why(page: Page) -> None:
    async with page.expect_response("**/v1/preferences"):
        await page.click("#likes")
    await page.click("[data-act=like]")
    await expect(page.locator("#why")).to_contain_text("suppressed")
    await expect(page.locator("#inbox li")).to_have_count(0)


async def test_the_call_is_shown_in_three_languages(page: Page) -> None:
    await page.click("[data-act=like]")
    await page.click("#call summary")
    for language, sign in (("curl", "curl "), ("python", "urllib"), ("javascript", "fetch(")):
        await page.click(f"[data-tab={language}]")
        await expect(page.locator("#code")).to_contain_text(sign)
        await expect(page.locator("#code")).to_contain_text("/v1/events")


async def test_whom_ada_follows_comes_into_her_feed_and_her_likes_ring(page: Page) -> None:
    await page.click("[data-view=feed]")
    await expect(page.locator("#feed [data-author=cleo]")).to_contain_text("coffee")
    await expect(page.locator("#feed [data-author=ben]")).to_have_count(0)
    await page.click("[data-view=people]")
    ben = page.locator("#suggested [data-person=ben]")
    await expect(ben).to_contain_text("followed by Cleo and Dora")
    await ben.get_by_role("button").click()
    await expect(page.locator("#followed [data-person=ben]")).to_be_visible()
    await expect(page.locator("#inbox li").first).to_contain_text("Ada follows you")
    await page.click("[data-view=feed]")
    post = page.locator("#feed [data-author=ben]")
    await post.get_by_role("button", name="Like").click()
    await expect(post.get_by_role("button", name="Like")).to_have_text("♥ 1")
    await expect(page.locator("#inbox li").first).to_contain_text("Ada liked your post")
    await expect(page.locator("#inbox .badge").first).to_contain_text("ms")
    await post.get_by_role("button", name="Comments").click()
    await post.get_by_label("Comment", exact=True).fill("Lovely, @ben")
    await post.get_by_role("button", name="Send").click()
    await expect(post.locator(".comments li")).to_have_text("Ada Lovely, @ben")
    await expect(page.locator("#inbox li").first).to_contain_text("Ada commented on your post")
    await page.click("[data-view=people]")
    await page.locator("#followed [data-person=ben]").get_by_role("button").click()
    await expect(page.locator("#suggested [data-person=ben]")).to_be_visible()
    await page.click("[data-view=feed]")
    await expect(page.locator("#feed [data-author=ben]")).to_have_count(0)


async def test_new_posts_come_into_an_open_feed_by_themselves(page: Page) -> None:
    await page.click("[data-view=people]")
    await page.locator("#suggested [data-person=ben]").get_by_role("button").click()
    await expect(page.locator("#followed [data-person=ben]")).to_be_visible()
    await page.click("[data-view=feed]")
    await page.fill("#ben-posts input", "Fog over the pier")
    await page.click("#ben-posts button")
    await expect(page.locator("#feed li").first).to_contain_text("Fog over the pier")
    await page.fill("#ada-posts input", "Good morning, @ben")
    await page.click("#ada-posts button")
    await expect(page.locator("#feed li").first).to_contain_text("Good morning")
    await expect(page.locator("#inbox li").first).to_contain_text("Ada mentioned you")
