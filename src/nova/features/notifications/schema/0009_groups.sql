-- Events of the app join a notification, too, each with what it takes to lead it: those of Nova's own
-- all say what the first one says (metadata null).
alter table notifications.gathered
    alter column actor_id drop not null,
    add column occurred_at timestamptz,
    add column related_entity_id text,
    add column metadata text;
create index gathered_into_by on notifications.gathered (into_id, actor_id);

-- How many events have joined; others counts people.
alter table notifications.inbox add column joined integer not null default 0;
