"""What a process did lately: rates and percentiles of what it counts anyway."""

from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram

from nova.feature import Feature
from nova.features.operations.overview import Timing, percentile
from nova.features.operations.watch import EVERY_S, KEPT, Watch
from nova.kernel.clock import ManualClock
from nova.web.actors import Rule
from nova.web.metrics import Requests
from nova.web.routes import Call, Route


async def nothing(_call: Call[Any, Any]) -> None:
    return None


POSTS = Feature(
    name="posts",
    routes=[
        Route(method="GET", path="/v1/posts", rule=Rule.SERVER, handler=nothing, summary="List")
    ],
)


class Counting:
    """A process that counts as Nova does, and is watched."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.decided = Counter("nova_notifications", "", ["outcome"], registry=registry)
        self.consumed = Counter("nova_log_events", "", ["consumer"], registry=registry)
        self.published = Histogram(
            "nova_notifications_seconds", "", registry=registry, buckets=(0.002, 0.01, 0.05)
        )
        self.asked = Requests(registry, busy=int)
        self.refused: dict[str, int] = {}
        self.watch = Watch(registry, self.clock, lambda: [POSTS], lambda: 7, lambda: self.refused)

    def step(self) -> None:
        self.clock.advance(EVERY_S)
        self.watch.look()


@pytest.fixture
def here() -> Counting:
    return Counting()


def test_at_the_start_nothing_has_happened(here: Counting) -> None:
    seen = here.watch.overview()
    assert (seen.window_s, seen.sockets, seen.timings) == (0.0, 7, [])
    assert {each.name: (each.per_s, each.lately) for each in seen.rates} == dict.fromkeys(
        ("events", "requests", "deliveries"), (0.0, [])
    )


def test_sockets_that_were_one_too_many_are_told_by_setting(here: Counting) -> None:
    assert here.watch.overview().sockets_refused == []
    here.refused["socket.per_user"] = 3
    [seen] = here.watch.overview().sockets_refused
    assert (seen.setting, seen.lately, seen.total) == ("socket.per_user", 3, 3)
    for _ in range(KEPT):
        here.step()
    here.refused["socket.per_user"] = 4
    [seen] = here.watch.overview().sockets_refused
    assert (seen.lately, seen.total) == (1, 4)


@pytest.mark.parametrize(("jump", "told"), [(3_600.0, 3_600.0), (-90.0, -90.0), (0.3, 0.0)])
def test_a_clock_that_was_set_is_told_for_five_minutes(
    here: Counting, jump: float, told: float
) -> None:
    here.step()
    assert here.watch.overview().clock_jumped_s == 0.0
    here.clock.jump(jump)
    assert here.watch.overview().clock_jumped_s == told
    for _ in range(KEPT):
        here.step()
    assert here.watch.overview().clock_jumped_s == 0.0


def test_rates_are_of_the_last_seconds_and_of_each_step(here: Counting) -> None:
    here.decided.labels("stored").inc(30)
    here.decided.labels("muted").inc(10)
    here.consumed.labels("notifications").inc(40)
    here.step()
    here.step()
    here.decided.labels("stored").inc(120)
    seen = here.watch.overview()
    events = next(each for each in seen.rates if each.name == "events")
    assert (events.per_s, events.lately) == (12.0, [4.0, 0.0])
    [consumer] = seen.consumers
    assert (consumer.name, consumer.per_s, consumer.lately) == ("notifications", 0.0, [4.0, 0.0])
    assert seen.window_s == 2 * EVERY_S


def test_a_moment_after_a_reading_the_rate_is_still_of_seconds(here: Counting) -> None:
    here.decided.labels("stored").inc(50)
    here.step()
    here.clock.advance(0.1)
    here.decided.labels("stored").inc(51)
    events = next(each for each in here.watch.overview().rates if each.name == "events")
    assert events.per_s == 10.0


def test_times_are_told_by_feature_and_forgotten_after_five_minutes(here: Counting) -> None:
    posts, elsewhere = here.asked.of("GET", "/v1/posts"), here.asked.of("GET", "/v1/channels")
    for _ in range(100):
        posts.observe(200, 0.004)
    elsewhere.observe(404, 0.3)
    here.published.observe(0.009)
    assert here.watch.overview().timings == [
        Timing(
            feature="notifications", what="published", count=1, p50_ms=6, p95_ms=9.6, p99_ms=9.92
        ),
        Timing(feature="posts", what="answered", count=100, p50_ms=3.75, p95_ms=4.88, p99_ms=4.98),
        Timing(feature="sockets", what="answered", count=1, p50_ms=375, p95_ms=487.5, p99_ms=497.5),
    ]
    for _ in range(KEPT):
        here.step()
    seen = here.watch.overview()
    assert (seen.timings, seen.window_s) == ([], (KEPT - 1) * EVERY_S)
    assert all(len(each.lately) == KEPT - 1 for each in seen.rates)


def test_what_was_never_asked_for_is_not_measured(here: Counting) -> None:
    here.asked.of("GET", "/v1/posts")
    assert not [each for each in here.watch._samples() if "route" in each.labels]


def test_what_took_longer_than_the_last_bound_is_told_with_it() -> None:
    assert percentile({0.01: 1.0, 0.5: 1.0, inf: 100.0}, 0.95) == 0.5


@given(st.lists(st.floats(0.0001, 0.999), min_size=1, max_size=200), st.floats(0.01, 1.0))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    bounds = [0.001, 0.01, 0.1, 0.25, 0.5, 1.0, inf]
    buckets = {bound: float(sum(time <= bound for time in times)) for bound in bounds}
    ranked = sorted(times)
    rank = share * len(times)
    true = ranked[max(0, -int(-rank // 1) - 1)]
    found = percentile(buckets, share)
    low = max([0.0, *(bound for bound in bounds if bound < true)])
    high = min(bound for bound in bounds if true <= bound)
    assert low <= found <= high + 1e-9
