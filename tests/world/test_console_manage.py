"""Types, policies, webhooks and posts in the console: looked at, changed, and taken away."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Browser, expect

from support.app import App
from support.browser import needs_chromium
from support.console import console
from support.deployment import deployed

pytestmark = needs_chromium

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


async def test_a_type_is_added_changed_and_removed(browser: Browser, app: App) -> None:
    name = f"order_{uuid4().hex[:8]}"
    async with console(browser, app, "types/+", tolerates=("422",)) as page:
        await page.get_by_label("Name", exact=True).fill("Not A Name")
        title = page.locator(".wording input").nth(1)
        await title.fill("{actor.nam} shipped it")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(
            re.compile("lower-case")
        )
        await page.get_by_label("Name", exact=True).fill(name)
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".field.wide .error")).to_contain_text(["no placeholder"])
        await title.fill(HOSTILE + " {actor.name}")
        await page.get_by_role("button", name="Add a language").click()
        german = page.locator(".wording").nth(1)
        await german.get_by_label("Language").fill("de")
        await german.get_by_label("Title", exact=True).fill("{actor.name} hat es geschickt")
        await page.get_by_label("Mail").select_option("off")
        await page.get_by_role("button", name="Save").click()
        await expect(page).to_have_url(re.compile(f"#types/{name}$"))
        async with app.client() as client:
            kind = (await client.get(f"/v1/notification-types/{name}")).json()["kind"]
        assert set(kind["templates"]) == {"en", "de"}
        assert kind["channels"] == {"email": False}
        await page.get_by_role("button", name="Remove this type").click()
        await page.get_by_role("button", name=re.compile("Remove it")).click()
        await expect(page).to_have_url(re.compile("#types$"))
        async with app.client() as client:
            assert (await client.get(f"/v1/notification-types/{name}")).status_code == 404


async def test_a_policy_is_changed_and_taken_back(browser: Browser, app: App) -> None:
    async with console(browser, app, "policies/stream_update", tolerates=("422",)) as page:
        now = page.locator(".told").first
        await expect(now).to_have_text("Now: Mail: gathered, sent at 18:00.")
        gathered = page.get_by_role("group", name="Gather several into one")
        each = page.get_by_role("group", name="For each person")
        unseen = page.get_by_role("group", name="Only if unseen")
        mail = gathered.get_by_label("Mail")
        await expect(mail).to_have_value("18:00")
        await mail.fill("")
        push = gathered.get_by_label("Push", exact=True)
        await push.fill("evening")
        await page.get_by_role("button", name="Save").click()
        await expect(push).to_have_accessible_description(re.compile("a time such as 22:00"))
        await push.fill("900")
        bound = each.get_by_label("At most")
        await bound.fill("0")
        await page.get_by_role("button", name="Save").click()
        await expect(bound).to_have_accessible_description(re.compile("1"))
        await page.get_by_label("Urgent").check()
        await bound.fill("3")
        await each.get_by_label("In so many seconds").fill("3600")
        await unseen.get_by_label("Mail").fill("900")
        await page.get_by_role("button", name="Save").click()
        await expect(now).to_have_text(
            "Now: urgent; at most 3 in 1 hour for each person; Push: gathered, sent 15 minutes "
            "after the first; Mail: only if unseen for 15 minutes."
        )
        await page.get_by_role("button", name="Go back to the built-in policy").click()
        await page.get_by_role("button", name="Lose your changes?").click()
        await expect(now).to_have_text("Now: Mail: gathered, sent at 18:00.")


@asynccontextmanager
async def backend() -> AsyncIterator[tuple[str, list[bytes]]]:
    """Listen as the app's backend would: yield the address, and the bodies of calls."""
    came: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length
        came.append(await reader.readexactly(int(length[1])))
        writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came


async def test_a_webhook_is_added_tested_changed_and_removed(
    browser: Browser, tmp_path: Path, dsn: str
) -> None:
    own = {"NOVA_OUTGOING_ALLOWED_NETWORKS": '["127.0.0.0/8"]', "NOVA_DATABASE": dsn}
    async with deployed(tmp_path, **own) as deployment, backend() as (url, came):
        app = await deployment.start()
        async with console(browser, app, "webhooks", tolerates=("422",)) as page:
            await page.get_by_text("Add a webhook").click()
            new = page.get_by_role("form", name="New webhook")
            await new.get_by_label("Address").fill("http://169.254.169.254/")
            await new.get_by_role("button", name="Add").click()
            address = new.get_by_label("Address")
            await expect(address).to_have_accessible_description(re.compile("169.254|allowed"))
            await address.fill(url)
            await new.get_by_role("button", name="Add").click()
            secret = await page.locator(".made code").inner_text()
            assert secret.startswith("whsec_")
            await page.get_by_role("button", name="I have copied it").click()
            assert secret not in await page.content()
            card = page.locator(".hook")
            await card.get_by_role("button", name="Send a test").click()
            call = card.get_by_role("table").locator("tbody tr").first
            await expect(call).to_contain_text("webhook.test")
            await expect(call).to_contain_text("answered")
            assert json.loads(came[0])["type"] == "webhook.test"
            await card.get_by_text("Change address or events").click()
            change = card.get_by_role("form", name="Change this webhook")
            wanted = change.get_by_role("group", name="Events")
            await wanted.get_by_label("given up").check()
            await wanted.get_by_label("failed").check()
            await change.get_by_role("button", name="Save").click()
            await expect(page.locator(".hook > p").first).to_contain_text(
                "delivery.failed, delivery.dead"
            )
            await card.get_by_role("button", name="Remove").click()
            await card.get_by_role("button", name=re.compile("drop its waiting calls")).click()
            await expect(card).to_have_count(0)


@pytest.fixture
async def posted(app: App) -> tuple[str, str]:
    """Ada has posted something, and Ben has said something to it."""
    ada, ben = await app.people(2)
    async with app.client() as client:
        post = await client.post(f"/v1/posts?user={ada}", json={"text": HOSTILE})
        path = f"/v1/posts/{post.json()['id']}"
        said = await client.post(f"{path}/comments?user={ben}", json={"text": HOSTILE + "!"})
        reply = {"text": "quite so", "reply_to": said.json()["id"]}
        assert (await client.post(f"{path}/comments?user={ada}", json=reply)).is_success
    return ada, path


async def test_posts_are_looked_at_with_their_comments_and_taken_away(
    browser: Browser, app: App, posted: tuple[str, str]
) -> None:
    ada, path = posted
    async with console(browser, app, f"posts/by/{ada}") as page:
        post = page.locator(".post")
        await expect(post).to_have_count(1)
        await expect(post.locator(".text").first).to_have_text(HOSTILE)
        await post.get_by_text("0 likes, 2 comments").click()
        comment = post.locator(".comments > li").first
        await expect(comment.locator(".text").first).to_have_text(HOSTILE + "!")
        await comment.get_by_text("1 reply").click()
        await expect(comment.get_by_text("quite so")).to_be_visible()
        await comment.locator(":scope > .foot > button").click()
        await comment.get_by_role("button", name="Delete this comment with its replies?").click()
        await expect(post.get_by_text("0 likes, 0 comments")).to_be_visible()
        await post.get_by_role("button", name="Delete").last.click()
        await page.get_by_role("button", name="Delete this post with its comments?").click()
        await expect(page.get_by_text("There are none.")).to_be_visible()
        async with app.client() as client:
            assert (await client.get(path)).status_code == 404
