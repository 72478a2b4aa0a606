"""The demo, as somebody sees it who opens the printed address in a browser."""

import re
from pathlib import Path

from playwright.async_api import Page, expect

from support.browser import needs_chromium
from support.demo import Demo
from support.programs import run

pytestmark = needs_chromium
pytest_plugins = ["support.demo_fixtures"]

LATER = """
hours => {
  const at = new Date(Date.now() + hours * 3_600_000);
  return new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}
"""


async def test_what_ada_does_rings_at_bens_with_measured_milliseconds(page: Page) -> None:
    for number, button in enumerate(("[data-act=like]", "[data-act=comment]", "#follow"), 1):
        await page.click(button)
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
    await expect(page.locator("#happened")).to_contain_text("Ben is not notified.")
    await expect(page.locator("#inbox li")).to_have_count(0)


async def test_the_call_that_is_shown_is_the_one_that_was_made(
    page: Page, demo: Demo, tmp_path: Path
) -> None:
    await page.click("[data-act=like]")
    await expect(page.locator("#inbox .badge")).to_have_count(1)
    await page.click("#call summary")
    signs = {"curl": "curl ", "Python": "urllib", "JavaScript": "fetch("}
    for language, sign in signs.items():
        await page.click(f"[data-tab={language.lower()}]")
        await expect(page.locator("#code")).to_contain_text(sign)
        shown = await page.locator("#code").inner_text()
        said = await run(language, shown, tmp_path, SERVER_KEY=demo.key.read_text().strip())
        assert "duplicate" in said


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


async def test_a_follow_is_on_bens_phone_and_in_his_mail_as_he_would_see_it(page: Page) -> None:
    await page.click("#follow")
    phone = page.get_by_role("region", name=re.compile("Ben.s phone"))
    await expect(phone.locator(".push b")).to_have_text("Ada follows you")
    await expect(phone.locator(".appbadge")).to_have_text("1")
    mail = page.locator("#mailbox")
    await expect(mail.get_by_role("heading", name="Ada follows you")).to_be_visible()
    await expect(mail).to_contain_text("ben@harbour.example")
    frame = mail.frame_locator("iframe")
    await expect(frame.get_by_role("heading", name="Ada follows you")).to_be_visible()
    assert await mail.locator("iframe").get_attribute("sandbox") == ""
    entry = page.locator("#inbox > li").first
    await expect(entry.locator(".chip.sent")).to_have_count(2)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.get_by_role("button", name="Bell").click()
    await entry.get_by_text("Why, and how fast?").click()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    for moment in ("phone planned", "phone tried", "phone sent", "mail sent"):
        await expect(entry.locator(".fall")).to_contain_text(moment)


async def test_likes_are_gathered_into_one_mail(page: Page) -> None:
    await page.click("[data-act=like]")
    await page.click("[data-act=like]")
    await expect(page.locator("#inbox .chip.gathered")).to_have_count(2)
    await expect(page.locator("#phone .push")).to_have_count(2)
    mail = page.locator("#mailbox .letter")
    await expect(mail).to_have_count(0)
    await expect(mail.locator("h3")).to_contain_text("liked")
    await expect(page.locator("#mailbox .subjects li")).to_have_count(1)
    await page.get_by_text("Show the API call").click()
    await page.set_viewport_size({"width": 1200, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth") == 1200


async def test_a_comment_that_was_seen_is_not_mailed(page: Page) -> None:
    await page.click("[data-act=comment]")
    await expect(page.locator("#inbox .chip.standby")).to_contain_text("mail: waits until")
    await page.click("#read")
    await expect(page.locator("#inbox .chip.dropped")).to_have_text("mail: not sent")
    await expect(page.locator("#mailbox .letter")).to_have_count(0)


async def test_quiet_hours_hold_push_and_mail_until_they_end(page: Page) -> None:
    await expect(page.locator("#ribbon")).to_contain_text("No quiet hours")
    await page.get_by_role("switch", name="Quiet hours now").check()
    await expect(page.locator("#ribbon")).to_contain_text("push and mail are held")
    await expect(page.locator("#ribbon .quiet-part").first).to_be_visible()
    await page.click("#follow")
    await expect(page.locator("#inbox .badge")).to_have_count(1)  # the bell is never held
    await expect(page.locator("#inbox .chip.held")).to_have_count(2)
    await expect(page.locator("#phone")).to_contain_text("Quiet hours")
    await expect(page.locator("#phone .push")).to_have_count(0)
    await page.get_by_role("switch", name="Quiet hours now").uncheck()
    await expect(page.locator("#phone .push")).to_have_count(1)
    await expect(page.locator("#mailbox .letter")).to_have_count(1)
    await expect(page.locator("#inbox .chip.sent")).to_have_count(2)


async def test_another_time_is_tried_out_against_bens_quiet_hours(page: Page) -> None:
    await page.get_by_role("switch", name="Quiet hours now").check()
    await expect(page.locator("#ribbon")).to_contain_text("push and mail are held")
    await page.get_by_text("Check another time").click()
    when = page.get_by_label("Time, by your own clock")
    answer = page.locator("#trial .told")
    for hours, says in ((25, "is held until"), (24 + 12, "goes out at once")):
        await when.fill(await page.evaluate(LATER, hours))
        await page.get_by_role("button", name="Check").click()
        await expect(answer).to_contain_text(says)
    await page.get_by_role("switch", name="Quiet hours now").uncheck()
    await expect(answer).to_have_count(0)  # it was of other hours


async def test_what_is_taken_back_leaves_bell_phone_and_digest(page: Page) -> None:
    await expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    await page.click("[data-act=like]")
    await expect(page.locator("#phone .push")).to_have_count(1)
    await expect(page.locator("#inbox .chip.gathered")).to_have_count(1)
    await page.get_by_role("button", name="Undo").click()
    await expect(page.locator("#inbox > li")).to_have_count(0)
    await expect(page.locator("#phone .push")).to_have_count(0)
    await expect(page.locator("#unseen")).to_have_text("0")
