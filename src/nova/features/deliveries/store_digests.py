"""SQL of digests and their entries."""

# The lock on the open digest's row lasts until the commit, so that it cannot be closed under an
# entry that is being added; one that was closed a moment ago is no longer the open one.
OPEN = """
insert into deliveries.digests as d (id, user_id, channel, key, type, opened_at, closes_at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[],
                     $6::timestamptz[], $7::timestamptz[])
    on conflict (user_id, channel, key) where closed_at is null
    do update set closes_at = d.closes_at
returning id, user_id, channel, key
"""

RECENT = """
select d.user_id, d.channel, d.key, max(d.opened_at) as at
  from deliveries.digests d
  join unnest($1::uuid[], $2::text[], $3::text[]) as w (user_id, channel, key)
 using (user_id, channel, key)
 group by 1, 2, 3
"""

# Written only so that the next one looks back at it.
MARK = """
insert into deliveries.digests (id, user_id, channel, key, type, opened_at, closes_at, closed_at)
values ($1, $2, $3, $4, $5, $6, $6, $6)
"""

ADD = """
insert into deliveries.entries (
    notification, channel, digest, user_id, number, actor_id, actor_name, type, about, title, body,
    url, locale, at)
select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::bigint[], $6::uuid[],
                     $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
                     $13::text[], $14::timestamptz[])
    on conflict (notification, channel) do nothing
"""

KNOWN = """
select notification, channel from deliveries.entries where notification = any($1::uuid[])
"""

# From digests that are closed, too: what has not gone out yet goes without it.
STRIKE = """
update deliveries.entries
   set gone = 'removed', title = '', body = '', url = null, actor_name = null
 where user_id = $1 and notification = any($2::uuid[]) and gone is null
returning digest
"""

EDIT = """
update deliveries.entries
   set title = $3, body = $4, actor_id = $5, actor_name = $6,
       about = case when $7 then $8 else about end, url = case when $7 then $9 else url end
 where user_id = $1 and notification = $2 and gone is null
returning digest
"""

# $4: what an attempt under way brings is taken back after it.
REWORD = """
update deliveries.deliveries d
   set title = w.title, body = w.body,
       outdated = d.outdated or coalesce($4 and d.leased_until > clock_timestamp(), false)
  from unnest($1::uuid[], $2::text[], $3::text[]) as w (digest, title, body)
 where d.notification = w.digest and d.kind = 'digest'
"""

WITHDRAW = """
delete from deliveries.entries e using deliveries.digests d
 where d.id = e.digest and d.closed_at is null and e.user_id = $1
   and ($2::uuid[] is null or e.notification = any($2)) and ($3::uuid is null or e.actor_id = $3)
   and ($4::bigint is null or e.number <= $4)
"""

CLOSE = """
update deliveries.digests set closed_at = $1
 where id = any(array(
    select id from deliveries.digests where closed_at is null and closes_at <= $1
     order by closes_at limit $2 for update skip locked))
returning id, user_id, channel, type
"""

ENTRIES = """
select * from deliveries.entries
 where digest = any($1::uuid[]) and gone is null order by digest, number desc
"""

FORGET = """
delete from deliveries.digests where ctid = any(array(
    select ctid from deliveries.digests where opened_at < $1 and closed_at is not null limit $2))
"""

ERASE = "delete from deliveries.digests where user_id = $1"
