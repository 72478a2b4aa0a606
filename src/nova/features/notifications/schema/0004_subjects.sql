-- What a notification stands on: asked before it goes anywhere, and whenever it may have changed.
-- Null: it comes from the host app, and only its actor is asked about.
alter table notifications.inbox
    add column subject_kind text,     -- like, comment, mention, follow, …
    add column subject_item uuid,     -- the post or comment, or the person
    add column subject_within uuid,   -- the post under which a comment is written
    add column subject_owner uuid;    -- its author
create index inbox_by_subject on notifications.inbox (subject_owner, subject_within, subject_item)
 where subject_owner is not null;
create index inbox_by_actor on notifications.inbox (actor_id) where actor_id is not null;

-- Who joined a notification: the oldest becomes its actor when that one's like is taken back.
create table notifications.gathered (
    id uuid primary key,              -- of the event
    into_id uuid not null,            -- the notification
    actor_id uuid not null,
    event_id text not null
);
create index gathered_into on notifications.gathered (into_id, id);
create index gathered_by_actor on notifications.gathered (actor_id);
