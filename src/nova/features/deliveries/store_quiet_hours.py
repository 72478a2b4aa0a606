"""SQL of quiet hours."""

MANY = "select user_id, schedule from deliveries.quiet_hours where user_id = any($1::uuid[])"

SAVE = """
insert into deliveries.quiet_hours (user_id, schedule, changed_at) values ($1, $2, $3)
    on conflict (user_id) do update
   set schedule = excluded.schedule, changed_at = excluded.changed_at
"""

REMOVE = "delete from deliveries.quiet_hours where user_id = $1"

# What was held under the old hours is looked at anew at once.
RELEASE = """
update deliveries.deliveries set due = $2
 where user_id = $1 and phase = 'held' and reason = 'quiet_hours' and due > $2
"""
