-- Feeds that are written ahead, where `feeds.push` is on; any of it may be deleted at any time.
-- A home belongs to somebody who reads. Once built, it holds every post newer than `dropped` of
-- those whom the owner follows, but for authors who are `wide`: theirs are pulled.
create table posts.homes (
    owner uuid primary key,
    made uuid not null,             -- tells a home from one that was there before
    is_built boolean not null default false,
    dropped uuid not null default '00000000-0000-0000-0000-000000000000',
    read_at timestamptz not null
) with (fillfactor = 70);
create index homes_by_use on posts.homes (read_at);

create table posts.entries (
    owner uuid not null references posts.homes on delete cascade,
    post uuid not null,
    primary key (owner, post)
);

-- Published, and not in any home yet.
create table posts.unpushed (
    post uuid primary key,
    author uuid not null
);

-- Once wide, for ever: what was published meanwhile is in no home.
alter table posts.authors add column if not exists wide boolean not null default false;
create index if not exists wide_authors on posts.authors (newest) where wide;

-- Changes whenever somebody becomes wide: servers remember who is.
create table posts.wideness (version bigint not null);
insert into posts.wideness values (0);
