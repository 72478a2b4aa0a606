"""SQL of types of notifications."""

ALL = "select name, kind from notifications.types order by name"

PUT = """
insert into notifications.types (name, kind, changed_at) values ($1, $2, $3)
    on conflict (name) do update set kind = excluded.kind, changed_at = excluded.changed_at
"""

COUNT = "select count(*) from notifications.types where name <> $1"

DELETE = "delete from notifications.types where name = $1"
