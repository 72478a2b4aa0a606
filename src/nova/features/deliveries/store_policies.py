"""SQL of delivery policies."""

ALL = "select type, policy from deliveries.policies order by type"

PUT = """
insert into deliveries.policies (type, policy, changed_at) values ($1, $2, $3)
    on conflict (type) do update
   set policy = excluded.policy, changed_at = excluded.changed_at
"""

COUNT = "select count(*) from deliveries.policies where type <> $1"

DELETE = "delete from deliveries.policies where type = $1"
