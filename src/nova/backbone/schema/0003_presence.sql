-- Who follows which of the app's channels, in which process. Written only while there are several
-- processes; rows go with their process.
create table backbone.presence (
    channel text collate "C" not null,
    client text collate "C" not null,
    process bigint not null references backbone.processes (id) on delete cascade,
    info bytea not null,           -- JSON of what others see of the client
    primary key (channel, client)
);
create index presence_by_process on backbone.presence (process);
