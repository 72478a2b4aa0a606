"""The demo's page for everybody: after an action, on a phone, by keyboard, in Arabic."""

from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from support.browser import needs_chromium
from support.clients import http_client
from support.demo import Demo, demo_page

pytestmark = needs_chromium
pytest_plugins = ["support.demo_fixtures"]

PHONE = {"width": 390, "height": 844}
PARTS = {"Bell": "#inbox", "Phone": "#phone", "Mail": "#mailbox", "Ada": "#acts"}
STYLE = (
    "node => { const s = getComputedStyle(node); return [s.cursor, s.backgroundColor, s.opacity] }"
)
WORDS = """
(title, texts) => texts.map(text => {
  const walker = document.createTreeWalker(title, NodeFilter.SHOW_TEXT);
  const node = walker.nextNode();
  const range = document.createRange();
  const start = node.data.indexOf(text);
  range.setStart(node, start);
  range.setEnd(node, start + text.length);
  return range.getBoundingClientRect().left;
})
"""


async def box(part: Locator) -> dict[str, float]:
    found: Any = await part.bounding_box()
    assert found is not None
    return dict(found)


async def tell(demo: Demo, actor: str, kind: str, **metadata: str) -> None:
    """Tell Nova as a backend that somebody did something to Ben."""
    key = {"Authorization": f"Bearer {demo.key.read_text().strip()}"}
    event = {"id": f"{kind}-1", "event_type": kind, "recipient_id": "ben", "actor_id": actor}
    async with http_client(demo.address, headers=key) as client:
        told = await client.post("/v1/events", json=event | {"metadata": metadata})
        assert told.is_success


async def test_follow_ben_follows_him_and_a_reload_shows_it(page: Page, demo: Demo) -> None:
    follow = page.get_by_role("button", name="Follow Ben", exact=True)
    unfollow = page.get_by_role("button", name="Unfollow Ben")
    await follow.click()
    await expect(unfollow).to_be_visible()
    await expect(page.locator("#inbox li").first).to_contain_text("Ada follows you")
    async with http_client(demo.address) as client:
        client.headers["Authorization"] = f"Bearer {demo.key.read_text().strip()}"
        related = await client.get("/v1/users/ada/relation/ben")
        assert related.json()["follows"] is True
        await page.reload()
        await unfollow.click()
        await expect(follow).to_be_visible()
        await expect(page.locator("#inbox li")).to_have_count(0)
        related = await client.get("/v1/users/ada/relation/ben")
        assert related.json()["follows"] is False
    await follow.click()
    await expect(page.locator("#happened")).to_contain_text("told of this follow before")


async def test_what_happened_is_said_above_everything_else(page: Page) -> None:
    await page.get_by_role("button", name="Like", exact=True).click()
    happened = page.get_by_role("status").filter(has_text="Ada liked Ben’s photo.")
    await expect(happened).to_contain_text("Ben saw it after")
    await expect(page.locator("#reached .chip")).to_have_count(3)
    latest, panes = await box(page.locator("#latest")), await box(page.locator("#panes"))
    assert latest["y"] + latest["height"] <= panes["y"]
    await page.locator("#story summary").click()
    await expect(page.locator("#story .fall")).to_contain_text("phone sent")
    await page.get_by_role("button", name="Undo the like").click()
    await expect(happened).to_have_count(0)
    await expect(page.locator("#happened")).to_contain_text("removed the notification")


async def test_what_a_backend_tells_is_said_there_too(page: Page, demo: Demo) -> None:
    await tell(demo, "cleo", "like")
    await expect(page.locator("#happened")).to_contain_text("Cleo liked")
    await expect(page.locator("#reached")).to_contain_text("bell: shown")


async def test_buttons_look_as_they_are(page: Page) -> None:
    undo, like, comment = (page.locator(each) for each in ("#undo", "[data-act=like]", "#drop"))
    await expect(undo).to_be_disabled()
    cursor, _, opacity = await undo.evaluate(STYLE)
    assert (cursor, float(opacity) < 1) == ("not-allowed", True)
    (_, primary, _), (_, other, _) = [await each.evaluate(STYLE) for each in (like, comment)]
    assert primary != other
    await like.click()
    await expect(undo).to_be_enabled()
    assert (await undo.evaluate(STYLE))[0] == "pointer"


async def test_a_post_says_how_it_went_and_keeps_what_was_not_sent(page: Page) -> None:
    await page.get_by_role("tab", name="Feed").click()
    field, send = (
        page.get_by_label("What Ada posts"),
        page.get_by_role("button", name="Post", exact=True),
    )
    said = page.locator("#ada-posts + .feedback")
    await field.fill("   ")
    await send.click()
    await expect(said).to_have_text("Write something first.")
    await expect(field).to_be_focused()
    await field.fill("Good morning")
    await send.click()
    await expect(said).to_contain_text("Posted.")
    await expect(field).to_have_value("")
    await expect(page.locator("#feed li").first).to_contain_text("Good morning")


async def test_a_phone_has_bell_phone_and_mail_one_tap_away(browser: Browser, demo: Demo) -> None:
    async with demo_page(browser, demo, viewport=PHONE, has_touch=True) as page:
        await page.get_by_role("button", name="Like", exact=True).tap()
        await expect(page.locator("#places [data-to=bell] .news")).to_have_text("1")
        await expect(page.locator("#places [data-to=phone] .news")).to_have_text("new")
        await tell(demo, "cleo", "comment", text="W" * 300)
        await expect(page.locator("#places [data-to=bell] .news")).to_have_text("2")
        assert (await box(page.locator("#latest")))["y"] < PHONE["height"] / 2
        for name, part in PARTS.items():
            button = page.get_by_role("button", name=name, exact=False).and_(
                page.locator("#places *")
            )
            place = await box(button)
            assert place["y"] + place["height"] <= PHONE["height"]
            await button.tap()
            await expect(button).to_have_attribute("aria-current", "true")
            await expect(page.locator(part)).to_be_in_viewport()
            for other in set(PARTS.values()) - {part}:
                await expect(page.locator(other)).to_be_hidden()
            assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        await expect(page.locator("#places [data-to=phone] .news")).to_be_hidden()


async def test_the_page_is_used_by_keyboard_alone(page: Page) -> None:
    like = page.get_by_role("button", name="Like", exact=True)
    await like.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#inbox .badge")).to_have_count(1)
    await expect(like).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(page.locator("#undo")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#inbox li")).to_have_count(0)
    await expect(like).to_be_focused()
    await page.get_by_role("tab", name="Photo").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Feed")).to_be_focused()
    await expect(page.locator("#view-feed")).to_be_visible()
    await page.keyboard.press("End")
    await expect(page.locator("#view-people")).to_be_visible()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#view-photo")).to_be_visible()


async def test_a_comment_that_is_being_written_stays_while_posts_come(page: Page) -> None:
    await page.get_by_role("tab", name="Feed").click()
    post = page.locator("#feed [data-author=cleo]")
    await post.get_by_role("button", name="Comments").click()
    field = post.get_by_label("Comment", exact=True)
    await field.fill("Half a sen")
    await page.get_by_label("What Ada posts").fill("Something else")
    await page.get_by_role("button", name="Post", exact=True).click()
    await expect(page.locator("#feed li").first).to_contain_text("Something else")
    await expect(field).to_have_value("Half a sen")


@pytest.mark.parametrize(("name", "before"), [("ليلى", "liked"), ("Bea", "liked")])
async def test_names_from_right_to_left_turn_nothing_round(
    page: Page, demo: Demo, name: str, before: str
) -> None:
    key = {"Authorization": f"Bearer {demo.key.read_text().strip()}"}
    async with http_client(demo.address, headers=key) as client:
        people = {"users": [{"external_id": "somebody", "name": name}]}
        assert (await client.post("/v1/users/bulk", json=people)).is_success
    await tell(demo, "somebody", "like")
    for title in (page.locator("#inbox .title").first, page.locator("#phone .push b").first):
        await expect(title).to_contain_text(before)
        left, right = await title.evaluate(WORDS, [name, before])
        assert left < right
    await page.get_by_role("tab", name="People").click()
    await expect(page.locator("#suggested [data-person=layla] b")).to_have_text("ليلى")


async def test_the_guide_names_the_next_step_and_stays_hidden_once_hidden(page: Page) -> None:
    guide = page.get_by_role("region", name="Welcome")
    await expect(guide).to_contain_text("You are Ada")
    await expect(guide).to_contain_text("Try next (1 of 6)")
    await page.get_by_role("button", name="Like", exact=True).click()
    await expect(guide).to_contain_text("Try next (2 of 6)")
    await page.get_by_role("button", name="Help").click()
    await expect(guide).to_be_hidden()
    await page.reload()
    await expect(page.locator("#state")).to_have_text("connected")
    await expect(guide).to_be_hidden()
    await page.get_by_role("button", name="Help").click()
    await expect(guide).to_contain_text("Try next (2 of 6)")


async def test_what_ben_chose_is_shown_after_a_reload(page: Page) -> None:
    likes = page.get_by_role("switch", name="Notify Ben about likes")
    async with page.expect_response("**/v1/preferences"):
        await likes.uncheck()
    await page.reload()
    await expect(likes).not_to_be_checked()
