"""Which processes are alive, and so who owns which partitions and leases."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from secrets import randbits

from structlog import get_logger

from nova.backbone.maintenance_batches import MOST, in_portions
from nova.kernel.events import Partition
from nova.ports.database import Pool, Row

_log = get_logger()

CHANGED = "nova_processes"
"""The NOTIFY channel that tells that a process came or left."""

FAR = 10
"""Times a lease: nobody's reaches so far, unless the clock jumped back since it was written."""

BEAT = """
insert into backbone.processes (id, host, pid, born, consumers, topics, expires)
values ($1, $2, $3, $4, $5::text[], $6::text[], now() + $7::interval)
on conflict (id) do update set expires = excluded.expires
returning xmax = 0 as is_new
"""

ALL = """
select id, host, pid, born, consumers,
    expires <= now() or expires > now() + $1::interval as expired
from backbone.processes order by id
"""

# What a process wrote of its clients goes with it; all at once could be a long transaction.
EMPTY = """
delete from backbone.presence where ctid = any(array(
    select ctid from backbone.presence where process = any($1::bigint[]) limit $2))
"""

BURY = "delete from backbone.processes where id = any($1::bigint[])"

LEAVE = """
with released as (update backbone.cursors set owner = null where owner = $1)
delete from backbone.processes where id = $1
"""


class Neighbours:
    """This process among the others on the same database.

    Who does not beat for `lease_s` is taken for dead. Nobody relies on that being true: what the
    dead still write is refused by its fence.
    """

    def __init__(
        self, pool: Pool, consumers: Mapping[str, Sequence[str]], *, lease_s: float
    ) -> None:
        """`consumers` are those of this process, with the topics that each of them hears."""
        self.id = randbits(62)
        self.lease_s = lease_s
        self.farthest_s = FAR * lease_s
        self.view = 0
        """Counts the changes of who is alive."""
        self.lives = 0
        """Counts how often this process became one of them: again when it was taken for dead."""
        self._pool = pool
        self._consumers = consumers
        self._host = _host()
        self._alive: list[tuple[int, frozenset[str]]] = []
        self._changed: list[Callable[[], None]] = []
        self._due = asyncio.Event()

    @property
    def others(self) -> bool:
        return len(self._alive) > 1

    def on_change(self, call: Callable[[], None]) -> None:
        self._changed.append(call)

    def share(self, consumer: str, partitions: Sequence[Partition]) -> Sequence[Partition]:
        """Return the partitions that this process should own: everybody computes the same."""
        sharing = [each for each, heard in self._alive if consumer in heard]
        if self.id not in sharing:
            return ()
        return partitions[sharing.index(self.id) :: len(sharing)]

    async def start(self) -> None:
        """Become one of them, and hear of who comes and leaves."""
        await self._pool.listen(CHANGED, self._told)
        await self.beat()

    async def turn(self) -> None:
        """Beat when it is time to, or once somebody came or left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.lease_s / 3):
                await self._due.wait()
        self._due.clear()
        await self.beat()

    def _told(self, payload: str, own: bool) -> None:  # noqa: ARG002, FBT001  # the port's shape
        self._due.set()

    async def beat(self) -> None:
        """Say that this process is alive, and look who else is."""
        is_new = await self._pool.value(
            BEAT,
            self.id,
            self._host,
            os.getpid(),
            _born(os.getpid()),
            list(self._consumers),
            [f"{name} {topic}" for name, topics in self._consumers.items() for topic in topics],
            timedelta(seconds=self.lease_s),
        )
        if is_new:
            await self._pool.notify(CHANGED)
        rows = await self._pool.fetch(ALL, timedelta(seconds=self.farthest_s))
        dead = [row["id"] for row in rows if row["id"] != self.id and self._is_dead(row)]
        if dead and await self._pool.run(EMPTY, dead, MOST) < MOST:  # else the next beat goes on
            await self._pool.run(BURY, dead)
            _log.info("process_gone", processes=dead)
        alive = [(row["id"], frozenset(row["consumers"])) for row in rows if row["id"] not in dead]
        self.lives += is_new
        # Who died before this process saw them may have written what it has not yet read.
        if alive != self._alive or is_new or dead:
            self._alive = alive
            self.view += 1
            for call in self._changed:
                call()

    async def leave(self) -> None:
        """Hand everything back, so that nobody has to wait for the lease to expire."""
        await in_portions(partial(self._pool.run, EMPTY, [self.id]))
        await self._pool.run(LEAVE, self.id)
        await self._pool.notify(CHANGED)

    def _is_dead(self, row: Row) -> bool:
        # A predecessor that was killed on this host is known at once, without waiting for its
        # lease: its process id is free, or belongs to a process born later.
        return bool(row["expired"]) or (
            row["host"] == self._host and bool(self._host) and _born(row["pid"]) != row["born"]
        )


def _host() -> str:
    """Name what process ids are relative to: this boot, this pid namespace; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _born(pid: int) -> int:
    """Return when a process started, in clock ticks since boot; 0 if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return 0
    state, *_ = fields = stat.rpartition(")")[2].split()
    return 0 if state in "ZX" else int(fields[19])
