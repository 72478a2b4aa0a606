-- The event log, its readers' cursors, and durable channels.
create schema if not exists backbone;

-- Append-only. Readers go by (xact, position), never by position alone: identity values
-- are handed out before the commit, so positions become visible out of order.
-- payload is bytea, not jsonb: PostgreSQL never looks inside, so it need not parse it.
-- Identity values are cached per session; only their order within a transaction counts.
create table backbone.event_log (
    position bigint generated always as identity (cache 64),
    xact xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now(),
    id uuid not null,
    partition smallint not null,
    topic text collate "C" not null,
    key text collate "C" not null,
    type text collate "C" not null,
    trace text collate "C",
    payload bytea not null
) partition by range (at);

create index event_log_order on backbone.event_log (xact, position);

-- Takes what no day's partition takes, so that an append never fails for the lack of one.
create table backbone.event_log_default partition of backbone.event_log default;

-- Makes the partitions of today (UTC) and of `ahead` days more; returns how many it made.
-- A day that already has rows in the default partition stays there.
create function backbone.make_partitions(ahead integer) returns integer
language plpgsql as $$
declare
    first timestamp := date_trunc('day', now() at time zone 'UTC');
    day timestamp;
    name text;
    made integer := 0;
begin
    set local lock_timeout = '1s';
    perform pg_advisory_xact_lock(hashtext('backbone.event_log'));
    for n in 0..ahead loop
        day := first + n * interval '1 day';
        name := 'event_log_' || to_char(day, 'YYYYMMDD');
        continue when to_regclass('backbone.' || name) is not null;
        continue when exists (
            select from backbone.event_log_default
            where at >= day at time zone 'UTC' and at < (day + interval '1 day') at time zone 'UTC'
        );
        execute format(
            'create table backbone.%I partition of backbone.event_log for values from (%L) to (%L)',
            name,
            to_char(day, 'YYYY-MM-DD') || ' 00:00+00',
            to_char(day + interval '1 day', 'YYYY-MM-DD') || ' 00:00+00'
        );
        made := made + 1;
    end loop;
    return made;
end
$$;

-- Drops the partitions that ended before `keep` ago. One that a consumer of a living process has not
-- read to its end is kept, since dropping it would lose events.
create function backbone.drop_partitions(keep interval, out dropped text[], out kept text[])
language plpgsql as $$
declare
    name text;
    late boolean;
begin
    set local lock_timeout = '1s';
    perform pg_advisory_xact_lock(hashtext('backbone.event_log'));
    dropped := '{}';
    kept := '{}';
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'backbone.event_log'::regclass and c.relname ~ '^event_log_[0-9]{8}$'
            and (to_date(right(c.relname, 8), 'YYYYMMDD') + 1)::timestamp
                <= (now() - keep) at time zone 'UTC'
        order by c.relname
    loop
        execute format(
            'select exists (
                select from backbone.processes p cross join unnest(p.consumers) as heard (consumer)
                left join backbone.cursors c on c.consumer = heard.consumer
                where c.consumer is null or (c.xact, c.position) < (
                    select xact, position from backbone.%I order by xact desc, position desc limit 1
                )
            )', name) into late;
        if late then
            kept := kept || name;
        else
            execute format('drop table backbone.%I', name);
            dropped := dropped || name;
        end if;
    end loop;
end
$$;

-- Where each consumer stands in each partition of the keys; `fence` grows with every new owner,
-- and a cursor is only moved by the fence that it was read with.
create sequence backbone.fences;

create table backbone.cursors (
    consumer text collate "C" not null,
    partition smallint not null,
    xact xid8 not null default '0',
    position bigint not null default 0,
    owner bigint,
    fence bigint not null default 0,
    primary key (consumer, partition)
) with (fillfactor = 50);

-- Live processes. `host`, `pid` and `born` let a neighbour see that one is gone before it expires.
create table backbone.processes (
    id bigint primary key,
    host text not null,
    pid bigint not null,
    born bigint not null,
    consumers text[] not null,
    expires timestamptz not null
);

create table backbone.leases (
    name text collate "C" primary key,
    owner bigint,
    token bigint not null,
    expires timestamptz not null,
    due timestamptz not null
);

-- Records that failed alone; their partition flows on without them.
create table backbone.retries (
    consumer text collate "C" not null,
    id uuid not null,
    attempt integer not null,
    due timestamptz not null,
    position bigint not null,
    xact xid8 not null,
    at timestamptz not null,
    partition smallint not null,
    topic text collate "C" not null,
    key text collate "C" not null,
    type text collate "C" not null,
    trace text collate "C",
    payload bytea not null,
    primary key (consumer, id)
);

create index retries_due on backbone.retries (consumer, due);

create table backbone.dead_letters (
    number bigint generated always as identity primary key,
    died timestamptz not null default now(),
    consumer text collate "C" not null,
    error text not null,
    attempts integer not null,
    id uuid not null,
    position bigint not null,
    xact xid8 not null,
    at timestamptz not null,
    partition smallint not null,
    topic text collate "C" not null,
    key text collate "C" not null,
    type text collate "C" not null,
    trace text collate "C",
    payload bytea not null
);

-- `top` is the newest offset; the row's lock makes offsets gapless.
create table backbone.channels (
    id bigint generated always as identity (cache 64) primary key,
    channel text collate "C" not null unique,
    epoch text collate "C" not null,
    top bigint not null,
    made timestamptz not null default now()
) with (fillfactor = 50);

create table backbone.publications (
    channel_id bigint not null,
    number bigint not null,
    xact xid8 not null default pg_current_xact_id(),
    writer bigint not null,
    at timestamptz not null default now(),
    data bytea not null,
    info bytea,
    primary key (channel_id, number)
);

-- For the tail that other processes keep.
create index publications_xact on backbone.publications (xact);

-- Publications of clients that must happen once per key.
create table backbone.publication_keys (
    channel text collate "C" not null,
    key text collate "C" not null,
    epoch text not null default '',
    number bigint not null default 0,
    at timestamptz not null default now(),
    primary key (channel, key)
);

create index publication_keys_at on backbone.publication_keys (at);

select backbone.make_partitions(2);
