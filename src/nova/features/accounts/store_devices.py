"""Every statement about devices and mailboxes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

from nova.features.accounts.models import DEFAULT_LOCALE, Death, Device, NewDevice
from nova.ports.database import Queries, Row

MOST_DEVICES = 50
"""Of a user; one more, and the device not seen for longest is forgotten."""

DEVICES = "select * from accounts.devices where user_id = $1 order by seen_at desc, id"

# Those who bring the same token at the same moment come one after the other: neither meets the
# other's half-written row.
TURN = """
select pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text || ' ' || $3::text, 0))
"""

OWNER = """
select user_id from accounts.devices
 where platform = $1 and app = $2 and address = sha256(convert_to($3, 'UTF8')) for update
"""

# The device and the one that holds its new token, always in the same order: two phones that swap
# theirs do not wait for each other.
HOLD = """
select id from accounts.devices
 where id = $1 or (platform = $2 and app = $3 and address = sha256(convert_to($4, 'UTF8')))
 order by id for update
"""

REGISTER = """
insert into accounts.devices as d
    (id, user_id, platform, app, address, token, p256dh, auth, locale, topic, environment)
select $1, u.id, $3, $4, sha256(convert_to($5, 'UTF8')), $5, $6, $7, $8, $9, $10
from accounts.users u where u.id = $2 for key share
on conflict (platform, app, address) do update set
    user_id = excluded.user_id, p256dh = excluded.p256dh, auth = excluded.auth,
    locale = excluded.locale, topic = excluded.topic, environment = excluded.environment,
    seen_at = clock_timestamp(), dead_at = null, dead_reason = null
returning *
"""

# Another row that holds the token which a device is about to get.
DISPLACE = """
delete from accounts.devices
 where platform = $2 and app = $3 and address = sha256(convert_to($4, 'UTF8')) and id <> $1
returning user_id
"""

REFRESH = """
update accounts.devices set
    address = sha256(convert_to($5, 'UTF8')), token = $5, p256dh = $6, auth = $7,
    locale = coalesce($8, locale), topic = coalesce($9, topic),
    environment = coalesce($10, environment),
    seen_at = clock_timestamp(), dead_at = null, dead_reason = null
where user_id = $1 and id = $2 and platform = $3 and app = $4
returning *
"""

FORGET_OLDEST = """
delete from accounts.devices where id in (
    select id from accounts.devices where user_id = $1 order by seen_at desc, id offset $2)
"""

FORGET = "delete from accounts.devices where user_id = $1 and id = $2"

# In subqueries, the lists are no reason for PostgreSQL to plan anew each time.
REACHABLE = """
select user_id from accounts.devices
 where user_id = any((select $1::uuid[])::uuid[]) and dead_at is null
 union
select id from accounts.users
 where id = any((select $1::uuid[])::uuid[]) and email <> '' and email_dead_at is null
"""

REACH = """
select d.user_id, d.id, d.platform, d.app, d.token as address, d.p256dh, d.auth, d.topic,
       d.environment, coalesce(d.locale, u.locale) as locale, d.seen_at as since
  from accounts.devices d join accounts.users u on u.id = d.user_id
 where d.user_id = any($1::uuid[]) and d.dead_at is null and not u.suspended
 union all
select id, null, 'mail', 'default', email, null, null, null, null, locale,
       coalesce(email_since, created_at)
  from accounts.users
 where id = any($1::uuid[]) and email <> '' and email_dead_at is null and not suspended
"""

BURY_DEVICES = """
update accounts.devices d set dead_at = now(), dead_reason = new.reason
  from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
    as new (id, address, reason, at)
 where d.id = new.id and d.token = new.address and d.dead_at is null and d.seen_at <= new.at
returning d.id
"""

BURY_MAILBOXES = """
update accounts.users u set email_dead_at = now(), email_dead_reason = new.reason
  from unnest($1::uuid[], $2::text[], $3::text[], $4::timestamptz[])
    as new (id, address, reason, at)
 where u.id = new.id and u.email = new.address and u.email_dead_at is null
   and coalesce(u.email_since, u.created_at) <= new.at
returning u.id
"""


class Reach(Struct, frozen=True):
    """One way to reach a user: a device, or the mailbox when `device` is None."""

    device: UUID | None
    platform: str
    address: str
    keys: dict[str, str]
    locale: str
    since: datetime


async def of(db: Queries, user: UUID) -> list[Device]:
    return [device(row) for row in await db.fetch(DEVICES, user)]


async def owner(db: Queries, new: NewDevice) -> UUID | None:
    """Return whose device has this token now; nobody else takes it until the commit."""
    token = (new.platform, new.app, _address(new))
    await db.fetch(TURN, *token)
    found: UUID | None = await db.value(OWNER, *token)
    return found


async def register(db: Queries, id_: UUID, user: UUID, new: NewDevice) -> Device | None:
    """Register a device, taking it from whoever had it; None when there is no such user."""
    row = await db.row(REGISTER, id_, user, *_columns(new))
    if row is None:
        return None
    await db.run(FORGET_OLDEST, user, MOST_DEVICES)
    return device(row)


async def displace(db: Queries, id_: UUID, new: NewDevice) -> UUID | None:
    """Delete another device with the token that this one is to get; return whose it was."""
    token = (new.platform, new.app, _address(new))
    await db.fetch(TURN, *token)
    await db.fetch(HOLD, id_, *token)
    found: UUID | None = await db.value(DISPLACE, id_, *token)
    return found


async def refresh(db: Queries, user: UUID, id_: UUID, new: NewDevice) -> Device | None:
    row = await db.row(REFRESH, user, id_, *_columns(new))
    return None if row is None else device(row)


async def forget(db: Queries, user: UUID, id_: UUID) -> bool:
    return await db.run(FORGET, user, id_) > 0


async def reachable(db: Queries, users: Sequence[UUID]) -> set[UUID]:
    return {row["user_id"] for row in await db.fetch(REACHABLE, users)}


async def reach(db: Queries, users: Sequence[UUID]) -> Mapping[UUID, list[Reach]]:
    found: dict[UUID, list[Reach]] = {}
    for row in await db.fetch(REACH, users):
        keys = {name: row[name] for name in ("p256dh", "auth", "topic", "environment") if row[name]}
        if row["platform"] == "ios" and "topic" not in keys and row["app"] != "default":
            keys["topic"] = row["app"]
        one = Reach(
            device=row["id"],
            platform=row["platform"],
            address=row["address"],
            keys=keys,
            locale=row["locale"] or DEFAULT_LOCALE,
            since=row["since"],
        )
        found.setdefault(row["user_id"], []).append(one)
    return found


async def bury(db: Queries, deaths: Sequence[Death]) -> list[Death]:
    """Mark as dead those not registered since; return them."""
    devices = {each.device: each for each in deaths if each.device is not None}
    mailboxes = {each.user: each for each in deaths if each.device is None}
    dead = await _buried(db, BURY_DEVICES, devices) if devices else []
    return dead + (await _buried(db, BURY_MAILBOXES, mailboxes) if mailboxes else [])


async def _buried(db: Queries, statement: str, by_id: Mapping[UUID, Death]) -> list[Death]:
    deaths = list(by_id.values())
    rows = await db.fetch(
        statement,
        list(by_id),
        [each.address for each in deaths],
        [each.reason for each in deaths],
        [each.at for each in deaths],
    )
    return [by_id[row["id"]] for row in rows]


def _address(new: NewDevice) -> str | None:
    return new.subscription.endpoint if new.subscription else new.token


def _columns(new: NewDevice) -> tuple[object, ...]:
    keys = new.subscription.keys if new.subscription else None
    return (
        new.platform,
        new.app,
        _address(new),
        keys.p256dh if keys else None,
        keys.auth if keys else None,
        new.locale,
        new.topic,
        new.environment,
    )


def device(row: Row) -> Device:
    return Device(**{name: row[name] for name in Device.__struct_fields__})
