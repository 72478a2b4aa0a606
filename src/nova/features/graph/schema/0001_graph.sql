create schema if not exists graph;

-- Whoever ever had to do with anybody else. The number stands for the person in edges, which makes
-- them a quarter as wide as ids would. Counts change in the transaction that changes edges, and
-- whoever changes anything about people locks their rows first, in the order of numbers.
create table graph.people (
    number integer generated always as identity primary key,
    user_id uuid not null unique references accounts.users,
    private boolean not null default false,
    followers bigint not null default 0 check (followers >= 0),
    following bigint not null default 0 check (following >= 0)
) with (fillfactor = 70);

create table graph.follows (
    follower integer not null,
    followee integer not null,
    since timestamptz not null,
    primary key (follower, followee)
);
create index following_by_age on graph.follows (follower, since, followee);
create index followers_by_age on graph.follows (followee, since, follower);

-- Everything else that one person has with another.
create table graph.ties (
    person integer not null,
    other integer not null,
    kind text collate "C" not null
        check (kind in ('request', 'block', 'mute', 'close_friend', 'dismissed')),
    since timestamptz not null,
    until timestamptz,              -- of a mute that ends
    primary key (person, other, kind)
);
create index ties_by_age on graph.ties (person, kind, since, other);
create index ties_of_others on graph.ties (other, kind, since, person);
create index ties_by_end on graph.ties (until) where until is not null;

-- How far the import of a file got; moved in the transaction that stores its edges.
create table graph.imports (
    file bytea primary key,         -- digest of the file's beginning and size
    name text not null,
    position bigint not null,       -- bytes
    line bigint not null,
    added bigint not null,
    known bigint not null,
    refused bigint not null,
    finished boolean not null default false,
    started_at timestamptz not null,
    changed_at timestamptz not null
);
