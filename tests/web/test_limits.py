"""Rate limits: a burst, then a pace, in bounded memory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from nova.kernel.errors import TooMany, Unavailable
from nova.web.limits import Limiter, LocalLimits
from nova.web.routes import Limit


class Hand:
    """A clock's hand that is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


async def test_after_a_burst_calls_pass_at_the_pace() -> None:
    hand = Hand()
    limits = LocalLimits(now=hand)
    waits = [await limits.take("l", "ada", per_s=2, burst=3) for _ in range(4)]
    assert waits == [0, 0, 0, pytest.approx(0.5)]
    hand.at += 0.5
    assert await limits.take("l", "ada", per_s=2, burst=3) == 0
    assert await limits.take("l", "ada", per_s=2, burst=3) == pytest.approx(0.5)
    assert await limits.take("l", "ben", per_s=2, burst=3) == 0


async def test_a_look_takes_nothing() -> None:
    limits = LocalLimits(now=Hand())
    assert [await limits.take("l", "a", per_s=1, burst=1, cost=0) for _ in range(3)] == [0, 0, 0]
    assert await limits.take("l", "a", per_s=1, burst=1) == 0
    assert await limits.take("l", "a", per_s=1, burst=1, cost=0) == pytest.approx(1)


async def test_its_memory_is_bounded() -> None:
    limits = LocalLimits(most=100, now=Hand())
    for number in range(1000):
        await limits.take("l", str(number), per_s=1, burst=1)
    assert len(limits) == 100
    assert await limits.take("l", "999", per_s=1, burst=1) > 0


async def test_many_strangers_push_out_no_users_state() -> None:
    limits = LocalLimits(most=100, now=Hand())
    await limits.take("users", "ada", per_s=1, burst=1)
    for number in range(1000):
        await limits.take("strangers", str(number), per_s=1, burst=1)
    assert await limits.take("users", "ada", per_s=1, burst=1) > 0


@given(st.lists(st.floats(0, 5), max_size=60), st.integers(1, 5), st.integers(1, 10))
async def test_never_more_than_the_burst_and_the_pace(
    steps: list[float], per_s: int, burst: int
) -> None:
    hand = Hand()
    limits = LocalLimits(now=hand)
    passed = 0
    for step in steps:
        hand.at += step
        passed += await limits.take("l", "a", per_s=per_s, burst=burst) == 0
    assert passed <= burst + per_s * (hand.at - 1000) + 1e-6


class Gone:
    async def take(self, *_: object, **__: object) -> float:
        raise Unavailable


async def test_a_store_that_fails_opens_or_closes_as_declared() -> None:
    limiter = Limiter(Gone(), CollectorRegistry())
    await limiter.charge(Limit("open", 1, 1), "ada")
    with pytest.raises(Unavailable) as refusal:
        await limiter.charge(Limit("closed", 1, 1, fail_open=False), "ada")
    assert refusal.value.retry_after == 1


async def test_the_refusal_says_when_to_come_back() -> None:
    limiter = Limiter(LocalLimits(now=Hand()), CollectorRegistry())
    await limiter.charge(Limit("l", 0.1, 1), "ada")
    with pytest.raises(TooMany) as refusal:
        await limiter.charge(Limit("l", 0.1, 1), "ada")
    assert refusal.value.retry_after == pytest.approx(10)
