"""SQL of notifications that are gathered into one."""

# The newest notification of each burst that others may still join.
OPEN = """
select * from (
    select distinct on (i.user_id, i.burst) i.user_id, i.burst, i.id, i.actor_id, i.joined
      from unnest($1::uuid[], $2::text[]) as w (user_id, burst)
      join notifications.inbox i using (user_id, burst)
     where i.read_at is null and i.archived_at is null and i.created_at > $3
     order by i.user_id, i.burst, i.number desc) newest
 where joined < $4
"""

HEADS = "select * from notifications.inbox where id = any($1::uuid[])"

JOIN = """
update notifications.inbox i
   set others = w.others, title = w.title, joined = i.joined + w.joined
  from unnest($1::uuid[], $2::int[], $3::text[], $4::int[]) as w (id, others, title, joined)
 where i.id = w.id
"""

COUNTS = "select user_id, unseen, unread from notifications.boxes where user_id = any($1::uuid[])"
