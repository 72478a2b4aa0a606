"""Broadcast over PostgreSQL: each member has a queue of messages, and a NOTIFY channel of its own.

A publisher's statement copies a message into the queue of every member that follows its channel.
What nobody follows reaches no queue and wakes nobody. One NOTIFY for each member and statement
tells that something waits; it carries nothing, so that a process that stands still holds up nobody.
A queue is as long as what is published until its process is taken for dead.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from secrets import randbits
from time import monotonic

from nova.backbone.maintenance_batches import in_portions
from nova.kernel.errors import Unavailable
from nova.ports.broadcast import EVERYBODY, Lost, Message
from nova.ports.database import Dangling, Pool

LOOK_S = 1.0
"""Between two looks when nothing tells that something waits."""
MOST = 500
"""Messages of one look."""
SWEEP_S = 30.0

JOIN = """
with former as (delete from backbone.members where process = $2)
insert into backbone.members (id, process) values ($1, $2)
"""

# Orphans: what those left behind who are members no longer.
SWEEP_FOLLOWED = """
delete from backbone.followed where ctid = any(array(
    select f.ctid from backbone.followed f
    where not exists (select from backbone.members m where m.id = f.member) limit $1))
"""
SWEEP_MESSAGES = """
delete from backbone.messages where ctid = any(array(
    select q.ctid from backbone.messages q
    where not exists (select from backbone.members m where m.id = q.member) limit $1))
"""

FOLLOW = """
insert into backbone.followed (channel, member)
select w.channel, m.id from unnest($1::text[]) as w (channel), backbone.members m where m.id = $2
order by w.channel collate "C"
on conflict do nothing
"""

UNFOLLOW = "delete from backbone.followed where channel = any($1::text[]) and member = $2"

PUBLISH = """
with put as (
    insert into backbone.messages (member, channel, data)
    select f.member, w.channel, w.data
    from unnest($1::text[], $2::bytea[]) with ordinality as w (channel, data, place)
    join backbone.followed f on f.channel = w.channel
    where f.member in (select id from backbone.members where id <> $3)
    order by w.place
    returning member
)
select pg_notify('nova_member_' || m.process, '')
from (select distinct member from put) p join backbone.members m on m.id = p.member
"""

TAKE = """
with taken as (
    delete from backbone.messages where ctid = any(array(
        select ctid from backbone.messages where member = $1 order by number limit $2))
    returning number, channel, data
)
select t.* from backbone.members m left join taken t on true where m.id = $1 order by t.number
"""


class PostgresBroadcast:
    """The Broadcast port over tables and LISTEN."""

    def __init__(self, pool: Pool, *, look_s: float = LOOK_S) -> None:
        self._pool = pool
        self._look_s = look_s
        self._id = 0
        """Of this life."""
        self._process = 0
        self._waiting = asyncio.Event()
        self._listens = False
        self._is_doubtful = False
        self._swept_at = -SWEEP_S

    async def join(self, member: int) -> None:
        self._process, new = member, randbits(62)
        if not self._listens:
            await self._pool.listen(f"nova_member_{member}", self._told)
            self._listens = True
        try:
            await self._pool.run(JOIN, new, member)
        except Dangling as dead:  # taken for dead meanwhile; a heartbeat changes that
            raise Unavailable from dead
        self._id = new
        await self.follow([EVERYBODY])
        self._swept_at = -SWEEP_S

    async def follow(self, channels: Sequence[str]) -> None:
        await self._pool.run(FOLLOW, channels, self._id)

    async def unfollow(self, channels: Sequence[str]) -> None:
        await self._pool.run(UNFOLLOW, channels, self._id)

    async def publish(self, messages: Sequence[Message]) -> Sequence[Message]:
        channels, datas = map(list, zip(*messages, strict=True))
        await self._pool.fetch(PUBLISH, channels, datas, self._id)
        return ()

    async def receive(self) -> Sequence[Message]:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_s):
                    await self._waiting.wait()
            self._waiting.clear()
            if self._is_doubtful:
                self._is_doubtful = False
                self._waiting.set()
                return ()
            try:
                rows = await self._pool.fetch(TAKE, self._id, MOST)
            except BaseException:
                self._is_doubtful = True  # taken, perhaps, and not told
                self._waiting.set()
                raise
            if not rows:
                raise Lost
            found = [Message(row["channel"], row["data"]) for row in rows if row["number"]]
            if len(found) == MOST:
                self._waiting.set()
            if found:
                return found
            await self._sweep()

    async def check(self) -> None:
        """Nothing is needed but the database, which others check."""

    async def ping(self) -> str:
        return f"through the database ({await self._pool.ping()})"

    async def close(self) -> None:
        """Nothing is open: the pool is closed by who opened it."""

    async def _sweep(self) -> None:
        """Now and then, remove what those left who are members no longer."""
        if monotonic() < self._swept_at + SWEEP_S:
            return
        self._swept_at = monotonic()
        for sweep in (SWEEP_FOLLOWED, SWEEP_MESSAGES):
            await in_portions(partial(self._pool.run, sweep))

    def _told(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        self._waiting.set()
