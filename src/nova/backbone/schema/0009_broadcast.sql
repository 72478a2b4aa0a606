-- Messages between processes, for those that follow a channel (adapters/postgres/broadcast.py). They
-- replace the index by which each process read what all others published.
drop index backbone.publications_xact;

-- Of what follows, nothing has to survive a crash of the server: processes join again.
-- A process is a member for as long as its row is there.
create unlogged table backbone.members (
    id bigint primary key,          -- of one life of a process
    process bigint not null references backbone.processes on delete cascade
);
create index members_of_process on backbone.members (process);

create unlogged table backbone.followed (
    channel text collate "C" not null,
    member bigint not null,
    primary key (channel, member)
);
create index followed_by_member on backbone.followed (member);

create unlogged table backbone.messages (
    member bigint not null,         -- to whom
    number bigint generated always as identity,
    channel text collate "C" not null,
    data bytea not null
);
create index messages_of_member on backbone.messages (member, number);
