"""SQL of mail templates."""

ALL = "select type, template from deliveries.mail_templates order by type"

PUT = """
insert into deliveries.mail_templates (type, template, changed_at) values ($1, $2, $3)
    on conflict (type) do update
   set template = excluded.template, changed_at = excluded.changed_at
"""

COUNT = "select count(*) from deliveries.mail_templates where type <> $1"

DELETE = "delete from deliveries.mail_templates where type = $1"
