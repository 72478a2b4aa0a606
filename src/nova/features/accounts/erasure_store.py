"""SQL of erasures."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from msgspec import Struct

from nova.backbone.maintenance_batches import in_portions
from nova.features.accounts.models import Erasure
from nova.ports.database import Queries, Row

BEGIN = """
insert into accounts.erasures (id, user_id, external_id, addresses, by_id, by_name, requested_at)
select $1, u.id, u.external_id, array(
           select u.email where u.email <> ''
            union select token from accounts.devices d where d.user_id = u.id
            union select u.avatar_url where u.avatar_url <> ''),
       $3, $4, $5
  from accounts.users u where u.id = $2
    on conflict (user_id) do nothing
"""

# What the user had by the time of the erasure itself, too.
ERASED = """
update accounts.erasures e
   set erased_at = $2, external_id = u.external_id, by_name = $3, addresses = array(
           select unnest(e.addresses)
            union select u.email where u.email <> ''
            union select token from accounts.devices d where d.user_id = u.id
            union select u.avatar_url where u.avatar_url <> '')
  from accounts.users u where e.user_id = $1 and u.id = $1
"""

ABANDONED = """
select user_id from accounts.erasures
 where complete_at is null and erased_at is null and requested_at < $1 order by id limit $2
"""

# The oldest open one, and those that are as far: they go on together.
OPEN = """
select e.* from accounts.erasures e
  join (select step, place from accounts.erasures
         where complete_at is null and erased_at is not null order by id limit 1) o
    on e.step = o.step and e.place = o.place
 where e.complete_at is null and e.erased_at is not null order by e.id limit $1
"""

MOVE = "update accounts.erasures set step = $2, place = $3 where id = any($1::uuid[])"

COMPLETE = """
update accounts.erasures
   set complete_at = $2, user_id = null, external_id = null, addresses = null
 where id = any($1::uuid[])
"""

STATE = """
select requested_at, erased_at, complete_at from accounts.erasures
 where by_id = $1 or by_name = $1 order by id desc limit 1
"""

FORGET = """
delete from accounts.erasures where ctid = any(array(
    select ctid from accounts.erasures where complete_at < $1 limit $2))
"""

RECENT = "select token from accounts.revoked where starts_with(token, 'erased:')"


class Open(Struct, frozen=True):
    """An erasure whose user is gone, and how far the rest of it is."""

    id: UUID
    user: UUID
    external_id: str | None
    addresses: Sequence[str]
    erased_at: datetime
    step: int
    place: str


async def begin(
    db: Queries, id_: UUID, user: UUID, digests: tuple[str, str | None], now: datetime
) -> None:
    """Write down that a user is to be erased, unless it is."""
    await db.run(BEGIN, id_, user, *digests, now)


async def erased(db: Queries, user: UUID, now: datetime, by_name: str | None) -> None:
    """Note, just before it happens, that the user is gone with this transaction."""
    await db.run(ERASED, user, now, by_name)


async def abandoned(db: Queries, before: datetime, most: int) -> list[UUID]:
    """Return users whose erasure was begun before, and did not happen: its process is gone."""
    return [row["user_id"] for row in await db.fetch(ABANDONED, before, most)]


async def open_ones(db: Queries, most: int) -> list[Open]:
    return [_open(row) for row in await db.fetch(OPEN, most)]


async def move(db: Queries, ids: Sequence[UUID], step: int, place: str) -> None:
    await db.run(MOVE, ids, step, place)


async def complete(db: Queries, ids: Sequence[UUID], now: datetime) -> None:
    """Note that nothing is left, and forget who it was about."""
    await db.run(COMPLETE, ids, now)


async def state(db: Queries, digest: str) -> Erasure | None:
    row = await db.row(STATE, digest)
    return None if row is None else Erasure(**row)


async def forget(db: Queries, before: datetime) -> None:
    await in_portions(partial(db.run, FORGET, before))


async def recent(db: Queries) -> set[str]:
    """Return the digests of those who were erased lately."""
    return {row["token"] for row in await db.fetch(RECENT)}


def _open(row: Row) -> Open:
    return Open(
        id=row["id"],
        user=row["user_id"],
        external_id=row["external_id"],
        addresses=row["addresses"] or (),
        erased_at=row["erased_at"],
        step=row["step"],
        place=row["place"],
    )
