"""Web Push leads to whatever servers somebody names: those that hang slow no others."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from nova.adapters.postgres.pool import PostgresPool
from nova.features.accounts.models import NewDevice, SubscriptionKeys, WebSubscription
from nova.features.deliveries import Knobs, Pacing
from nova.features.deliveries.lanes import store
from nova.features.deliveries.lanes.browsers import STEPS
from nova.features.deliveries.lanes.gates import Gate
from nova.features.deliveries.lanes.origins import MOST, Origins, origin_of, well_known
from nova.kernel.clock import ManualClock
from nova.ports.carriers import Outcome, Parcel, Verdict
from nova.simulators.webpush import WebPushSimulator
from nova.wire.origin import Bounds
from support.carried import browsers
from support.delivered import SENT, Delivered, Post, delivered, outcome
from support.notified import event
from support.watching import Watching

PLACES = Pacing().at_once
EIGHTH, QUARTER = PLACES // 8, PLACES // 4
PATIENT = Bounds(connections=8, deadline_s=300.0, connect_s=300.0)
MANY = 100


class Service(Post):
    """All push services at once: each answers, hangs or fails, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.hanging: set[str] = set()
        self.failing: dict[str, Outcome] = {}
        self.answering = asyncio.Event()

    async def send(self, parcel: Parcel) -> Outcome:
        origin = origin_of(parcel.target.address)
        self.busy += 1
        try:
            if origin in self.hanging:
                await self.answering.wait()
        finally:
            self.busy -= 1
        self.parcels.append(parcel)
        return self.failing.get(origin, SENT)

    def got(self, origin: str) -> int:
        return sum(origin_of(parcel.target.address) == origin for parcel in self.parcels)


@pytest.fixture
async def service() -> Service:
    return Service()


@pytest.fixture
async def here(dsn: str, service: Service) -> AsyncIterator[Delivered]:
    async with delivered(dsn, posts={"web": service}) as one:
        await one.policy("like")
        yield one
        service.answering.set()


async def likes(here: Delivered, count: int, of: str, start: int = 0) -> None:
    names = range(start, start + count)
    await here.send(*(event(f"{of}-{n}", actor_id="ada", recipient_id=of) for n in names))


@asynccontextmanager
async def tarpit() -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """Yield the port of a server that takes connections and never says a word."""
    taken: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(take, "0.0.0.0", 0)  # noqa: S104  # all of 127.0.0.0/8
    yield server.sockets[0].getsockname()[1], taken
    server.close()
    for each in taken:
        each.close()


@pytest.fixture
async def real(dsn: str) -> AsyncIterator[tuple[Delivered, WebPushSimulator]]:
    """Web Push over its own protocol; what hangs is waited for longer than the test takes."""
    patient = Knobs(spread_s=0.0, pacing={"web": Pacing(wait_s=0.05)})
    async with (
        browsers(bounds=PATIENT) as (push_service, carrier),
        delivered(dsn, knobs=patient) as one,
    ):
        lane = one.deliveries.platforms["web"]
        lane.carrier = carrier
        await one.policy("like")
        yield one, push_service
        for task in lane._sending:
            task.cancel()


async def subscribes(here: Delivered, who: str, endpoint: str, keys: SubscriptionKeys) -> None:
    device = NewDevice(platform="web", subscription=WebSubscription(endpoint=endpoint, keys=keys))
    await here.accounts.register(here.ids[who], device)


async def subscribed(here: Delivered, push_service: WebPushSimulator) -> SubscriptionKeys:
    """Give Ben a browser whose push service is well; return the keys of its subscription."""
    made = push_service.subscribe("firefox")
    keys = SubscriptionKeys(p256dh=made.p256dh, auth=made.auth)
    await subscribes(here, "ben", made.endpoint, keys)
    return keys


async def test_an_endpoint_that_hangs_leaves_the_lane_to_the_others(
    real: tuple[Delivered, WebPushSimulator],
) -> None:
    here, push_service = real
    lane = here.deliveries.platforms["web"]
    keys = await subscribed(here, push_service)
    async with tarpit() as (port, taken):
        await subscribes(here, "cleo", f"https://127.0.0.1:{port}/push", keys)
        await likes(here, MANY, of="cleo")
        await here.sees(lambda: lane.in_flight == EIGHTH)
        await likes(here, MANY, of="ben")
        await here.sees(lambda: push_service.received.count == MANY)
        assert lane.in_flight >= EIGHTH
        assert taken
        assert await here.ledger("cleo", status="attempted") == []


@pytest.mark.parametrize(
    "address", ["https:///x", "x", "https://ada:secret@push.example/", "https://10.0.0.1/x"]
)
async def test_what_waits_for_an_address_of_before_that_is_none_ends(
    real: tuple[Delivered, WebPushSimulator], address: str
) -> None:
    here, push_service = real
    await subscribed(here, push_service)
    await here.pool.run(
        "update accounts.devices set token = $1, address = sha256(convert_to($1, 'UTF8'))", address
    )
    await likes(here, 1, of="ben")
    (row,) = await here.ended(1)
    assert (row.phase, row.code) == ("failed", "forbidden_address")
    await here.deliveries.burial.round()
    state = next(each for each in await here.deliveries.states() if each.lane == "web")
    assert state.waiting == 0


async def test_endpoints_that_hang_under_many_names_share_a_quarter_of_the_lane(
    real: tuple[Delivered, WebPushSimulator],
) -> None:
    here, push_service = real
    lane = here.deliveries.platforms["web"]
    keys = await subscribed(here, push_service)
    await likes(here, 1, of="ben")
    await here.sees(lambda: push_service.received.count == 1)
    async with tarpit() as (port, _):
        for n in range(STEPS + 1):
            await subscribes(here, "cleo", f"https://127.0.1.{n}:{port}/push", keys)
        await likes(here, 5, of="cleo")
        await here.sees(lambda: lane.in_flight == QUARTER)
        await likes(here, MANY, of="ben", start=1)
        await here.sees(lambda: push_service.received.count == MANY + 1)
        assert lane.in_flight >= QUARTER


async def test_a_service_that_answered_and_then_hangs_leaves_an_eighth(
    here: Delivered, service: Service
) -> None:
    await here.phone("cleo", "https://turns.example/1", "web")
    await here.phone("ben", "https://other.example/1", "web")
    await likes(here, MANY, of="cleo")
    await here.sees(lambda: service.got("turns.example") == MANY)
    service.hanging.add("turns.example")
    await likes(here, MANY, of="cleo", start=MANY)
    await here.sees(lambda: service.busy == PLACES - EIGHTH)
    await likes(here, MANY, of="ben")
    await here.sees(lambda: service.got("other.example") == MANY)
    assert service.busy == PLACES - EIGHTH


async def test_a_well_known_service_has_nearly_the_whole_lane_from_the_beginning(
    here: Delivered, service: Service
) -> None:
    service.hanging = {"fcm.googleapis.com"}  # it takes its time
    await here.phone("cleo", "https://fcm.googleapis.com/fcm/send/1", "web")
    await here.phone("ben", "https://updates.push.services.mozilla.com/wpush/1", "web")
    await likes(here, MANY, of="cleo")
    await here.sees(lambda: service.busy == PLACES - EIGHTH)
    await likes(here, MANY, of="ben")
    await here.sees(lambda: service.got("updates.push.services.mozilla.com") == MANY)
    service.answering.set()
    await here.sees(lambda: service.got("fcm.googleapis.com") == MANY)


async def test_everybody_is_found_however_many_services_there_are(
    here: Delivered, service: Service
) -> None:
    for n in range(STEPS):
        for who in ("ben", "cleo"):
            await here.phone(who, f"https://{who}-{n}.example/1", "web")
    await likes(here, 1, of="ben")
    await likes(here, 1, of="cleo")
    await here.sees(lambda: len(service.parcels) == 2 * STEPS)
    assert len({parcel.target.address for parcel in service.parcels}) == 2 * STEPS


async def test_a_service_in_trouble_is_left_alone_and_no_other(dsn: str, service: Service) -> None:
    """Anybody may register endpoints of a server of his own, which is not there."""
    clock = ManualClock(datetime.now(UTC))
    async with delivered(dsn, clock=clock, posts={"web": service}) as here:
        service.failing["hole.example"] = outcome(Verdict.RETRY, "unsent")
        await here.policy("like")
        await here.phone("cleo", "https://hole.example/1", "web")
        await likes(here, MANY, of="cleo")
        lane: Any = here.deliveries.platforms["web"]
        await here.sees(lambda: lane.origins.of("hole.example").breaker.opened)
        await here.sees(lambda: lane.in_flight == 0)
        tried = service.got("hole.example")
        assert tried <= 2 * EIGHTH
        await here.phone("ben", "browser", "web")
        await likes(here, MANY, of="ben")
        await here.ended(MANY, status="sent")
        assert service.got("hole.example") == tried
        assert {each.breaker for each in await here.deliveries.states()} == {"closed"}


async def test_no_strangers_server_says_that_our_settings_are_wrong(
    here: Delivered, service: Service
) -> None:
    service.failing["mean.example"] = outcome(Verdict.MISCONFIGURED, "403")
    for who in ("ada", "ben", "cleo"):
        await here.phone(who, f"https://mean.example/{who}", "web")
        await here.like(f"of-{who}", of=who, by="ben" if who == "ada" else "ada")
        await here.planned(1, who, code="403")
    await here.phone("ben", "browser", "web")
    await here.like("e2")
    await here.ended(1, status="sent")
    assert not any(each.paused_until for each in await here.deliveries.states())


async def test_a_pace_holds_for_all_origins_together(dsn: str, service: Service) -> None:
    clock = ManualClock(datetime(2026, 1, 5, 12, tzinfo=UTC))
    knobs = Knobs(spread_s=0.0, pacing={"web": Pacing(per_s=10.0, wait_s=0.01)})
    async with delivered(dsn, clock=clock, knobs=knobs, posts={"web": service}) as here:
        await here.policy("like")
        for n in range(4):
            await here.phone("ben", f"https://service-{n}.example/1", "web")
        await likes(here, 10, of="ben")
        await here.planned(40)
        await here.sees(lambda: len(service.parcels) >= 11)
        await asyncio.sleep(0.2)
        assert len(service.parcels) == 11  # a burst of a second, and one
        clock.advance(1.0)
        await here.sees(lambda: len(service.parcels) == 21)


BACKLOG = """
insert into deliveries.deliveries (
    id, notification, kind, user_id, number, type, channel, lane, target, address, keys, title,
    body, data, locale, urgent, critical, collapse_id, made_at, expires_at, phase, status, due,
    priority, tries_from)
select gen_random_uuid(), gen_random_uuid(), 'single', gen_random_uuid(), n, 'like', 'web_push',
       'web', gen_random_uuid(), $1 || n, '{}', 'title', 'body', '{}', 'en', false, false, 'c',
       now(), now() + interval '1 day', 'waiting', 0, now() - interval '1 hour', 0, now()
  from generate_series(1, $2::int) n
"""


async def test_no_backlog_is_looked_at_for_another_origin(pool: PostgresPool) -> None:
    await pool.run(BACKLOG, "https://hangs.example/", 20_000)
    await pool.run(BACKLOG, "https://works.example/", 3)
    await pool.run("analyze deliveries.deliveries")
    watching: Any = Watching(pool)
    now = datetime.now(UTC)
    rows = await store.origins_due(watching, now, after="", walk=STEPS, also=[], bulk=False)
    assert [(row["origin"], row["due"]) for row in rows] == [
        ("hangs.example", True),
        ("works.example", True),
    ]
    assert watching.blocks < 50
    room = {"works.example": 5}
    await store.claim_for_origins(watching, now, room, 60.0, bulk=False)
    assert watching.blocks < 200
    left = await store.origins_due(pool, now, after="hangs.example", walk=1, also=[], bulk=False)
    assert [row["origin"] for row in left] == ["works.example"]  # leased, and not ended yet


def origins(places: int = 64) -> Origins:
    return Origins(lambda: 0.0, Gate(lambda: 0.0, places))


def test_a_share_grows_with_each_answer_and_is_halved_by_each_failure() -> None:
    share = origins().of("a.example")
    assert (share.at_once, share.earned) == (8, False)
    share.went(sick=False, now=0.0)
    assert (share.at_once, share.earned) == (9, True)
    for _ in range(100):
        share.went(sick=False, now=0.0)
    assert share.at_once == 56
    for expected in (28, 14, 8, 8):
        share.went(sick=True, now=0.0)
        assert share.at_once == expected


@pytest.mark.parametrize("places", [1, 2, 3, 7, 8])
def test_the_smallest_lane_has_a_place_for_everybody(places: int) -> None:
    all_of_them = origins(places)
    for origin in ("a.example", "b.example", "fcm.googleapis.com"):
        assert all_of_them.reserve([origin], 0.0, places, bulk=False)[origin] >= 1
        all_of_them.free(bulk=False)


def test_who_was_served_longest_ago_comes_first() -> None:
    all_of_them = origins()
    served: list[Sequence[str]] = []
    for _ in range(3):
        served.append(list(all_of_them.reserve(["a", "b", "c"], 0.0, EIGHTH, bulk=False)))
        all_of_them.free(bulk=False)
    assert served == [["a"], ["b"], ["c"]]


def test_only_so_many_origins_are_remembered_and_none_that_is_in_use() -> None:
    all_of_them = origins()
    used = all_of_them.of("used.example")
    used.begin(0.0)
    known = all_of_them.of("fcm.googleapis.com")
    for n in range(2 * MOST):
        all_of_them.of(f"{n}.example")
    assert len(all_of_them._shares) == MOST
    assert all_of_them.of("used.example") is used
    assert all_of_them.of("fcm.googleapis.com") is known


def test_whose_services_are_well_known() -> None:
    assert well_known(origin_of("https://FCM.googleapis.com/fcm/send/x"))
    assert well_known(origin_of("https://wns2-par02p.notify.windows.com/w/?token=x"))
    for address in (
        "https://fcm.googleapis.com@mean.example/x",
        "https://fcm.googleapis.com:8443/x",
        "https://mean.example/https://fcm.googleapis.com/",
        "https://notify.windows.com.mean.example/",
    ):
        assert not well_known(origin_of(address))
