"""SQL of preferences."""

# In a subquery, the list is no reason for PostgreSQL to plan anew each time.
MANY = """
select user_id, choices from notifications.preferences
 where user_id = any((select $1::uuid[])::uuid[])
"""

ONE = "select choices from notifications.preferences where user_id = $1"

ENSURE = """
insert into notifications.preferences (user_id, choices, changed_at) values ($1, '{}', $2)
    on conflict (user_id) do nothing
"""

LOCK = "select choices from notifications.preferences where user_id = $1 for update"

SAVE = """
insert into notifications.preferences (user_id, choices, changed_at) values ($1, $2, $3)
    on conflict (user_id) do update
   set choices = excluded.choices, changed_at = excluded.changed_at
"""

REMOVE = "delete from notifications.preferences where user_id = $1"
