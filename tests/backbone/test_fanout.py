"""What is not stored, on its way to other processes."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from msgspec import Raw
from prometheus_client import CollectorRegistry

from nova.adapters.postgres.pool import open_pool
from nova.backbone.fanout import MOST_WAITING, NotifyFanout
from nova.ports.database import Pool
from nova.ports.fanout import Published, Word
from support.waiting import until


def said(text: str) -> Published:
    return Published("live:tea", Raw(f'"{text}"'.encode()), Raw(b"null"))


def made(
    pool: Pool, *, others: bool = True, most: int = MOST_WAITING
) -> tuple[NotifyFanout, CollectorRegistry]:
    registry = CollectorRegistry()
    fanout = NotifyFanout(pool, others=lambda: others, registry=registry, most_waiting=most)
    return fanout, registry


async def heard_by(dsn: str, stack: AsyncExitStack) -> list[Word]:
    """Return a list that fills with what another process hears."""
    other, _ = made(await stack.enter_async_context(open_pool(dsn, size=1)))
    words: list[Word] = []
    other.listen(words.append)
    await other.start()
    return words


@pytest.mark.parametrize("text", ["a", "\N{HOT BEVERAGE}" * 20_000, "a\N{HOT BEVERAGE}" * 9_000])
async def test_words_of_any_length_arrive_as_they_were_told(
    dsn: str, pool: Pool, text: str
) -> None:
    async with AsyncExitStack() as stack:
        words = await heard_by(dsn, stack)
        here, _ = made(pool)
        told = [said("before"), said(text), said("after")]
        for each in told:
            here.tell(each)
        await here.turn()
        await until(lambda: len(words) == 3)
        assert words == told


async def test_a_process_alone_says_nothing(pool: Pool) -> None:
    here, _ = made(pool, others=False)
    here.tell(said("a"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await here.turn()


async def test_of_more_than_may_wait_the_oldest_are_lost_and_counted(dsn: str, pool: Pool) -> None:
    async with AsyncExitStack() as stack:
        words = await heard_by(dsn, stack)
        here, registry = made(pool, most=1_000)
        for number in range(100):
            here.tell(said(f"{number:02} " + "a" * 100))
        await here.turn()
        await until(lambda: words)
        assert 0 < len(words) < 10
        assert words[-1] == said("99 " + "a" * 100)
        assert registry.get_sample_value("nova_fanout_lost_total") == 100 - len(words)
