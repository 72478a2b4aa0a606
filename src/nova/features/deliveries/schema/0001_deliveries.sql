create schema if not exists deliveries;

-- The ledger: one row per notification (or digest), channel and target. `phase` says what Nova
-- still does with it; `status` is the best evidence that it reached somebody, and only grows.
create table deliveries.deliveries (
    id uuid primary key,
    notification uuid not null,
    kind text not null,               -- single, summary, digest, recall
    user_id uuid not null,
    number bigint not null,           -- in the inbox, for "read up to here"
    actor_id uuid,
    type text not null,
    about text,                       -- what the event is about
    channel text not null,            -- as preferences name it
    lane text not null,               -- the platform; empty when it never got so far
    target uuid not null,             -- the device, or the user for the mailbox
    address text not null,
    keys text not null,               -- JSON
    title text not null,
    body text not null,
    url text,
    data text not null,               -- JSON
    locale text not null,
    urgent boolean not null,
    critical boolean not null,
    collapse_id text not null,
    made_at timestamptz not null,
    expires_at timestamptz not null,
    phase text not null,              -- waiting, held, standby, done, failed, dead, dropped, merged
    reason text,
    rule text,
    into_id uuid,                     -- what it was merged into
    status smallint not null,
    due timestamptz,                  -- by the app's clock; null when nothing more happens
    priority smallint not null,       -- 0 live, 1 in bulk: what was held does not delay what is new
    tries_from timestamptz not null,  -- retries are counted from here
    tries integer not null default 0,
    leased_until timestamptz,         -- by the database's clock
    fence bigint not null default 0,
    attempts integer not null default 0,
    resends integer not null default 0,
    doubtful boolean not null default false,
    cancelled text,                   -- why it must not be tried again, said while it was under way
    code text,
    says text,
    provider_id text,
    sent_at timestamptz,
    delivered_at timestamptz
) with (fillfactor = 70);
create unique index deliveries_ledger
    on deliveries.deliveries (notification, channel, target, kind);
create index deliveries_due
    on deliveries.deliveries (lane, priority, due) where phase = 'waiting';
create index deliveries_later on deliveries.deliveries (due) where phase in ('held', 'standby');
create index deliveries_by_user on deliveries.deliveries (user_id, id desc);
create index deliveries_open on deliveries.deliveries (user_id)
    where phase in ('waiting', 'held', 'standby');
create index deliveries_ended on deliveries.deliveries (phase, id)
    where phase in ('dead', 'failed');
create index deliveries_by_age on deliveries.deliveries using brin (made_at);

create table deliveries.attempts (
    delivery uuid not null references deliveries.deliveries on delete cascade,
    number integer not null,
    started_at timestamptz not null,
    finished_at timestamptz,
    verdict text,
    code text,
    says text,
    next_at timestamptz,
    resend boolean not null,          -- the outcome of an earlier attempt was unknown
    primary key (delivery, number)
);

-- What all processes know of a lane: a pause that the provider asked for, and its pacing.
create table deliveries.lanes (
    lane text primary key,
    paused_until timestamptz,
    why text,
    paced_until timestamptz,          -- GCRA: the time at which the next delivery is due
    purging boolean not null default true,
    purging_why text
);
insert into deliveries.lanes (lane) values ('ios'), ('android'), ('web'), ('mail');

-- Outcomes by the minute: what the breaker of mass death counts, and consoles show.
create table deliveries.pulse (
    lane text not null,
    minute timestamptz not null,
    sent bigint not null default 0,
    failed bigint not null default 0,
    gone bigint not null default 0,
    primary key (lane, minute)
);

-- Addresses that a provider called dead; buried a little later, unless too many die at once.
create table deliveries.suspects (
    lane text not null,
    address text not null,
    user_id uuid not null,
    device uuid,
    reason text not null,
    gone_since timestamptz not null,
    at timestamptz not null,
    primary key (lane, address)
);
create index suspects_by_age on deliveries.suspects (at);
create index suspects_by_user on deliveries.suspects (user_id);

-- What the sink took in place of a provider: a bounded window for people to look at.
create table deliveries.outbox (
    number bigint generated always as identity primary key,
    id uuid not null,
    at timestamptz not null,
    lane text not null,
    collapse_id text not null,
    parcel text not null              -- JSON
);

create table deliveries.quiet_hours (
    user_id uuid primary key,
    schedule text not null,           -- JSON
    changed_at timestamptz not null
);

create table deliveries.policies (
    type text collate "C" primary key,
    policy text not null,             -- JSON
    changed_at timestamptz not null
);

-- GCRA per user and type: when the next one would be in time.
create table deliveries.throttles (
    user_id uuid not null,
    type text collate "C" not null,
    at timestamptz not null,
    primary key (user_id, type)
);

-- A digest gathers entries while it is open; there is one open digest per user, channel and key.
create table deliveries.digests (
    id uuid primary key,
    user_id uuid not null,
    channel text not null,
    key text not null,
    type text not null,
    opened_at timestamptz not null,
    closes_at timestamptz not null,
    closed_at timestamptz
);
create unique index digests_open on deliveries.digests (user_id, channel, key)
    where closed_at is null;
create index digests_due on deliveries.digests (closes_at) where closed_at is null;
create index digests_recent on deliveries.digests (user_id, channel, key, opened_at);
create index digests_by_age on deliveries.digests using brin (opened_at);

-- The primary key is the promise: an event is in one digest of a channel, whatever happens.
create table deliveries.entries (
    notification uuid not null,
    channel text not null,
    digest uuid not null references deliveries.digests on delete cascade,
    user_id uuid not null,
    number bigint not null,
    actor_id uuid,
    actor_name text,
    type text not null,
    about text,
    title text not null,
    body text not null,
    url text,
    locale text not null,
    at timestamptz not null,
    primary key (notification, channel)
);
create index entries_of_digest on deliveries.entries (digest);
create index entries_of_user on deliveries.entries (user_id);

-- Webhooks; their calls are deliveries of the lane `hook`.
insert into deliveries.lanes (lane) values ('hook');

create table deliveries.webhooks (
    id uuid primary key,
    url text not null,
    secret bytea not null,
    events text[] not null,           -- empty: all
    made_at timestamptz not null,
    disabled_at timestamptz,
    disabled_why text
);
