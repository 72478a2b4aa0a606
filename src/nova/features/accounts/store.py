"""Every statement about users and their devices."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from nova.features.accounts.models import (
    DEFAULT_LOCALE,
    DEFAULT_TIMEZONE,
    Profile,
    User,
    Written,
)
from nova.kernel.errors import Conflict
from nova.kernel.ids import parse_id
from nova.kernel.text import folded, name_shown
from nova.ports.database import Duplicate, Queries, Row


class ExternalIdTaken(Conflict):
    """Another user has this external_id."""

    code = "external_id_taken"
    hint = "POST /v1/users/bulk creates or updates by external_id."


CREATE = """
insert into accounts.users
    (id, external_id, name, avatar_url, locale, timezone, profile, email, folded, email_since)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, now())
on conflict (external_id) do nothing
returning *
"""

# Rows are locked in the order of external_id, so two upserts of the same users cannot wait for
# each other in a circle. A row that would stay as it is, is locked but not written.
UPSERT = """
insert into accounts.users as u
    (id, external_id, name, avatar_url, locale, timezone, profile, email, folded, email_since)
select id, external_id, name, avatar_url, locale, timezone, profile, email, folded, now()
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::text[]::jsonb[], $8::text[], $9::text[])
    as g (id, external_id, name, avatar_url, locale, timezone, profile, email, folded)
order by external_id
on conflict (external_id) do update set
    name = coalesce(excluded.name, u.name),
    avatar_url = coalesce(excluded.avatar_url, u.avatar_url),
    locale = coalesce(excluded.locale, u.locale),
    timezone = coalesce(excluded.timezone, u.timezone),
    profile = coalesce(excluded.profile, u.profile),
    email = coalesce(excluded.email, u.email),
    email_since = case when coalesce(excluded.email, u.email) is distinct from u.email
        then now() else u.email_since end,
    email_dead_at = case when excluded.email = u.email or excluded.email is null
        then u.email_dead_at end,
    folded = excluded.folded,
    updated_at = now()
where (coalesce(excluded.name, u.name), coalesce(excluded.avatar_url, u.avatar_url),
        coalesce(excluded.locale, u.locale), coalesce(excluded.timezone, u.timezone),
        coalesce(excluded.profile, u.profile), coalesce(excluded.email, u.email))
    is distinct from (u.name, u.avatar_url, u.locale, u.timezone, u.profile, u.email)
returning id, external_id, xmax = 0 as created
"""

NAMED = "select id, external_id from accounts.users where external_id = any($1::text[])"

GET = "select * from accounts.users where id = $1"

LIST = "select * from accounts.users where id > $1 order by id limit $2"

LIST_NEWEST = "select * from accounts.users where id < $1 order by id desc limit $2"

# Each part reads so many rows of one index, however many people there are. chr(1114111) is the last
# character, so that a range of the index holds what begins with the text.
SEARCH = r"""
with parts as (
    (select * from accounts.users
      where lower(name) collate "C" >= lower($1)
        and lower(name) collate "C" < lower($1) || chr(1114111)
      order by lower(name) collate "C" limit $4)
    union
    (select * from accounts.users
      where lower(substring(name from '\S+$')) collate "C" >= lower($1)
        and lower(substring(name from '\S+$')) collate "C" < lower($1) || chr(1114111)
      order by lower(substring(name from '\S+$')) collate "C" limit $4)
    union
    (select * from accounts.users
      where lower(email) collate "C" >= lower($1)
        and lower(email) collate "C" < lower($1) || chr(1114111)
      order by lower(email) collate "C" limit $4)
    union
    (select * from accounts.users
      where folded >= $2 and folded < $2 || chr(1114111) order by folded limit $4)
    union
    (select * from accounts.users where id = $3)
)
select * from parts order by lower(name) collate "C", id limit $4
"""

CHANGE = """
update accounts.users set
    name = coalesce($2, name),
    avatar_url = coalesce($3, avatar_url),
    locale = coalesce($4, locale),
    timezone = coalesce($5, timezone),
    profile = coalesce($6, profile),
    email = coalesce($7, email),
    email_since = case when $7 is null or $7 = email then email_since else now() end,
    email_dead_at = case when $7 is null or $7 = email then email_dead_at end,
    external_id = case when $8 then $9 else external_id end,
    folded = case when $8 then $11 else folded end,
    suspended = coalesce($10, suspended),
    updated_at = now()
where id = $1
returning *
"""

LOCK = "select external_id from accounts.users where id = $1 for update"

# In the order of ids: whoever needs several takes them in this order.
HOLD = """
select id from accounts.users where id = any($1::uuid[]) order by id for key share
"""

DELETE = "delete from accounts.users where id = $1"

# In subqueries, the lists are no reason for PostgreSQL to plan anew each time.
FIND = """
select id, external_id, name, avatar_url, locale, timezone, suspended, tokens_after
from accounts.users where external_id = any((select $1::text[])::text[])
union all
select id, external_id, name, avatar_url, locale, timezone, suspended, tokens_after
from accounts.users where id = any((select $2::uuid[])::uuid[])
"""

# Whoever a mention may mean: by id, by external_id, and by how that is folded.
MEANT = """
select id, external_id, folded from accounts.users
 where folded = any((select $1::text[])::text[])
 union
select id, external_id, folded from accounts.users
 where external_id = any((select $2::text[])::text[])
 union
select id, external_id, folded from accounts.users where id = any((select $3::uuid[])::uuid[])
"""


class Meant(NamedTuple):
    """Who is known by references as people write them."""

    by_id: Mapping[str, UUID]
    by_name: Mapping[str, UUID]
    by_folded: Mapping[str, Sequence[UUID]]


async def create(db: Queries, user: UUID, fields: Written) -> User:
    row = await db.row(CREATE, user, *_columns(fields), _folded(fields))
    if row is None:
        raise ExternalIdTaken(external_id=fields.external_id)
    return _user(row)


async def upsert(
    db: Queries, ids: Sequence[UUID], users: Sequence[Written]
) -> dict[str, tuple[UUID, bool]]:
    """Create or update; return (id, created) by external_id of those that were written."""
    columns = zip(*((*_columns(each), _folded(each)) for each in users), strict=True)
    rows = await db.fetch(UPSERT, ids, *(list(column) for column in columns))
    return {row["external_id"]: (row["id"], row["created"]) for row in rows}


async def named(db: Queries, external_ids: Sequence[str]) -> dict[str, UUID]:
    rows = await db.fetch(NAMED, external_ids)
    return {row["external_id"]: row["id"] for row in rows}


async def get(db: Queries, user: UUID) -> User | None:
    row = await db.row(GET, user)
    return None if row is None else _user(row)


async def after(db: Queries, user: UUID, limit: int) -> list[User]:
    """Return users in the order of their ids, which is that of their creation."""
    return [_user(row) for row in await db.fetch(LIST, user, limit)]


async def before(db: Queries, user: UUID, limit: int) -> list[User]:
    """Return users in the opposite order."""
    return [_user(row) for row in await db.fetch(LIST_NEWEST, user, limit)]


async def search(db: Queries, text: str, limit: int) -> list[User]:
    """Return users whose name, last name, mail address or id begins with a text."""
    rows = await db.fetch(SEARCH, text, folded(text), parse_id(text), limit)
    return [_user(row) for row in rows]


async def change(
    db: Queries, user: UUID, fields: Written, *, renames: bool, suspended: bool | None
) -> User | None:
    """Change a user; with `renames`, the external_id too, to None perhaps."""
    name, *rest = _columns(fields)
    try:
        row = await db.row(CHANGE, user, *rest, renames, name, suspended, _folded(fields))
    except Duplicate:
        raise ExternalIdTaken(external_id=name) from None
    return None if row is None else _user(row)


async def lock(db: Queries, user: UUID) -> Row | None:
    return await db.row(LOCK, user)


async def hold(db: Queries, users: Collection[UUID]) -> set[UUID]:
    """Keep users from being erased before the commit; return which of them exist."""
    return {row["id"] for row in await db.fetch(HOLD, list(users))}


async def delete(db: Queries, user: UUID) -> None:
    await db.run(DELETE, user)


async def find(db: Queries, external_ids: Sequence[str], ids: Sequence[UUID]) -> list[Profile]:
    return [_profile(row) for row in await db.fetch(FIND, external_ids, ids)]


async def meant(db: Queries, references: Sequence[str]) -> Meant:
    ids = {each: id_ for each in references if (id_ := parse_id(each)) is not None}
    keys = list({folded(each) for each in references})
    rows = await db.fetch(MEANT, keys, references, list(ids.values()))
    there = {row["id"] for row in rows}
    by_folded: dict[str, list[UUID]] = {}
    for row in rows:
        by_folded.setdefault(row["folded"], []).append(row["id"])
    return Meant(
        {each: id_ for each, id_ in ids.items() if id_ in there},
        {row["external_id"]: row["id"] for row in rows},
        by_folded,
    )


def _folded(fields: Written) -> str | None:
    return None if fields.external_id is None else folded(fields.external_id)


def _columns(fields: Written) -> tuple[str | None, ...]:
    return (
        fields.external_id,
        fields.name,
        fields.avatar_url,
        fields.locale,
        fields.timezone,
        fields.profile,
        fields.email,
    )


def _user(row: Row) -> User:
    return User(
        profile=msgspec.json.decode(row["profile"]) if row["profile"] else {},
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        email=row["email"] or None,
        **_shown(row),
    )


def _profile(row: Row) -> Profile:
    return Profile(tokens_after=row["tokens_after"].timestamp(), **_shown(row))


def _shown(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "external_id": row["external_id"],
        "name": name_shown(row["name"]),
        "avatar_url": row["avatar_url"] or None,
        "locale": row["locale"] or DEFAULT_LOCALE,
        "timezone": row["timezone"] or DEFAULT_TIMEZONE,
        "suspended": row["suspended"],
    }
