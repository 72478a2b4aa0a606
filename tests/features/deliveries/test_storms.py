"""Providers at their worst, over their own protocols: nothing is lost, or repeated when known."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from nova.features.accounts.models import NewDevice, SubscriptionKeys, WebSubscription
from nova.features.deliveries import Knobs, Pacing
from nova.features.deliveries.models import Delivery
from nova.features.deliveries.rules import PATIENCE, Patience
from nova.simulators.http import HttpServer
from nova.simulators.scripts import Rule
from nova.wire.origin import Bounds
from support.carried import TOPIC, apple, browsers, google
from support.delivered import Delivered, apns, delivered
from support.notified import event

PUSHED = ("ios", "android", "web")
MOODS = ("lost", "refused_stream", "goaway", "tarpit", "ok")
"""What a provider does to a device's first pushes; `ok` is always well."""
ODD, LIKES = 4, 12
IMPATIENT = Bounds(deadline_s=0.5, look_s=0.2)


def hasty(lane: str) -> Patience:
    names = {name: getattr(PATIENCE[lane], name) for name in PATIENCE[lane].__struct_fields__}
    soon = {"first_s": 0.02, "range_s": 0.05, "timeout_s": 2.0, "attempts": 1_000}
    return Patience(**(names | soon))


class Storm:
    """Ben's devices of every platform and every mood, and the providers behind them."""

    def __init__(self, world: Delivered, simulators: Mapping[str, Any]) -> None:
        self.world = world
        self.simulators = simulators

    async def begin(self) -> None:
        for lane, simulator in self.simulators.items():
            for mood in MOODS:
                await self._register(lane, f"x-{mood}")
                if mood != "ok":
                    simulator.script.add(Rule(match=f"x-{mood}", answer=mood, times=ODD))

    async def _register(self, lane: Any, token: str) -> None:
        if lane == "web":
            made = self.simulators["web"].subscribe(token)
            keys = SubscriptionKeys(p256dh=made.p256dh, auth=made.auth)
            given = WebSubscription(endpoint=made.endpoint, keys=keys)
            device = NewDevice(platform="web", subscription=given)
        elif lane == "ios":
            device = NewDevice(
                platform="ios", token=apns(token), topic=TOPIC, environment="production"
            )
        else:
            device = NewDevice(platform=lane, token=token)
        await self.world.accounts.register(self.world.ids["ben"], device)

    async def rages(self) -> None:
        """Say goodbye, cut connections and allow fewer and more streams, again and again."""
        turn = 0
        while True:
            await asyncio.sleep(0.05)
            turn += 1
            for simulator in self.simulators.values():
                server: HttpServer = simulator.server
                for peer in server.peers():
                    peer.limit_streams(1 if turn % 2 else 1_000)
                    if turn % 5 == 0:
                        peer.goodbye()
                    elif turn % 7 == 0:
                        peer.cut()

    def arrived(self, row: Delivery) -> Counter[str]:
        """Return how often a delivery arrived, by collapse id."""
        items = self.simulators[row.lane].received.items
        found = [_seen(row.lane, each) for each in items]
        return Counter(collapse for delivery, collapse in found if delivery == str(row.id))


def _seen(lane: str, received: Any) -> tuple[str, str]:
    """Return the delivery and the collapse id of what a provider got."""
    if lane == "ios":
        return received.id.lower(), received.collapse_id
    if lane == "android":
        message = received.message
        return message["data"]["delivery"], message["android"]["notification"]["tag"]
    notification = json.loads(received.read().plain)["notification"]
    return notification["data"]["delivery"], received.topic


@pytest.fixture
async def storm(dsn: str) -> AsyncIterator[Storm]:
    knobs = Knobs(
        spread_s=0.0,
        patience={lane: hasty(lane) for lane in PUSHED},
        pacing=dict.fromkeys(PUSHED, Pacing(wait_s=0.02)),
    )
    async with AsyncExitStack() as stack:
        iphones = await stack.enter_async_context(apple(bounds=IMPATIENT))
        fcm, android = await stack.enter_async_context(google(bounds=IMPATIENT))
        push_service, web = await stack.enter_async_context(browsers(bounds=IMPATIENT))
        world = await stack.enter_async_context(delivered(dsn, knobs=knobs))
        for lane, carrier in {"ios": iphones.carrier, "android": android, "web": web}.items():
            world.deliveries.platforms[lane].carrier = carrier  # type: ignore[assignment]
        await world.policy("like")
        one = Storm(world, {"ios": iphones.production, "android": fcm, "web": push_service})
        await one.begin()
        yield one


async def test_a_storm_loses_nothing_and_repeats_only_what_may_not_have_arrived(
    storm: Storm,
) -> None:
    world = storm.world
    raging = asyncio.create_task(storm.rages())
    await world.send(*(event(f"e{n}", actor_id="ada") for n in range(LIKES)))
    await world.planned(LIKES * len(PUSHED) * len(MOODS))
    await asyncio.sleep(1.5)
    raging.cancel()
    rows = await world.ended(LIKES * len(PUSHED) * len(MOODS))
    assert {(row.phase, row.status) for row in rows} == {("done", "sent")}
    repeated = 0
    for row in rows:
        attempts = (await world.deliveries.log.one(row.id)).attempts
        doubts = sum(each.verdict == "unknown" for each in attempts)
        arrived = storm.arrived(row)
        assert list(arrived) == [row.collapse_id]
        assert 1 <= arrived.total() <= 1 + doubts
        repeated += arrived.total() - 1
    assert repeated  # else the storm was none
    assert {lane.in_flight for lane in await world.deliveries.states()} == {0}
