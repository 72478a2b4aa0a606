"""Things done every so often by one process at a time: whoever holds the lease."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from structlog import get_logger

from nova.backbone.neighbours import Neighbours
from nova.kernel.errors import Unavailable
from nova.ports.database import Pool

_log = get_logger()

# Seconds until the job may be taken, or null if nobody ever took it. A time that is further off
# than anybody sets it was set before the clock jumped back, and is over.
UNTIL = """
select extract(epoch from greatest(
    case when due <= now() + $2::interval then due end,
    case when expires <= now() + $3::interval
        and exists (select from backbone.processes p where p.id = l.owner) then expires end
) - now())::float8
from backbone.leases l where name = $1
"""

TAKE = """
insert into backbone.leases as l (name, owner, token, expires, due)
values ($1, $2, 1, now() + $3::interval, now())
on conflict (name) do update set owner = $2, token = l.token + 1, expires = now() + $3::interval
where (l.due <= now() or l.due > now() + $4::interval) and (
    l.owner is null or l.expires <= now() or l.expires > now() + $5::interval
    or not exists (select from backbone.processes p where p.id = l.owner)
)
returning token
"""

KEEP = """
update backbone.leases set expires = now() + $4::interval
where name = $1 and owner = $2 and token = $3 and expires > now()
"""

# Its commit waits for no disk, so that those of events do not wait for it several times a second.
# Who loses it with the machine finds the lease taken until it expires, and the job due.
DONE = """
update backbone.leases set owner = null, due = now() + $4::interval
from set_config('synchronous_commit', 'off', true)
where name = $1 and owner = $2 and token = $3
"""


class Job(Protocol):
    """Something done every so often by one process at a time."""

    @property
    def name(self) -> str: ...
    @property
    def every_s(self) -> float: ...
    @property
    def run(self) -> Callable[[], Awaitable[object]]: ...


class Worker:
    """Runs one job whenever it is due and this process gets the lease.

    A process that dies in the middle leaves the job due: another one takes it again as soon as
    the lease is over. So a job must bear being cut off, and being run again.
    """

    def __init__(self, job: Job, pool: Pool, neighbours: Neighbours) -> None:
        self.name = f"job {job.name}"
        self._job = job
        self._pool = pool
        self._neighbours = neighbours
        self._lease = timedelta(seconds=neighbours.lease_s)
        self._every = timedelta(seconds=job.every_s)
        self._farthest = timedelta(seconds=neighbours.farthest_s)

    async def turn(self) -> None:
        far = (self._every, self._farthest)
        seconds = await self._pool.value(UNTIL, self._job.name, *far)
        if seconds is not None and seconds > 0:
            await asyncio.sleep(min(seconds, self._neighbours.lease_s))
            return
        own = (self._neighbours.id, self._lease)
        token = await self._pool.value(TAKE, self._job.name, *own, *far)
        if token is not None:
            await self._run(token)

    async def _run(self, token: int) -> None:
        work = asyncio.ensure_future(self._job.run())
        keeping = asyncio.create_task(self._keep(token, work))
        try:
            await work
        finally:
            keeping.cancel()
            work.cancel()
            await self._pool.run(DONE, self._job.name, self._neighbours.id, token, self._every)

    async def _keep(self, token: int, work: asyncio.Future[object]) -> None:
        """Extend the lease while the job runs; stop the job once the lease is lost."""
        kept = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() - kept < self._neighbours.lease_s:
            await asyncio.sleep(self._neighbours.lease_s / 3)
            try:
                if not await self._pool.run(
                    KEEP, self._job.name, self._neighbours.id, token, self._lease
                ):
                    break
                kept = asyncio.get_running_loop().time()
            except Unavailable:
                continue
        _log.warning("lease_lost", job=self._job.name)
        work.cancel()
