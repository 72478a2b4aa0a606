create schema if not exists accounts;

-- In name, avatar_url, locale, timezone and profile null means: never given. An empty text
-- (an empty object) means: cleared. So an upsert can keep what its item does not mention.
create table accounts.users (
    id uuid primary key,
    external_id text unique,
    name text,
    avatar_url text,
    locale text,
    timezone text,
    profile jsonb,
    suspended boolean not null default false,
    tokens_after timestamptz not null default to_timestamp(0),
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

create table accounts.devices (
    id uuid primary key,
    user_id uuid not null references accounts.users on delete cascade,
    platform text not null,
    app text not null,
    address bytea not null, -- SHA-256 of the token, which may be too long for an index
    token text not null,
    p256dh text,
    auth text,
    locale text,
    created_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    unique (platform, app, address)
);
create index devices_of_user on accounts.devices (user_id, seen_at);

create table accounts.keys (
    id uuid primary key,
    name text not null,
    digest bytea not null unique,
    created_at timestamptz not null default now()
);

create table accounts.revoked (
    token text primary key,
    expires_at timestamptz not null
);
create index revoked_by_expiry on accounts.revoked (expires_at);
