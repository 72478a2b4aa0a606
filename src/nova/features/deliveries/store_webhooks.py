"""SQL of webhooks."""

ALL = "select * from deliveries.webhooks order by id"

ADD = """
insert into deliveries.webhooks (id, url, secret, events, made_at)
select $1, $2, $3, $4::text[], $5 where (select count(*) from deliveries.webhooks) < $6
returning *
"""

# What is left out (null) stays as it is.
CHANGE = """
update deliveries.webhooks set url = coalesce($2, url), events = coalesce($3::text[], events)
 where id = $1 returning *
"""

# Calls that wait are tried at the new address at once: it was changed because the old one failed.
READDRESS = """
update deliveries.deliveries set address = $2, due = least(due, $3)
 where lane = 'hook' and target = $1 and phase = 'waiting'
"""

REMOVE = "delete from deliveries.webhooks where id = $1"

ENABLE = """
update deliveries.webhooks set disabled_at = null, disabled_why = null where id = $1 returning *
"""

DISABLE = """
update deliveries.webhooks set disabled_at = $2, disabled_why = $3
 where id = $1 and disabled_at is null
"""

# A call that is under way is only marked: nobody would claim it for another attempt.
DROP = """
update deliveries.deliveries d
   set cancelled = 'webhook_removed',
       phase = case when open.under_way then d.phase else 'dropped' end,
       reason = case when open.under_way then d.reason else 'webhook_removed' end,
       due = case when open.under_way then d.due end
  from (select id, coalesce(leased_until > clock_timestamp(), false) as under_way
          from deliveries.deliveries
         where lane = 'hook' and target = $1 and phase = 'waiting' for update) open
 where d.id = open.id
"""
