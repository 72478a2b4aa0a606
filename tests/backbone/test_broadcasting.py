"""What processes hear of one another's channels, whatever carries it and whatever it loses."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from msgspec import Raw
from prometheus_client import CollectorRegistry

from nova.adapters.local.broadcast import Exchange, LocalBroadcast
from nova.backbone.broadcasting import Broadcasting
from nova.backbone.fanout import NotifyFanout
from nova.backbone.neighbours import Neighbours
from nova.kernel.errors import Unavailable
from nova.ports.broadcast import EVERYBODY, Lost, Message
from nova.ports.channels import Publication
from nova.ports.database import Pool
from nova.ports.fanout import Came, Published, SentAway, Word
from support.waiting import until


class Faulty(LocalBroadcast):
    """An engine that may be away, and may forget its members."""

    away = False
    forgets = False

    async def join(self, member: int) -> None:
        self._refuse()
        await super().join(member)

    async def follow(self, channels: Sequence[str]) -> None:
        self._refuse()
        await super().follow(channels)

    async def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        self._refuse()
        return await super().publish(messages)

    async def receive(self) -> Sequence[Message]:
        messages = await super().receive()
        if self.forgets:
            self.forgets = False
            await self.close()
            raise Lost
        return messages

    def _refuse(self) -> None:
        if self.away:
            raise Unavailable


class Process:
    """One of several, as far as it broadcasts."""

    def __init__(self, pool: Pool, exchange: Exchange, **knobs: Any) -> None:
        self.engine = Faulty(exchange)
        self.neighbours = Neighbours(pool, {}, lease_s=3600)
        self.registry = CollectorRegistry()
        self.publications: list[Publication] = []
        self.words: list[Word] = []
        self.checks = 0
        orders = NotifyFanout(pool, others=lambda: True, registry=self.registry)
        self.broadcasting = Broadcasting(
            self.engine,
            self.neighbours,
            orders,
            registry=self.registry,
            heard=self.publications.extend,
            **knobs,
        )
        self.broadcasting.listen(self.words.append)
        self.broadcasting.on_missed(self._check)

    def _check(self) -> None:
        self.checks += 1

    def say(self, channel: str, *offsets: int) -> None:
        self.broadcasting.publish([Publication(channel, each, b"{}") for each in offsets])

    def offsets(self, channel: str) -> list[int]:
        return [each.offset for each in self.publications if each.channel == channel]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.neighbours.start()
        turns = (
            self.neighbours.turn,
            self.broadcasting.interest_turn,
            self.broadcasting.publish_turn,
            self.broadcasting.receive_turn,
        )
        tasks = [asyncio.create_task(_repeat(turn)) for turn in turns]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.neighbours.leave()


async def _repeat(turn: Callable[[], Any]) -> None:
    while True:
        try:
            await turn()
        except Unavailable:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def processes(pool: Pool, count: int = 2, **knobs: Any) -> AsyncIterator[list[Process]]:
    """Yield processes that know one another."""
    exchange = Exchange()
    made = [Process(pool, exchange, **knobs) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for each in made:
            await stack.enter_async_context(each.running())
        await until(lambda: all(each.broadcasting.is_settled for each in made))
        yield made


async def test_each_hears_of_the_others_what_it_follows(pool: Pool) -> None:
    async with processes(pool, 3) as (one, other, third):
        for each in (one, other):
            each.broadcasting.follow("room:tea")
            await each.broadcasting.heard("room:tea")
        third.broadcasting.follow("room:milk")
        one.say("room:tea", 1, 2)
        one.say("room:milk", 3)
        one.broadcasting.tell(Published("room:tea", Raw(b'"now"'), Raw(b"null")))
        await until(lambda: other.words and third.publications)
        assert (one.publications, other.offsets("room:tea")) == ([], [1, 2])
        assert third.offsets("room:milk") == [3]
        assert (other.words, third.words) == (
            [Published("room:tea", Raw(b'"now"'), Raw(b"null"))],
            [],
        )


async def test_a_process_alone_sends_nothing_and_follows_nothing(pool: Pool) -> None:
    exchange = Exchange()
    alone = Process(pool, exchange)
    async with alone.running():
        alone.broadcasting.follow("room:tea")
        await alone.broadcasting.heard("room:tea")
        alone.say("room:tea", 1)
        assert not exchange.followers
        assert alone.checks == 0
        other = Process(pool, exchange)
        async with other.running():
            # Now it matters, and what was published before is looked for.
            await until(lambda: "room:tea" in exchange.followers and alone.checks and other.checks)
            other.say("room:tea", 2)
            await until(lambda: alone.publications)
        assert alone.offsets("room:tea") == [2]
        assert other.publications == []
        checks = alone.checks
        await until(lambda: not alone.broadcasting.others and alone.checks > checks)


async def test_the_last_of_follow_and_unfollow_holds(pool: Pool) -> None:
    async with processes(pool) as (one, other):
        for _ in range(50):
            one.broadcasting.follow("room:tea")
            one.broadcasting.unfollow("room:milk")
            one.broadcasting.unfollow("room:tea")
            one.broadcasting.follow("room:milk")
            await asyncio.sleep(0)
        await until(lambda: one.broadcasting.is_settled)
        other.say("room:tea", 1)
        other.say("room:milk", 2)
        await until(lambda: one.publications)
        assert one.publications == [Publication("room:milk", 2, b"{}")]


async def test_while_the_engine_is_away_sockets_go_on_and_then_catch_up(pool: Pool) -> None:
    async with processes(pool) as (one, other):
        one.engine.away = other.engine.away = True
        one.broadcasting.follow("room:tea")
        await one.broadcasting.heard("room:tea")  # it does not wait for ever
        other.say("room:tea", 1)
        one.engine.away = other.engine.away = False
        other.say("room:tea", 2)
        await until(lambda: one.broadcasting.is_settled)
        other.say("room:tea", 3)
        await until(lambda: 3 in one.offsets("room:tea"))
        assert one.offsets("room:tea") in ([1, 2, 3], [2, 3], [3])


async def test_of_more_than_may_wait_the_others_are_told_to_look(pool: Pool) -> None:
    async with processes(pool, most_waiting=500) as (one, other):
        other.broadcasting.follow("room:tea")
        await other.broadcasting.heard("room:tea")
        checks = other.checks
        one.engine.away = True
        one.say("room:tea", *range(1, 101))
        one.engine.away = False
        await until(lambda: other.checks > checks)
        lost = one.registry.get_sample_value("nova_broadcast_lost_total") or 0
        assert lost > 0
        assert other.offsets("room:tea") == list(range(int(lost) + 1, 101))


async def test_who_was_forgotten_by_the_engine_joins_again_and_looks(pool: Pool) -> None:
    async with processes(pool) as (one, other):
        one.broadcasting.follow("room:tea")
        await one.broadcasting.heard("room:tea")
        checks = one.checks
        one.engine.forgets = True
        other.say("room:tea", 1)
        await until(lambda: one.checks > checks and one.broadcasting.is_settled)
        other.say("room:tea", 2)
        await until(lambda: one.publications)
        assert one.offsets("room:tea") == [2]


async def test_who_was_taken_for_dead_joins_again(pool: Pool) -> None:
    async with processes(pool) as (one, other):
        one.broadcasting.follow("room:tea")
        await one.broadcasting.heard("room:tea")
        await pool.run("delete from backbone.processes where id = $1", one.neighbours.id)
        await other.neighbours.beat()
        assert not other.broadcasting.others
        checks = one.checks
        await one.neighbours.beat()
        await until(lambda: one.checks > checks and other.broadcasting.is_settled)
        other.say("room:tea", 1)
        await until(lambda: one.publications)


@pytest.mark.parametrize(
    "data", [b"", b"p", b"p\xc1", b"w", b"w[99]", b"w{", b"x", b'w[4,"no id"]', bytes(range(256))]
)
async def test_what_another_version_says_is_passed_over(pool: Pool, data: bytes) -> None:
    async with processes(pool) as (one, other):
        one.broadcasting.follow("room:tea")
        await one.broadcasting.heard("room:tea")
        await other.engine.publish([Message("room:tea", data)])
        other.say("room:tea", 1)
        await until(lambda: one.publications)
        assert (one.offsets("room:tea"), one.words) == ([1], [])


async def test_orders_do_not_come_by_channels(pool: Pool) -> None:
    """Who can write to the engine alone can send nobody away."""
    async with processes(pool) as (one, other):
        one.broadcasting.follow("room:tea")
        await one.broadcasting.heard("room:tea")
        order = b'w[4,"0198c2f4-0000-7000-8000-000000000000",false]'
        await other.engine.publish([Message("room:tea", order)])
        other.broadcasting.tell(Came("room:tea", Raw(b"{}")))
        await until(lambda: one.words)
        assert one.words == [Came("room:tea", Raw(b"{}"))]
        assert not any(isinstance(each, SentAway) for each in one.words)


async def test_everybody_is_told_to_look_when_somebody_comes_or_goes(pool: Pool) -> None:
    async with processes(pool) as (one, other):
        checks = one.checks
        await other.engine.publish([Message(EVERYBODY, b"")])
        await until(lambda: one.checks > checks)
