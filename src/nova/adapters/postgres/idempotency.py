"""Idempotency keys in PostgreSQL."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Protocol
from uuid import UUID

import msgspec

from nova.backbone.maintenance_batches import in_portions
from nova.kernel.ids import new_id
from nova.ports.database import Queries, Row
from nova.ports.idempotency import Kept, KeyReused, StillRunning

# A key whose time is over is as good as new; so is an abandoned claim, for the same request.
CLAIM = """
insert into web.idempotency as kept (owner, key, fingerprint, claim, claimed_until, expires_at)
values ($1, $2, $3, $4, now() + $5::interval, now() + $6::interval)
on conflict (owner, key) do update set
    fingerprint = excluded.fingerprint, claim = excluded.claim,
    claimed_until = excluded.claimed_until, expires_at = excluded.expires_at,
    status = null, headers = null, body = null
where kept.expires_at <= now()
   or (kept.status is null and kept.claimed_until <= now()
       and kept.fingerprint = excluded.fingerprint)
returning claim
"""
KEPT = """
select fingerprint, status, headers::text as headers, body,
       greatest(extract(epoch from claimed_until - now()), 0)::float8 as claimed_s
from web.idempotency where owner = $1 and key = $2
"""
KEEP = """
update web.idempotency set status = $4, headers = $5::text::jsonb, body = $6
where owner = $1 and key = $2 and claim = $3 and status is null
"""
DROP = """
delete from web.idempotency where owner = $1 and key = $2 and claim = $3 and status is null
"""
EXPIRE = """
delete from web.idempotency where (owner, key) in (
    select owner, key from web.idempotency where expires_at <= now() limit $1
    for update skip locked)
"""


# Answers that name somebody; $1, $2: blocks of the table.
SCRUB = """
delete from web.idempotency i
 where ctid >= format('(%s,0)', $1::bigint)::tid and ctid < format('(%s,0)', $2::bigint)::tid
   and exists (
    select from unnest($3::text[], $4::bytea[]) as w (word, bytes)
     where strpos(i.owner, w.word) > 0 or strpos(i.headers::text, w.word) > 0
        or position(w.bytes in i.body) > 0)
"""
BLOCKS = "select pg_relation_size('web.idempotency') / 8192 + 1"
BLOCKS_AT_ONCE = 256


class Database(Queries, Protocol):
    """Where keys are kept, beside what is done under them."""

    def together(self) -> AbstractAsyncContextManager[None]:
        """Have all transactions of this task commit as one at the end of the block."""


class PostgresIdempotency:
    """Keys live for `kept_for`; a claim that a crash left behind frees itself after `claimed_for`.

    A request that outlasts its claim is undone if somebody else took the key meanwhile.
    """

    def __init__(
        self,
        db: Database,
        *,
        kept_for: timedelta = timedelta(hours=24),
        claimed_for: timedelta = timedelta(minutes=1),
    ) -> None:
        self._db = db
        self._kept_for = kept_for
        self._claimed_for = claimed_for

    async def claim(self, owner: str, key: str, fingerprint: bytes) -> UUID | Kept:
        claim = new_id()
        claimed = await self._db.value(
            CLAIM, owner, key, fingerprint, claim, self._claimed_for, self._kept_for
        )
        if claimed is not None:
            return claim
        row = await self._db.row(KEPT, owner, key)
        if row is None:  # dropped in between
            raise StillRunning(retry_after=1.0)
        return _kept(row, fingerprint)

    async def keep(
        self, owner: str, key: str, claim: UUID, run: Callable[[], Awaitable[Kept]]
    ) -> Kept:
        async with self._db.together():
            answer = await run()
            headers = msgspec.json.encode(answer.headers).decode()
            if not await self._db.run(KEEP, owner, key, claim, answer.status, headers, answer.body):
                raise StillRunning(retry_after=1.0)
        return answer

    async def drop(self, owner: str, key: str, claim: UUID) -> None:
        await self._db.run(DROP, owner, key, claim)

    async def expire(self) -> int:
        return await in_portions(partial(self._db.run, EXPIRE))


async def scrub(db: Queries, words: Sequence[str], block: int) -> int | None:
    """Remove answers of some blocks that hold one of these words; return the next block."""
    following = block + BLOCKS_AT_ONCE
    await db.run(SCRUB, block, following, words, [word.encode() for word in words])
    return following if following < await db.value(BLOCKS) else None


def _kept(row: Row, fingerprint: bytes) -> Kept:
    if bytes(row["fingerprint"]) != fingerprint:
        raise KeyReused
    if row["status"] is None:
        raise StillRunning(retry_after=max(row["claimed_s"], 1.0))
    headers = msgspec.json.decode(row["headers"], type=list[tuple[str, str]])
    return Kept(row["status"], headers, bytes(row["body"]))
