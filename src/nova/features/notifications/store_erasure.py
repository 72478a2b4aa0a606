"""SQL that removes erased people from notifications."""

# By id, since a row keeps its id when it is marked, and its place in the table not. $1: the last
# one looked at; $3: people; $4: words. The first row returned says how far it looked.
INBOX = """
with looked as materialized (
    select id, user_id, event_id, related_entity_id, title, body, metadata,
           actor_id = any($3::uuid[]) or subject_owner = any($3) or subject_within = any($3)
               or subject_item = any($3) as is_theirs
      from notifications.inbox where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s on s.is_theirs or exists (
    select from unnest($4::text[]) as w (word)
     where strpos(concat_ws(' ', s.event_id, s.related_entity_id, s.title, s.body, s.metadata),
                  w.word) > 0)
    or exists (select from unnest($5::text[]) as w (word)
                where strpos(concat_ws(' ', s.event_id, s.related_entity_id), w.word) > 0)
 order by s.id
"""

REWRITE = """
update notifications.inbox
   set event_id = $2, related_entity_id = $3, title = $4, body = $5, metadata = $6 where id = $1
"""

SUPPRESSED = """
with looked as materialized (
    select id, user_id, event_id, recipient from notifications.suppressed
     where id > $1 order by id limit $2
), gone as (
    delete from notifications.suppressed d using looked s
     where d.id = s.id and (s.user_id = any($3::uuid[]) or s.recipient = any($4::text[])
        or exists (select from unnest($5::text[], $6::text[]) as w (word, pattern)
                    where case when strpos(s.event_id, w.word) > 0
                               then s.event_id ~ w.pattern end))
)
select id from looked order by id desc limit 1
"""

# What joined groups, as INBOX: it may lead its group some day.
GATHERED = """
with looked as materialized (
    select id, event_id, related_entity_id, metadata from notifications.gathered
     where id > $1 order by id limit $2
)
select last.id as last, s.*
  from (select id from looked order by id desc limit 1) last
  left join looked s on exists (
    select from unnest($3::text[]) as w (word)
     where strpos(concat_ws(' ', s.event_id, s.related_entity_id, s.metadata), w.word) > 0)
"""

REWRITE_GATHERED = """
update notifications.gathered set event_id = $2, related_entity_id = $3, metadata = $4 where id = $1
"""

# $2: the last one looked at.
TOGETHER = """
select id from (
    select id from notifications.inbox where actor_id = any($1::uuid[]) and burst is not null
     union
    select into_id from notifications.gathered where actor_id = any($1::uuid[])) found
 where id > $2 order by id limit $3
"""

LEAVE = "delete from notifications.gathered where actor_id = any($1::uuid[])"

FORGET = "delete from notifications.suppressed where id = any($1::uuid[])"
