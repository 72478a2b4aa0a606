"""SQL of throttles."""

STATES = """
select user_id, type, at from deliveries.throttles t
  join unnest($1::uuid[], $2::text[]) as w (user_id, type) using (user_id, type)
"""

PAIRS = """
select user_id, actor_id, type, at from deliveries.pair_throttles t
  join unnest($1::uuid[], $2::uuid[], $3::text[]) as w (user_id, actor_id, type)
 using (user_id, actor_id, type)
"""

KEEP = """
insert into deliveries.throttles (user_id, type, at)
select * from unnest($1::uuid[], $2::text[], $3::timestamptz[])
    on conflict (user_id, type) do update set at = excluded.at
"""

KEEP_PAIRS = """
insert into deliveries.pair_throttles (user_id, actor_id, type, at)
select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
    on conflict (user_id, actor_id, type)
    do update set at = excluded.at
"""

FORGET = """
delete from deliveries.throttles where ctid = any(array(
    select ctid from deliveries.throttles where at < $1 limit $2))
"""

FORGET_PAIRS = """
delete from deliveries.pair_throttles where ctid = any(array(
    select ctid from deliveries.pair_throttles where at < $1 limit $2))
"""

ERASE = (
    "delete from deliveries.throttles where user_id = $1",
    "delete from deliveries.pair_throttles where user_id = $1",
    "delete from deliveries.pair_throttles where actor_id = $1",
)

THROTTLE = "select at from deliveries.throttles where user_id = $1 and type = $2"
