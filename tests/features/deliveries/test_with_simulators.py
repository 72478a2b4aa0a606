"""The whole way over the providers' own protocols: lanes, real carriers, simulators."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from nova.features.accounts.models import NewDevice, SubscriptionKeys, WebSubscription
from nova.features.deliveries import LANES, Knobs, Pacing
from nova.features.deliveries.burial import Caution
from nova.features.deliveries.rules import PATIENCE, Patience
from nova.ports.carriers import Carrier
from nova.simulators.scripts import Rule
from support.carried import TOPIC, apple, browsers, google, post_office
from support.delivered import Delivered, apns, delivered
from support.notified import event
from support.waiting import SOON_S


def hasty(lane: str) -> Patience:
    names = {name: getattr(PATIENCE[lane], name) for name in PATIENCE[lane].__struct_fields__}
    return Patience(**(names | {"first_s": 0.02, "range_s": 0.0, "timeout_s": SOON_S}))


KNOBS = Knobs(
    spread_s=0.0,
    public_url="https://nova.example",
    patience={lane: hasty(lane) for lane in LANES},
    pacing=dict.fromkeys(LANES, Pacing(wait_s=0.05)),
    caution=Caution(wait_s=0.0),
)


class Providers(NamedTuple):
    """All four, played by simulators."""

    world: Delivered
    apns: Any
    fcm: Any
    webpush: Any
    smtp: Any


@pytest.fixture
async def all_four(dsn: str) -> AsyncIterator[Providers]:
    async with AsyncExitStack() as stack:
        apns = await stack.enter_async_context(apple())
        fcm, android = await stack.enter_async_context(google())
        webpush, web = await stack.enter_async_context(browsers())
        smtp, mail = await stack.enter_async_context(post_office())
        world = await stack.enter_async_context(delivered(dsn, knobs=KNOBS))
        carriers: dict[str, Carrier] = {
            "ios": apns.carrier,
            "android": android,
            "web": web,
            "mail": mail,
        }
        for lane, carrier in carriers.items():
            world.deliveries.platforms[lane].carrier = carrier
        await world.policy("like")
        yield Providers(world, apns.production, fcm, webpush, smtp)


async def iphone(world: Delivered, who: str, token: str) -> None:
    device = NewDevice(platform="ios", token=apns(token), topic=TOPIC, environment="production")
    await world.accounts.register(world.ids[who], device)


async def firefox(all_four: Providers, who: str) -> None:
    made = all_four.webpush.subscribe("firefox")
    keys = SubscriptionKeys(p256dh=made.p256dh, auth=made.auth)
    subscription = WebSubscription(endpoint=made.endpoint, keys=keys)
    await all_four.world.accounts.register(
        all_four.world.ids[who], NewDevice(platform="web", subscription=subscription)
    )


async def test_one_like_reaches_all_four_kinds_of_device(all_four: Providers) -> None:
    world = all_four.world
    await iphone(world, "ben", "phone")
    await world.phone("ben", "pixel", "android")
    await firefox(all_four, "ben")
    await world.mailbox("ben")
    await world.send(event("e1", actor_id="ada", metadata={"title": "Tea"}))
    rows = await world.ended(4)
    assert {(row.lane, row.status) for row in rows} == {(lane, "sent") for lane in LANES}
    assert all(row.provider_id for row in rows if row.lane in ("ios", "android"))


async def test_a_dead_iphone_is_buried_since_when_apple_says(all_four: Providers) -> None:
    world = all_four.world
    await iphone(world, "ben", "Unregistered.b")
    await world.like("e1")
    (row,) = await world.ended(1)
    assert (row.phase, row.code) == ("failed", "Unregistered")
    await world.deliveries.burial.round()
    (device,) = await world.accounts.devices.of(world.ids["ben"])
    if device.dead_at is None:  # Apple's timestamp was from before the registration
        pushed = timedelta(days=1)
        await world.pool.run("update accounts.devices set seen_at = seen_at - $1", pushed)
        await world.pool.run("update deliveries.deliveries set phase = 'dead'")
        await world.deliveries.log.redrive_one(row.id)
        await world.ended(1, phase="failed")
        await world.deliveries.burial.round()
        (device,) = await world.accounts.devices.of(world.ids["ben"])
    assert device.dead_reason == "Unregistered"


async def test_a_lost_reply_is_resent_once_and_replaces_the_first(all_four: Providers) -> None:
    world = all_four.world
    all_four.fcm.script.add(Rule(match="pixel", answer="lost", times=1))
    await world.phone("ben", "pixel", "android")
    await world.like("e1")
    (row,) = await world.ended(1)
    assert (row.status, row.attempts, row.resends) == ("sent", 2, 1)
    detail = await world.deliveries.log.one(row.id)
    assert [each.verdict for each in detail.attempts] == ["unknown", "sent"]


async def test_a_quota_of_googles_is_obeyed_by_the_lane(all_four: Providers) -> None:
    world = all_four.world
    all_four.fcm.script.add(Rule(match="pixel", answer="QUOTA_EXCEEDED", times=1, retry_after="2"))
    await world.phone("ben", "pixel", "android")
    await world.like("e1")
    (row,) = await world.ended(1)
    detail = await world.deliveries.log.one(row.id)
    first, second = detail.attempts
    assert (first.verdict, first.code) == ("retry", "QUOTA_EXCEEDED")
    assert first.finished_at is not None
    assert second.started_at - first.finished_at >= timedelta(seconds=2)


async def test_mail_carries_the_one_click_and_its_own_message_id(all_four: Providers) -> None:
    world = all_four.world
    await world.mailbox("ben")
    await world.like("e1")
    (row,) = await world.ended(1)
    (mail,) = all_four.smtp.received.items
    letter = mail.read()
    headers = {name.lower(): value for name, value in letter.headers.items()}
    assert headers["list-unsubscribe-post"] == "List-Unsubscribe=One-Click"
    assert headers["list-unsubscribe"].startswith("<https://nova.example/v1/unsubscribe/")
    assert row.id.hex in headers["message-id"].replace("-", "")
    assert "Ada liked your post" in headers["subject"]


async def test_an_unlike_replaces_what_is_out_by_collapse_id_tag_and_topic(
    all_four: Providers,
) -> None:
    world = all_four.world
    await iphone(world, "ben", "phone")
    await world.phone("ben", "pixel", "android")
    await firefox(all_four, "ben")
    await world.like("e1")
    await world.ended(3)
    (shown,) = await world.inbox("ben")
    await world.all.removal.delete(world.ids["ben"], UUID(shown["id"]))
    rows = await world.ended(6)
    assert {(row.lane, row.kind, row.status) for row in rows} == {
        (lane, kind, "sent") for lane in ("ios", "android", "web") for kind in ("single", "recall")
    }
    apple_saw = [each.collapse_id for each in all_four.apns.received.items]
    browser_saw = [each.topic for each in all_four.webpush.received.items]
    collapse_id = UUID(shown["id"]).hex
    assert apple_saw == browser_saw == [collapse_id] * 2
    first, recall = (each.message for each in all_four.fcm.received.items)
    assert first["android"]["notification"]["tag"] == collapse_id
    assert "notification" not in recall  # silent: the app takes it back
    assert recall["data"]["nova"] == "recall"
    assert recall["data"]["notification"] == shown["id"]
