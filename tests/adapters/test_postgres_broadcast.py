"""Broadcast over PostgreSQL, where the database does not answer or has forgotten its members."""

import pytest

from nova.adapters.postgres.broadcast import PostgresBroadcast
from nova.adapters.postgres.pool import open_pool
from nova.backbone.neighbours import Neighbours
from nova.kernel.errors import Unavailable
from nova.ports.broadcast import Lost, Message
from nova.ports.database import Pool


async def joined(pool: Pool) -> PostgresBroadcast:
    neighbours = Neighbours(pool, {}, lease_s=3600)
    await neighbours.beat()
    engine = PostgresBroadcast(pool, look_s=0.05)
    await engine.join(neighbours.id)
    await engine.follow(["room:tea"])
    return engine


async def test_after_a_look_that_failed_it_says_that_some_may_be_lost(dsn: str, pool: Pool) -> None:
    async with open_pool(dsn, size=2, lock_timeout_s=0.1) as hasty:
        one, other = await joined(hasty), await joined(pool)
        async with pool.begin() as held:
            await held.run("lock table backbone.messages in access exclusive mode")
            with pytest.raises(Unavailable):
                await one.receive()
        await other.publish([Message("room:tea", b"1")])
        assert await one.receive() == ()
        assert await one.receive() == [Message("room:tea", b"1")]


async def test_after_a_crash_of_the_server_its_members_join_again(pool: Pool) -> None:
    one, other = await joined(pool), await joined(pool)
    # What a crash does to tables that are not logged.
    await pool.run("truncate backbone.members, backbone.followed, backbone.messages")
    await other.publish([Message("room:tea", b"1")])
    with pytest.raises(Lost):
        await one.receive()


async def test_what_is_left_by_who_is_gone_is_swept(pool: Pool) -> None:
    gone, other = await joined(pool), await joined(pool)
    await other.publish([Message("room:tea", b"1")])
    await pool.run("delete from backbone.processes where id = $1", gone._process)
    await gone.unfollow(["room:milk"])
    await joined(pool)
    last = await joined(pool)
    last._swept_at = float("-inf")
    await last._sweep()
    assert await pool.value("select count(*) from backbone.messages") == 0
    left = "select count(*) from backbone.followed where member = $1"
    assert await pool.value(left, gone._id) == 0
    assert await pool.value(left, other._id) == 2
