create schema if not exists notifications;

-- One row per user who was ever notified. `top` numbers the notifications without gaps;
-- unseen and unread count the rows of inbox that are not archived. Whoever changes rows of
-- inbox locks the user's box first, several boxes in the order of user_id.
create table notifications.boxes (
    user_id uuid primary key,
    top bigint not null,
    unseen bigint not null check (unseen >= 0),
    unread bigint not null check (unread >= 0)
) with (fillfactor = 50);

create table notifications.inbox (
    id uuid primary key,
    user_id uuid not null,
    number bigint not null,
    run uuid not null,
    actor_id uuid,
    occurred_at timestamptz not null,
    accepted_at timestamptz not null,
    heard_at timestamptz not null,
    created_at timestamptz not null,
    expires_at timestamptz not null,
    seen_at timestamptz,
    read_at timestamptz,
    archived_at timestamptz,
    type text not null,
    event_id text not null,
    related_entity_id text,
    title text not null,
    body text not null,
    locale text not null,
    rule text not null,
    metadata text not null          -- JSON, as it goes out
) with (fillfactor = 90);
create unique index inbox_by_user on notifications.inbox (user_id, number);
create index inbox_by_expiry on notifications.inbox using brin (expires_at);

-- Events that did not become a notification, or no longer are one, and why.
create table notifications.suppressed (
    id uuid primary key,
    user_id uuid,
    run uuid not null,
    accepted_at timestamptz not null,
    heard_at timestamptz not null,
    decided_at timestamptz not null,
    type text not null,
    event_id text not null,
    recipient text not null,
    reason text not null,
    rule text not null
);
create index suppressed_by_user on notifications.suppressed (user_id) where user_id is not null;
create index suppressed_by_age on notifications.suppressed using brin (accepted_at);

-- When a batch was stored and handed to the sockets; written just after its commit.
create table notifications.runs (
    id uuid primary key,
    stored_at timestamptz not null,
    published_at timestamptz not null
);
create index runs_by_age on notifications.runs using brin (published_at);

create table notifications.preferences (
    user_id uuid primary key,
    choices text not null,          -- JSON: {"channels": {…}, "types": {…}}
    changed_at timestamptz not null
);

create table notifications.types (
    name text collate "C" primary key,
    kind text not null,             -- JSON: templates, lifetime, channels
    changed_at timestamptz not null
);
