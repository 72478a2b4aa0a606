create schema if not exists posts;

-- Who ever posted, and when last: `newest` is at least as new as the newest post there is.
create table posts.authors (
    author uuid primary key references accounts.users,
    newest uuid not null
) with (fillfactor = 70);
create index authors_by_newest on posts.authors (newest);

-- Ids are UUIDv7: they sort by birth. Counts change in the transaction that changes what they
-- count; whoever changes likes or comments locks the posts first, in the order of ids.
create table posts.posts (
    id uuid primary key,
    author uuid not null references accounts.users,
    visibility text collate "C" not null
        check (visibility in ('public', 'followers', 'close_friends')),
    body text not null,
    media text not null,            -- JSON: [{type, ref, alt}]
    tags text[] not null,
    mentions uuid[] not null,
    likes bigint not null default 0 check (likes >= 0),
    comments bigint not null default 0 check (comments >= 0),
    created_at timestamptz not null,
    edited_at timestamptz
) with (fillfactor = 80);
create index posts_by_author on posts.posts (author, id);

create table posts.likes (
    post uuid not null references posts.posts on delete cascade,
    person uuid not null references accounts.users,
    at timestamptz not null,
    primary key (post, person)
);
create index likes_by_age on posts.likes (post, at, person);
create index likes_by_person on posts.likes (person, at);

-- One level deep: the parent of a reply has no parent itself.
create table posts.comments (
    id uuid primary key,
    post uuid not null references posts.posts on delete cascade,
    parent uuid references posts.comments on delete cascade,
    author uuid not null references accounts.users,
    body text not null,
    mentions uuid[] not null,
    replies bigint not null default 0 check (replies >= 0),
    created_at timestamptz not null
) with (fillfactor = 90);
create index comments_of_post on posts.comments (post, id) where parent is null;
create index every_comment_of_post on posts.comments (post);
create index replies_of_comment on posts.comments (parent, id) where parent is not null;
create index comments_by_author on posts.comments (author, id);
