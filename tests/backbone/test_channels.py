"""Durable channels recover everything or nothing."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest

from nova.adapters.postgres.connection import Line
from nova.adapters.postgres.pool import PostgresPool, open_pool
from nova.backbone.channels import DurableChannels
from nova.ports.channels import Outgoing, Position, Publication, Retention, Unrecoverable
from nova.ports.database import Pool, Row
from support.durable import durable_channels
from support.waiting import until

KEPT = Retention(size=10, seconds=60)


@pytest.fixture
def handed() -> list[Publication]:
    return []


@pytest.fixture
def channels(pool: Pool, handed: list[Publication]) -> DurableChannels:
    return durable_channels(pool, handed.extend)


async def _published(channels: DurableChannels, count: int) -> list[Position]:
    return [await channels.publish("room:1", b"%d" % n) for n in range(1, count + 1)]


def _data(publications: object) -> list[bytes]:
    assert isinstance(publications, list)
    return [publication.data for publication in publications]


async def test_the_epoch_seen_before_the_first_publication_recovers_it(
    channels: DurableChannels,
) -> None:
    before = await channels.position("room:1")
    assert before.offset == 0
    await _published(channels, 3)
    position, missed = await channels.recover("room:1", before, KEPT, 10)
    assert position == Position(before.epoch, 3)
    assert _data(missed) == [b"1", b"2", b"3"]


async def test_whoever_has_a_snapshot_of_nothing_recovers_without_an_epoch(
    channels: DurableChannels,
) -> None:
    snapshot = Position("", 0)
    position, missed = await channels.recover("room:1", snapshot, KEPT, 10)
    assert (position.offset, missed) == (0, [])
    await _published(channels, 2)
    recovered = await channels.recover("room:1", snapshot, KEPT, 10)
    assert recovered[0] == Position(position.epoch, 2)
    assert _data(recovered[1]) == [b"1", b"2"]


async def test_all_who_look_first_at_once_see_one_epoch(dsn: str) -> None:
    async with open_pool(dsn, size=4) as pool, open_pool(dsn, size=4) as other:
        crowds = [durable_channels(each) for each in (pool, other, pool, other)]
        for n in range(20):
            names = [f"new:{n}", f"also:{n}"]
            looks = await asyncio.gather(*(crowd.positions(names) for crowd in crowds))
            assert all(look == looks[0] for look in looks)
            assert looks[0].keys() == set(names)


class Counted(PostgresPool):
    """A pool that counts the statements that return rows."""

    asked = 0

    def fetch(self, sql: str, /, *args: Any) -> Coroutine[Any, Any, Sequence[Row]]:
        self.asked += 1
        return super().fetch(sql, *args)


async def test_a_first_look_takes_one_statement(dsn: str) -> None:
    line = Line(dsn=dsn, statement_timeout_s=60.0, lock_timeout_s=60.0, application_name="nova")
    pool = Counted(line, size=1, wait_s=60.0)
    await pool.open()
    try:
        await pool.run("set synchronous_commit = on")
        crowd = durable_channels(pool)
        before = await crowd.position("room:new")
        assert pool.asked == 1
        assert await crowd.recover("room:new", Position("", 0), KEPT, 10) == (before, [])
        assert pool.asked == 2
        assert await pool.value("show synchronous_commit") == "on"
    finally:
        await pool.close()


async def test_recovery_from_the_newest_offset_is_empty_and_whole(
    channels: DurableChannels,
) -> None:
    newest = (await _published(channels, 2))[-1]
    assert await channels.recover("room:1", newest, KEPT, 10) == (newest, [])


async def test_more_than_the_limit_is_not_recovered_in_part(channels: DurableChannels) -> None:
    first, *_ = await _published(channels, 5)
    assert (await channels.recover("room:1", first, KEPT, 3))[1] is None
    assert _data((await channels.recover("room:1", first, KEPT, 4))[1]) == [b"2", b"3", b"4", b"5"]


async def test_what_the_retention_no_longer_holds_is_not_recovered_in_part(
    channels: DurableChannels, pool: Pool
) -> None:
    first, *_ = await _published(channels, 5)
    assert (await channels.recover("room:1", first, Retention(3, 60), 10))[1] is None
    assert (await channels.recover("room:1", first, Retention(4, 60), 10))[1] is not None
    await pool.run(
        "update backbone.publications set at = now() - interval '61 s' where number <= 2"
    )
    assert (await channels.recover("room:1", first, KEPT, 10))[1] is None


async def test_another_epoch_or_an_offset_from_the_future_is_not_recovered(
    channels: DurableChannels,
) -> None:
    newest = (await _published(channels, 2))[-1]
    assert (await channels.recover("room:1", Position("other", 2), KEPT, 10))[1] is None
    assert (await channels.recover("room:1", Position(newest.epoch, 3), KEPT, 10))[1] is None


async def test_recovery_beside_publishers_never_has_a_hole(channels: DurableChannels) -> None:
    since = await channels.position("room:1")
    done = asyncio.Event()

    async def publish() -> None:
        await asyncio.gather(*(_published(channels, 20) for _ in range(4)))
        done.set()

    publishing = asyncio.ensure_future(publish())
    while not done.is_set():
        position, missed = await channels.recover("room:1", since, Retention(100, 60), 100)
        assert missed is not None
        assert [each.offset for each in missed] == list(range(1, position.offset + 1))
    await publishing


async def test_history_goes_both_ways_from_a_position(channels: DurableChannels) -> None:
    positions = await _published(channels, 5)
    second = positions[1]
    page = await channels.history("room:1", KEPT, limit=2)
    assert (page.position, _data(page.publications)) == (positions[-1], [b"1", b"2"])
    page = await channels.history("room:1", KEPT, limit=2, since=second)
    assert _data(page.publications) == [b"3", b"4"]
    page = await channels.history("room:1", KEPT, limit=2, reverse=True)
    assert _data(page.publications) == [b"5", b"4"]
    page = await channels.history("room:1", KEPT, limit=9, since=positions[2], reverse=True)
    assert _data(page.publications) == [b"2", b"1"]
    page = await channels.history("room:1", KEPT, limit=0)
    assert (page.position, page.publications) == (positions[-1], [])
    with pytest.raises(Unrecoverable):
        await channels.history("room:1", KEPT, limit=1, since=Position("other", 1))


async def test_the_same_key_publishes_once_even_at_once(
    channels: DurableChannels, pool: Pool, handed: list[Publication]
) -> None:
    positions = await asyncio.gather(*(channels.publish("room:1", b"x", key="k") for _ in range(8)))
    assert {position.offset for position in positions} == {1}
    assert [each.offset for each in handed] == [1]
    assert (await channels.publish("room:2", b"x", key="k")).offset == 1
    await pool.run("update backbone.publication_keys set at = now() - interval '6 minutes'")
    assert (await channels.publish("room:1", b"x", key="k")).offset == 2


async def test_many_positions_come_in_one_look_up(channels: DurableChannels) -> None:
    await _published(channels, 2)
    positions = await channels.positions(["room:1", "room:2", "room:2"])
    assert [positions["room:1"].offset, positions["room:2"].offset] == [2, 0]
    assert positions["room:2"] == await channels.position("room:2")


async def test_many_are_published_at_once_in_order_and_handed_over(
    channels: DurableChannels, handed: list[Publication]
) -> None:
    await channels.publish("room:1", b"0")
    names = ["room:1", "room:2", "room:1"]
    positions = await channels.publish_many(
        [Outgoing(name, b"%d" % at) for at, name in enumerate(names, 1)]
    )
    assert [each.offset for each in positions] == [2, 1, 3]
    assert positions[0].epoch == positions[2].epoch != positions[1].epoch
    assert [(each.channel, each.offset, each.data) for each in handed[1:]] == [
        ("room:1", 2, b"1"),
        ("room:2", 1, b"2"),
        ("room:1", 3, b"3"),
    ]


async def test_of_many_those_with_a_known_key_are_not_published_again(
    channels: DurableChannels, handed: list[Publication]
) -> None:
    first = await channels.publish("room:1", b"1", key="a")
    again = [
        Outgoing("room:1", b"2", key="a"),
        Outgoing("room:2", b"3", key="a"),
        Outgoing("room:1", b"4"),
        Outgoing("room:2", b"5", key="a"),
    ]
    positions = await channels.publish_many(again)
    assert positions[0] == first
    assert (positions[1].offset, positions[2].offset) == (1, 2)
    assert positions[3] == positions[1]
    assert await channels.publish_many(again[:2]) == positions[:2]
    assert [each.data for each in handed] == [b"1", b"3", b"4"]


async def test_batches_with_the_same_keys_at_once_publish_once(
    channels: DurableChannels, handed: list[Publication]
) -> None:
    batch = [Outgoing(f"room:{n}", b"1", key="k") for n in range(20)]
    done = await asyncio.gather(*(channels.publish_many(batch[::step]) for step in (1, -1, 1, -1)))
    assert len(handed) == len(batch)
    assert done[0] == done[1][::-1] == done[2]


async def test_a_forgotten_history_is_gone_and_nobody_takes_it_for_whole(
    channels: DurableChannels,
) -> None:
    first, *_, last = await _published(channels, 3)
    await channels.publish("room:2", b"1")
    await channels.forget("room:1")
    assert (await channels.recover("room:1", first, KEPT, 10)) == (last, None)
    assert (await channels.recover("room:1", last, KEPT, 10)) == (last, [])
    assert (await channels.history("room:2", KEPT, limit=10)).publications
    assert (await channels.publish("room:1", b"4")).offset == last.offset + 1


async def test_many_who_come_back_at_once_are_answered_each_for_its_own_channel(
    channels: DurableChannels,
) -> None:
    first = await channels.publish("room:1", b"a")
    await channels.publish("room:1", b"b")
    other = await channels.publish("room:2", b"c")
    asked = [("room:1", first), ("room:2", first), ("room:3", first), ("room:2", other)] * 20
    found = await asyncio.gather(*(channels.recover(name, at, KEPT, 10) for name, at in asked))
    new = await channels.position("room:3")
    newest = Position(first.epoch, 2)
    for start in range(0, len(found), 4):
        (kept, missed), *rest = found[start : start + 4]
        assert (kept, _data(missed)) == (newest, [b"b"])
        assert rest == [(other, None), (new, None), (other, [])]


async def test_a_crowd_that_connects_takes_few_connections(dsn: str) -> None:
    async with open_pool(dsn, size=1) as other, open_pool(dsn, size=1, wait_s=600) as pool:
        crowd = durable_channels(pool)
        async with other.begin() as queries:
            await queries.run("lock table backbone.channels in access exclusive mode")
            looks = [asyncio.ensure_future(crowd.position(f"room:{n}")) for n in range(300)]
            comebacks = [
                asyncio.ensure_future(crowd.recover(f"room:{n}", Position("", 0), KEPT, 10))
                for n in range(300)
            ]
            await until(lambda: pool.state().waiting)
            assert pool.state().waiting < 10
        await asyncio.gather(*looks, *comebacks)
