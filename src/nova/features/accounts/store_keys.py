"""Every statement about server keys and revoked tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from nova.backbone.maintenance_batches import in_portions
from nova.features.accounts.models import KeyInfo
from nova.ports.database import Queries
from nova.web.actors import ServerKey

ACTIVE = "select id, name, digest from accounts.keys"

LISTED = "select id, name, prefix, created_at, used_at from accounts.keys order by id"

LOCK = "lock table accounts.keys in share row exclusive mode"

ANY = "select exists (select from accounts.keys)"

ADD = """
insert into accounts.keys (id, name, digest, prefix)
select $1, $2, $3, $4 where (select count(*) from accounts.keys) < $5
returning id, name, prefix, created_at, used_at
"""

REMOVE = "delete from accounts.keys where id = $1 returning name"

# Whoever holds the lock of one writes the same minute; nobody waits for another in a circle.
USED = """
update accounts.keys k set used_at = greatest(k.used_at, u.at)
  from unnest($1::uuid[], $2::timestamptz[]) u (id, at)
 where k.id = u.id
   and k.id in (select id from accounts.keys where id = any($1) for update skip locked)
"""

REVOKE = """
insert into accounts.revoked as r (token, expires_at) values ($1, $2)
on conflict (token) do update set expires_at = greatest(r.expires_at, excluded.expires_at)
"""

REVOKED = "select token from accounts.revoked where token = any($1::text[])"

EXPIRE = """
delete from accounts.revoked where ctid = any(array(
    select ctid from accounts.revoked where expires_at < $1 limit $2))
"""

# A token signed within this very moment, after it, must count: so no rounding up.
REVOKE_ALL = """
update accounts.users set tokens_after = greatest(tokens_after, clock_timestamp())
where id = $1
returning extract(epoch from tokens_after)::float8
"""


async def active(db: Queries) -> Mapping[bytes, ServerKey]:
    rows = await db.fetch(ACTIVE)
    return {bytes(row["digest"]): ServerKey(row["id"], row["name"]) for row in rows}


async def listed(db: Queries) -> list[KeyInfo]:
    return [KeyInfo(**dict(row.items())) for row in await db.fetch(LISTED)]


async def lock(db: Queries) -> None:
    """Let nobody else create a key before this transaction ends."""
    await db.run(LOCK)


async def any_key(db: Queries) -> bool:
    found: bool = await db.value(ANY)
    return found


async def add(
    db: Queries, key: UUID, name: str, digest: bytes, *, prefix: str | None, most: int
) -> KeyInfo | None:
    """Add a key; None when there are `most` already."""
    row = await db.row(ADD, key, name, digest, prefix, most)
    return None if row is None else KeyInfo(**dict(row.items()))


async def remove(db: Queries, key: UUID) -> str | None:
    """Remove a key and return its name, if it was there."""
    name: str | None = await db.value(REMOVE, key)
    return name


async def used(db: Queries, uses: Mapping[UUID, datetime]) -> None:
    await db.run(USED, list(uses), list(uses.values()))


async def revoke(db: Queries, token: str, expires: datetime) -> None:
    await db.run(REVOKE, token, expires)


async def revoked(db: Queries, tokens: Sequence[str]) -> set[str]:
    return {row["token"] for row in await db.fetch(REVOKED, tokens)}


async def revoke_all(db: Queries, user: UUID) -> float | None:
    """Make all tokens issued until now count no longer; return now, as the database has it."""
    at: float | None = await db.value(REVOKE_ALL, user)
    return at


async def expire(db: Queries, before: datetime) -> None:
    await in_portions(partial(db.run, EXPIRE, before))
