"""SQL that removes erased people from deliveries."""

# $1, $2: the last one looked at.
ENTRIES_OF = """
with looked as materialized (
    select notification, channel, digest, actor_id, about, title, body, url
      from deliveries.entries where (notification, channel) > ($1::uuid, $2::text)
     order by notification, channel limit $3
)
select last.notification as last, last.channel as last_channel, s.*
  from (select notification, channel from looked order by notification desc, channel desc limit 1)
       last
  left join looked s on s.actor_id = any($4::uuid[]) or exists (
    select from unnest($5::text[]) as w (word)
     where strpos(concat_ws(' ', s.about, s.title, s.body, s.url), w.word) > 0)
"""

TAKE_OUT = """
delete from deliveries.entries e using unnest($1::uuid[], $2::text[]) as w (notification, channel)
 where e.notification = w.notification and e.channel = w.channel
"""

REWRITE_ENTRY = """
update deliveries.entries set about = $3, title = $4, body = $5, url = $6
 where notification = $1 and channel = $2
"""

DIGESTS = """
select id, notification from deliveries.deliveries
 where kind = 'digest' and notification = any($1::uuid[])
   for update
"""

REWORD = "update deliveries.deliveries set title = $2, body = $3 where id = any($1::uuid[])"

# By id, since a row keeps its id when its state changes, and its place in the table not.
LEDGER = """
with looked as materialized (
    select id, user_id, actor_id, about, title, body, url, data, summary_title, summary_body,
           coalesce(leased_until > clock_timestamp(), false) as under_way
      from deliveries.deliveries where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s
    on s.actor_id = any($3::uuid[]) or s.user_id = any($3::uuid[]) or exists (
    select from unnest($4::text[]) as w (word)
     where strpos(concat_ws(' ', s.about, s.title, s.body, s.url, s.data, s.summary_title,
                            s.summary_body), w.word) > 0)
 order by s.id
"""

# Who spoke for some of these shows their titles no longer.
UNSUMMARISE = """
update deliveries.deliveries d set summary_title = null, summary_body = null
 where d.summary_title is not null and d.id in (
    select into_id from deliveries.deliveries where id = any($1::uuid[]))
"""

UNKEEP = "delete from deliveries.outbox where id = any($1::uuid[])"

REMOVE = """
delete from deliveries.deliveries
 where id = any($1::uuid[]) and (leased_until is null or leased_until <= clock_timestamp())
returning id
"""

REWRITE = """
update deliveries.deliveries
   set about = $2, title = $3, body = $4, url = $5, data = $6, summary_title = $7,
       summary_body = $8
 where id = $1
"""

# What the sink kept whose delivery is gone, or whose words are those of erased people.
OUTBOX = """
delete from deliveries.outbox o
 where exists (select from unnest($1::text[]) as w (word) where strpos(o.parcel, w.word) > 0)
    or not exists (select from deliveries.deliveries d where d.id = o.id)
"""

# A provider's words may hold an address.
LANES = """
update deliveries.lanes set why = null
 where exists (select from unnest($1::text[]) as w (word) where strpos(why, w.word) > 0)
"""
