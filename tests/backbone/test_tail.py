"""What other processes published is handed over once, however much of it came at once."""

import asyncio
from collections import Counter

from nova.backbone.database import Database
from nova.backbone.outbox import PostgresOutbox
from nova.backbone.tail import Tail
from nova.ports.channels import Publication
from nova.ports.database import Pool
from support.waiting import until


async def test_a_transaction_larger_than_a_page_is_handed_over_whole_and_once(pool: Pool) -> None:
    other = Database(pool, PostgresOutbox(), wrote=lambda _: None, published=lambda _: None)
    heard: list[Publication] = []
    tail = Tail(pool, writer=PostgresOutbox().writer, wait_s=0.01, published=heard.extend)
    await tail.start()
    sizes = (999, 1, 2_500, 1_000, 3)
    for number, size in enumerate(sizes):
        async with other.transaction() as tx:
            for each in range(size):
                tx.publish(f"room:{each % 3}", b"%d" % number)

    async def follow() -> None:
        while True:
            await tail.turn()

    following = asyncio.create_task(follow())
    try:
        await until(lambda: len(heard) >= sum(sizes))
    finally:
        following.cancel()
    offsets = Counter((one.channel, one.offset) for one in heard)
    assert set(offsets.values()) == {1}
    assert Counter(one.data for one in heard) == {b"%d" % n: size for n, size in enumerate(sizes)}
    for channel in ("room:0", "room:1", "room:2"):
        mine = [one.offset for one in heard if one.channel == channel]
        assert mine == list(range(1, len(mine) + 1))
